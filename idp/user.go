package idp

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

// User is a user who can sign in. Stores keep it sealed because all of it is personal data or
// secret. The proofed identity is a separate record; see Profile.
type User struct {
	ID UserID `json:"id"`
	// Emails are the user's email addresses, the primary one first. An email address
	// belongs to at most one user.
	Emails []Email `json:"emails"`
	// ReservedEmails are the hashes (HashEmail) of email addresses that were disclosed to a service
	// provider as a NameID and then removed. No other user may get them, because the service
	// provider would take that user for this one. Only the store adds them.
	ReservedEmails [][]byte `json:"reserved_emails,omitempty"`
	// PasswordHash is in PHC form: "$argon2id$…" or "$pbkdf2-sha256$…".
	PasswordHash      string    `json:"password_hash,omitempty"`
	PasswordChangedAt time.Time `json:"password_changed_at,omitzero"`
	TOTPs             []TOTP    `json:"totps,omitempty"`
	// Devices are the browsers that remember the user, oldest first. Every change to how
	// the user signs in removes them all.
	Devices []RememberedDevice `json:"devices,omitempty"`
	// Proofing is the part of the user's Profile that decisions need; nil without a
	// Profile. Only the store sets it, together with the Profile and derived from it.
	Proofing *Proofing `json:"proofed,omitempty"`
	Role     string    `json:"role,omitempty"`
	// LockedAt is when an operator locked the account; zero while it is not locked.
	LockedAt   time.Time `json:"locked_at,omitzero"`
	LockReason string    `json:"lock_reason,omitempty"`
	// UnlockedAt is when an operator last unlocked the account; zero for never.
	UnlockedAt time.Time `json:"unlocked_at,omitzero"`
	// Inactive are the notices that the account will be locked because it is not used; nil
	// for none.
	Inactive *InactiveNotices `json:"inactive,omitempty"`
	// Lang is the language of mails to the user, "" for the installation's first.
	Lang string `json:"lang,omitempty"`
	// RecoveryCodes are the user's current set of recovery codes; nil for none.
	RecoveryCodes *RecoveryCodes `json:"recovery_codes,omitempty"`
	// Browsers are the browsers in which the user signed in, oldest first. A sign-in in another
	// one is notified to the user.
	Browsers []KnownBrowser `json:"browsers,omitempty"`
	// Services are the service providers that the user signed in to since there are records.
	Services []ConnectedService `json:"services,omitempty"`
	// ProofingPausedAt is when the password was reset by mail; zero otherwise. The proofed
	// identity is not disclosed until the user enters a recovery code or is proofed again.
	ProofingPausedAt time.Time `json:"proofing_paused_at,omitzero"`
	// FactorResetAt is when the second factors will be removed because an operator began a
	// reset; DeletionAt is when the account will be deleted. Both are zero for never, and the
	// user can cancel both.
	FactorResetAt time.Time `json:"factor_reset_at,omitzero"`
	DeletionAt    time.Time `json:"deletion_at,omitzero"`
	// Accepted are the texts of the operator that the user accepted.
	Accepted  *AcceptedTexts `json:"accepted,omitempty"`
	CreatedAt time.Time      `json:"created_at"`
	UpdatedAt time.Time      `json:"updated_at"`
}

// LinkStamp identifies the state of the account on which mailed links depend. Each new password
// changes it, so that links mailed before it no longer work.
func (u *User) LinkStamp() string { return u.PasswordChangedAt.UTC().Format(time.RFC3339Nano) }

// HasSecondFactor reports whether the user has a factor beside the password that a sign-in can ask
// for. Recovery codes only replace one.
func (u *User) HasSecondFactor() bool { return len(u.TOTPs) > 0 }

// ActiveProofing is the Proofing that counts and may be disclosed: nil while it is paused.
func (u *User) ActiveProofing() *Proofing {
	if !u.ProofingPausedAt.IsZero() {
		return nil
	}
	return u.Proofing
}

// AcceptedTexts are the versions of the operator's texts that a user accepted: hashes of the texts.
type AcceptedTexts struct {
	Rules   string    `json:"rules,omitempty"`
	Privacy string    `json:"privacy,omitempty"`
	At      time.Time `json:"at"`
}

// Email is one email address of a user.
type Email struct {
	Address      string    `json:"address"`
	ConfirmedAt  time.Time `json:"confirmed_at,omitzero"`
	LastSignInAt time.Time `json:"last_sign_in_at,omitzero"`
	// DisclosedTo are the service providers that received the email address as a NameID.
	// It identifies the user to them and to no other provider.
	DisclosedTo []EntityID `json:"disclosed_to,omitempty"`
}

// HashEmail returns the SHA-256 of an email address without case. The store seals it, because an email
// address can be guessed.
func HashEmail(address string) []byte {
	sum := sha256.Sum256([]byte(strings.ToLower(address)))
	return sum[:]
}

// DisclosedEmail returns the user's email address that equals address, ignoring case, if the
// provider received it as a NameID; nil otherwise.
func (u *User) DisclosedEmail(provider EntityID, address string) *Email {
	for i := range u.Emails {
		if e := &u.Emails[i]; strings.EqualFold(e.Address, address) && slices.Contains(e.DisclosedTo, provider) {
			return e
		}
	}
	return nil
}

// TOTPStepsAhead is how many steps ahead of its clock a server accepts codes, because the user's
// clock may be fast.
const TOTPStepsAhead = 1

// TOTP is one authenticator application or token (RFC 6238).
type TOTP struct {
	Name string `json:"name"`
	// Secret is the shared key, raw bytes.
	Secret []byte `json:"secret"`
	// Period is the length of a step in seconds: 30 or 60.
	Period int `json:"period"`
	// LastStep is the newest accepted step. A code of this step or an older one is a
	// replay; see account.CheckTOTP.
	LastStep int64     `json:"last_step"`
	AddedAt  time.Time `json:"added_at"`
}

// ID identifies the authenticator among those of its user. It does not disclose the secret.
func (t TOTP) ID() string {
	sum := sha256.Sum256(append([]byte("vernal totp\x00"), t.Secret...))
	return hex.EncodeToString(sum[:8])
}

// TOTP returns the authenticator of the user with an ID, nil without one.
func (u *User) TOTP(id string) *TOTP {
	for i := range u.TOTPs {
		if u.TOTPs[i].ID() == id {
			return &u.TOTPs[i]
		}
	}
	return nil
}

// Proofing records that a user's identity was proofed, without any identity data.
type Proofing struct {
	// Level is IALVerified or IALFacialMatch.
	Level string `json:"level"`
	// VerifiedAt is when the identity was proofed; zero if unknown.
	VerifiedAt time.Time `json:"verified_at,omitzero"`
}

// Equal reports whether p and q are equal. Two nil pointers are equal.
func (p *Proofing) Equal(q *Proofing) bool {
	if p == nil || q == nil {
		return p == q
	}
	return p.Level == q.Level && p.VerifiedAt.Equal(q.VerifiedAt)
}

// Profile is a user's proofed identity. Stores seal it apart from the User. It is unsealed
// only to be released, exported, compared with another Profile or described by the names of
// its values. A sign-in that releases none of it does not read it.
//
// An empty value was not proofed, and a service provider that asks for it gets an empty
// attribute. The fields are named after the attributes. Package account checks the formats.
type Profile struct {
	// Level is IALVerified or IALFacialMatch.
	Level string `json:"level"`
	// VerifiedAt is when the identity was proofed; zero if unknown.
	VerifiedAt time.Time `json:"verified_at,omitzero"`
	FirstName  string    `json:"first_name,omitempty"`
	MiddleName string    `json:"middle_name,omitempty"`
	LastName   string    `json:"last_name,omitempty"`
	Address1   string    `json:"address1,omitempty"`
	Address2   string    `json:"address2,omitempty"`
	City       string    `json:"city,omitempty"`
	State      string    `json:"state,omitempty"`
	// Zipcode has five digits.
	Zipcode string `json:"zipcode,omitempty"`
	// DOB is the date of birth, YYYY-MM-DD.
	DOB string `json:"dob,omitempty"`
	// SSN has nine digits, with or without the two dashes, as proofed.
	SSN string `json:"ssn,omitempty"`
	// Phone is in E.164 form: "+12025550123".
	Phone string `json:"phone,omitempty"`
}

// Proofing returns the Proofing that belongs in the User; nil for nil.
func (p *Profile) Proofing() *Proofing {
	if p == nil {
		return nil
	}
	return &Proofing{Level: p.Level, VerifiedAt: p.VerifiedAt}
}

// InactiveNotices are the times at which a user was notified that the account will be locked. They
// count only for the time since LastUsedAt.
type InactiveNotices struct {
	FirstAt time.Time `json:"first_at"`
	// LastAt is zero before the last notice.
	LastAt time.Time `json:"last_at,omitzero"`
}

// LastUsedAt returns when the account was last used: by a sign-in or, before one, when it was
// created. An operator who unlocks an account expects that it will be used.
func (u *User) LastUsedAt() time.Time {
	last := u.CreatedAt
	use := func(at time.Time) {
		if at.After(last) {
			last = at
		}
	}
	use(u.UnlockedAt)
	for _, e := range u.Emails {
		use(e.LastSignInAt)
	}
	for _, s := range u.Services {
		use(s.LastAt)
	}
	return last
}

// PrimaryEmail returns the user's first email address, or "".
func (u *User) PrimaryEmail() string {
	if len(u.Emails) == 0 {
		return ""
	}
	return u.Emails[0].Address
}

// ExpireUntil expires the devices, codes and plans that the user may have removed, used or canceled
// before the given time without a record here. Devices remembered until then are forgotten, all
// steps whose codes were accepted until then count as used, and a deletion or reset that was planned
// until then must be planned again. A store calls it for each user that it reads after a restore.
func (u *User) ExpireUntil(at time.Time) {
	if at.IsZero() {
		return
	}
	u.Devices = slices.DeleteFunc(u.Devices, func(d RememberedDevice) bool { return !d.At.After(at) })
	for i := range u.TOTPs {
		if t := &u.TOTPs[i]; t.Period > 0 && !t.AddedAt.After(at) {
			t.LastStep = max(t.LastStep, at.Unix()/int64(t.Period)+TOTPStepsAhead)
		}
	}
	if !u.UpdatedAt.After(at) { // every plan sets it
		u.DeletionAt, u.FactorResetAt = time.Time{}, time.Time{}
	}
}

// IsLocked reports whether an operator has locked the account.
func (u *User) IsLocked() bool { return !u.LockedAt.IsZero() }

// ImportedUser is a user to add together with the NameIDs by which service providers already
// know the user.
type ImportedUser struct {
	User *User
	// Profile becomes the user's Profile and determines User.Proofing; nil for none.
	Profile *Profile
	// NameIDs become the NameIDs of the user, as if they had been issued here.
	NameIDs map[NameIDScope]NameID
	// IsDeleted is true for a user deleted at the source. Only User.ID, User.ReservedEmails and
	// the NameIDs are stored, so that no other user gets them.
	IsDeleted bool
	// AlreadyExists is true for a user who already exists here: the NameIDs are added to the
	// user's own. Only the ID of User is used, its ReservedEmails, which are added, and
	// DisclosedTo of its Emails, which is added to the same email address, compared without case.
	AlreadyExists bool
	// Event is recorded if the user is added. An event without a Kind is not recorded.
	Event AuditEvent
}
