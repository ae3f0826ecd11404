package account

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"vernal/idp"
)

// maxProblems limits the problems reported for one record.
const maxProblems = 50

// faults collects the problems of one record.
type faults struct {
	now      time.Time
	problems InputErrors
}

func (f *faults) addInvalid(field, detail string) { f.addProblem(field, "invalid", detail) }

func (f *faults) addProblem(field, problem, detail string) {
	if len(f.problems) < maxProblems {
		f.problems = append(f.problems, &InputError{fieldName(field), problem, detail})
	}
}

// checkPast checks that a time is not in the future. The zero time passes.
func (f *faults) checkPast(field string, at time.Time) {
	if at.After(f.now.Add(maxClockSkew)) {
		f.addInvalid(field, "is in the future")
	}
}

// addInputError adds an *InputError under the field's name in a record.
func (f *faults) addInputError(field string, err error) {
	var input *InputError
	if errors.As(err, &input) {
		f.addInvalid(field, input.Detail)
	} else {
		f.addInvalid(field, "is not valid")
	}
}

func (f *faults) readEmails(records []RecordEmail, createdAt time.Time) []idp.Email {
	if len(records) == 0 {
		f.addInvalid("emails", "is missing: a user needs an email address")
	}
	if len(records) > maxEmails {
		f.addInvalid("emails", fmt.Sprintf("has more than %d email addresses", maxEmails))
		return nil
	}
	var emails []idp.Email
	seen := map[string]bool{}
	for _, e := range records {
		email, err := NormalizeEmail(e.Address)
		if err != nil {
			f.addInputError("emails", err)
			continue
		}
		if seen[strings.ToLower(email)] {
			f.addInvalid("emails", "contains an email address twice")
			continue
		}
		seen[strings.ToLower(email)] = true
		f.checkPast("emails.confirmed_at", e.ConfirmedAt)
		f.checkPast("emails.last_sign_in_at", e.LastSignInAt)
		if e.Confirmed && e.ConfirmedAt.IsZero() {
			e.ConfirmedAt = createdAt
		}
		f.checkDisclosures(e.DisclosedTo)
		if len(emails) == 0 && e.ConfirmedAt.IsZero() {
			f.addInvalid("emails", "the first email address must be confirmed, because it is disclosed to service providers")
		}
		emails = append(emails, idp.Email{Address: email, ConfirmedAt: e.ConfirmedAt.UTC(), LastSignInAt: e.LastSignInAt.UTC(), DisclosedTo: e.DisclosedTo})
	}
	return emails
}

// checkDisclosures checks the service providers that an email address was disclosed to. They
// need not be registered. A provider registered later, perhaps by another owner, can use the
// email address only for a user who has a NameID there.
func (f *faults) checkDisclosures(providers []idp.EntityID) {
	seen := make(map[idp.EntityID]bool, len(providers))
	for _, id := range providers {
		if !isPlainKey(string(id)) || seen[id] {
			f.addInvalid("emails.disclosed_to", "must be a list of different entity IDs")
			return
		}
		seen[id] = true
	}
}

// maxReservedEmails limits the reserved email addresses of one record.
const maxReservedEmails = 1000

func (f *faults) readHashes(texts []string) (hashes [][]byte) {
	if len(texts) > maxReservedEmails {
		f.addInvalid("reserved_emails", fmt.Sprintf("has more than %d email addresses", maxReservedEmails))
		return nil
	}
	for _, text := range texts {
		hash, err := hex.DecodeString(text)
		if err != nil || len(hash) != sha256.Size {
			f.addInvalid("reserved_emails", "must be a list of SHA-256 hashes in hex")
			return nil
		}
		hashes = append(hashes, hash)
	}
	return hashes
}

func (f *faults) readPassword(rec *Record, u *idp.User) {
	f.checkPast("password_changed_at", rec.PasswordChangedAt)
	if rec.PasswordHash == "" {
		return
	}
	if err := CheckPasswordHash(rec.PasswordHash); err != nil {
		f.addInputError("password_hash", err)
		return
	}
	u.PasswordHash, u.PasswordChangedAt = rec.PasswordHash, cmp.Or(rec.PasswordChangedAt.UTC(), u.CreatedAt)
}

func (f *faults) readTOTPs(rec *Record, u *idp.User) {
	if len(rec.TOTPs) > MaxTOTPs {
		f.addInvalid("totps", fmt.Sprintf("has more than %d authenticators", MaxTOTPs))
		return
	}
	for _, r := range rec.TOTPs {
		f.checkPast("totps.added_at", r.AddedAt)
		if r.Secret == "" {
			f.addInvalid("totp_secret", "is missing")
			continue
		}
		t, err := newTOTP(NewTOTP{Name: r.Name, Secret: r.Secret, Period: r.Period}, cmp.Or(r.AddedAt.UTC(), u.CreatedAt))
		var input *InputError
		if errors.As(err, &input) {
			f.addInvalid(input.Field, input.Detail)
			continue
		}
		// A future LastStep would refuse every code until then.
		if r.LastStep < 0 || r.LastStep > f.now.Add(maxClockSkew).Unix()/int64(t.Period) {
			f.addInvalid("totps.last_step", "must be the number of a time step in the past")
			continue
		}
		t.LastStep = r.LastStep
		u.TOTPs = append(u.TOTPs, t)
	}
}

func (f *faults) readLock(rec *Record, u *idp.User) {
	f.checkPast("locked_at", rec.LockedAt)
	switch {
	case !rec.Locked && (!rec.LockedAt.IsZero() || rec.LockReason != ""):
		f.addInvalid("locked", "must be true if locked_at or lock_reason is set")
	case checkLockReason(rec.LockReason) != nil:
		f.addInputError("lock_reason", checkLockReason(rec.LockReason))
	case rec.Locked:
		u.LockedAt, u.LockReason = cmp.Or(rec.LockedAt.UTC(), f.now), rec.LockReason
	}
}

// readServices reads the visits and consents. A service provider need not be registered, as in
// checkDisclosures. A consent in the future would never expire.
func (f *faults) readServices(records []RecordService, u *idp.User) {
	seen := make(map[idp.EntityID]bool, len(records))
	for _, r := range records {
		if !isPlainKey(string(r.SP)) || seen[r.SP] {
			f.addInvalid("services.sp", "must be an entity ID, each once")
			return
		}
		seen[r.SP] = true
		f.checkPast("services.first_at", r.FirstAt)
		f.checkPast("services.last_at", r.LastAt)
		f.checkPast("services.consent_at", r.ConsentAt)
		f.checkPast("services.withdrawn_at", r.WithdrawnAt)
		switch {
		case r.FirstAt.IsZero() || r.LastAt.IsZero():
			f.addInvalid("services", "needs first_at and last_at for each service provider")
		case len(r.Attributes) > 0 && r.ConsentAt.IsZero():
			f.addInvalid("services.attributes", "needs a consent_at: the user agreed to nothing without a time")
		case slices.ContainsFunc(r.Attributes, func(name string) bool { return !attributePattern.MatchString(name) }):
			f.addInvalid("services.attributes", "must be names of attributes, such as email")
		case r.Email != "" && !slices.ContainsFunc(u.Emails, func(e idp.Email) bool { return strings.EqualFold(e.Address, r.Email) }):
			f.addInvalid("services.email", "is not an email address of the user")
		}
		service := idp.ConnectedService(r)
		for _, at := range []*time.Time{&service.FirstAt, &service.LastAt, &service.ConsentAt, &service.WithdrawnAt} {
			*at = at.UTC()
		}
		u.Services = append(u.Services, service)
	}
}

// attributePattern describes the name of an attribute. An import accepts names of later versions.
var attributePattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// CheckPasswordHash returns an *InputError if a hash from another identity provider cannot be
// verified here.
func CheckPasswordHash(encoded string) error {
	if _, err := parsePHC(encoded); err != nil {
		detail := strings.TrimPrefix(err.Error(), errPHC.Error()+": ")
		if name := findForeignAlgorithm(encoded); name != "" {
			detail = name + " is not supported: use argon2id or pbkdf2-sha256 in PHC form, or omit the hash and set a new password"
		}
		return &InputError{"password_hash", "invalid", detail}
	}
	return nil
}

// findForeignAlgorithm returns the algorithm of a hash made by other software, by its prefix.
func findForeignAlgorithm(encoded string) string {
	for _, format := range [][2]string{
		{"$2a$", "bcrypt"}, {"$2b$", "bcrypt"}, {"$2y$", "bcrypt"}, {"$scrypt$", "scrypt"}, {"$7$", "scrypt"}, {"$y$", "yescrypt"},
		{"$argon2i$", "argon2i"}, {"$argon2d$", "argon2d"}, {"$pbkdf2-sha512$", "pbkdf2-sha512"}, {"$pbkdf2$", "pbkdf2 with SHA-1"},
		{"$1$", "md5-crypt"}, {"$5$", "sha256-crypt"}, {"$6$", "sha512-crypt"}, {"{SSHA}", "salted SHA-1"}, {"pbkdf2_sha256$", "Django's form of pbkdf2"},
	} {
		if strings.HasPrefix(encoded, format[0]) {
			return format[1]
		}
	}
	return ""
}
