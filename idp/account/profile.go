package account

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"vernal/idp"
)

// LevelNone is the level of a user without a proofed identity.
const LevelNone = "none"

// maxProfileText is the longest value of a profile, in bytes.
const maxProfileText = 255

// maxAhead is how far an entered time may be in the future, because clocks differ.
const maxClockSkew = 5 * time.Minute

// InputErrors lists all problems of an input, at least one.
type InputErrors []*InputError

func (e InputErrors) Error() string {
	lines := make([]string, len(e))
	for i, problem := range e {
		lines[i] = problem.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find the first *InputError.
func (e InputErrors) Unwrap() []error {
	list := make([]error, len(e))
	for i, problem := range e {
		list[i] = problem
	}
	return list
}

// profileField is one text of a profile. locate returns its location. check returns the value in
// its stored form, or ok false if it breaks the rule.
type profileField struct {
	name   string
	locate func(*idp.Profile) *string
	check  func(string) (kept string, ok bool)
	rule   string
}

var profileFields = []profileField{
	{"first_name", func(p *idp.Profile) *string { return &p.FirstName }, cleanText, textRule},
	{"middle_name", func(p *idp.Profile) *string { return &p.MiddleName }, cleanText, textRule},
	{"last_name", func(p *idp.Profile) *string { return &p.LastName }, cleanText, textRule},
	{"address1", func(p *idp.Profile) *string { return &p.Address1 }, cleanText, textRule},
	{"address2", func(p *idp.Profile) *string { return &p.Address2 }, cleanText, textRule},
	{"city", func(p *idp.Profile) *string { return &p.City }, cleanText, textRule},
	{"state", func(p *idp.Profile) *string { return &p.State }, cleanText, textRule},
	{"zipcode", func(p *idp.Profile) *string { return &p.Zipcode }, cleanZIP, "must be five digits, or a ZIP+4 code of which the first five are kept"},
	{"dob", func(p *idp.Profile) *string { return &p.DOB }, nil, "must be a date of the form YYYY-MM-DD, from 1900 on and not in the future"},
	{"ssn", func(p *idp.Profile) *string { return &p.SSN }, newMatcher(ssnPattern), "must be nine digits, for example 123456789 or 123-45-6789"},
	{"phone", func(p *idp.Profile) *string { return &p.Phone }, newMatcher(phonePattern), "must be in E.164 form: +, the country code and the number, without spaces, for example +12025550123"},
}

var (
	ssnPattern   = regexp.MustCompile(`^(?:[0-9]{9}|[0-9]{3}-[0-9]{2}-[0-9]{4})$`)
	phonePattern = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	zipPattern   = regexp.MustCompile(`^[0-9]{5}(?:-?[0-9]{4})?$`)
)

const textRule = "must be visible text of at most 255 bytes, without control characters"

// cleanText accepts text that XML can carry and a page can show. A service provider shows it beside
// other text, so it must not change the writing direction of the text after it. Direction marks
// that occur in names only affect the characters next to them.
func cleanText(s string) (string, bool) {
	s = norm.NFC.String(s)
	return s, isOneLine(s) && len(s) <= maxProfileText && !strings.ContainsFunc(s, changesDirection) && (s == "" || isVisible(s))
}

// changesDirection reports whether a rune embeds, overrides or isolates a direction
// of writing (UAX #9 §2.1, §2.2, §2.4).
func changesDirection(r rune) bool {
	return r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

// isVisible reports whether a text has a visible character.
func isVisible(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsGraphic(r) && !unicode.IsSpace(r) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
	})
}

// isOneLine reports whether XML and a single line of text can carry s.
func isOneLine(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\ufffe' || r == '\uffff'
	})
}

func cleanZIP(s string) (string, bool) {
	return s[:min(5, len(s))], zipPattern.MatchString(s)
}

func newMatcher(pattern *regexp.Regexp) func(string) (string, bool) {
	return func(s string) (string, bool) { return s, pattern.MatchString(s) }
}

// isDateOfBirth reports whether s is a date on which a living user can have been born.
func isDateOfBirth(s string, now time.Time) bool {
	day, err := time.Parse(time.DateOnly, s)
	// In time zones ahead of UTC, it can already be tomorrow.
	return err == nil && day.Year() >= 1900 && !day.After(now.AddDate(0, 0, 1))
}

// CheckProfile returns the stored form of a profile, or InputErrors with all problems. Names
// are required. Other missing values were not proofed.
func CheckProfile(p *idp.Profile, now time.Time) (*idp.Profile, error) {
	stored := *p
	stored.VerifiedAt = p.VerifiedAt.UTC()
	var problems InputErrors
	if p.Level != idp.IALVerified && p.Level != idp.IALFacialMatch {
		problems = append(problems, &InputError{"level", "invalid", "must be verified or facial-match"})
	}
	if p.VerifiedAt.After(now.Add(maxClockSkew)) {
		problems = append(problems, &InputError{"verified_at", "invalid", "is in the future"})
	}
	for _, f := range profileFields {
		value := f.locate(&stored)
		*value = strings.TrimSpace(*value)
		if *value == "" {
			if f.name == "first_name" || f.name == "last_name" {
				problems = append(problems, &InputError{f.name, "missing", "is missing: a proofed identity has a name"})
			}
			continue
		}
		ok := false
		if f.name == "dob" {
			ok = isDateOfBirth(*value, now)
		} else {
			*value, ok = f.check(*value)
		}
		if !ok {
			problems = append(problems, &InputError{f.name, "invalid", f.rule})
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return &stored, nil
}

// ProfileFields returns the names of the values in a profile, none for nil.
func ProfileFields(p *idp.Profile) []string {
	names := []string{}
	if p == nil {
		return names
	}
	for _, f := range profileFields {
		if *f.locate(p) != "" {
			names = append(names, f.name)
		}
	}
	return names
}

// MissingFields returns the names of the values that service providers may ask for and that
// were not proofed, except those that many users do not have.
func MissingFields(p *idp.Profile) []string {
	names := []string{}
	for _, f := range profileFields {
		if *f.locate(p) == "" && !slices.Contains([]string{"middle_name", "address2", "phone"}, f.name) {
			names = append(names, f.name)
		}
	}
	return names
}

// getLevel returns the identity level, LevelNone for nil.
func getLevel(p *idp.Proofing) string {
	if p == nil {
		return LevelNone
	}
	return p.Level
}

// changedFields returns the names of the values in which two profiles differ.
func changedFields(before, after *idp.Profile) []string {
	b, a := cmp.Or(before, new(idp.Profile)), cmp.Or(after, new(idp.Profile))
	names := []string{}
	if b.Level != a.Level {
		names = append(names, "level")
	}
	if !b.VerifiedAt.Equal(a.VerifiedAt) {
		names = append(names, "verified_at")
	}
	for _, f := range profileFields {
		if *f.locate(b) != *f.locate(a) {
			names = append(names, f.name)
		}
	}
	return names
}

// Profile unseals a user's proofed identity. It returns nil for a user without one.
func (s *Service) Profile(ctx context.Context, u *idp.User) (*idp.Profile, error) {
	if u.Proofing == nil {
		return nil, nil
	}
	p, err := s.Store.Profile(ctx, u.ID)
	if errors.Is(err, idp.ErrNotFound) {
		return nil, nil // it was removed after u was read
	}
	if err != nil {
		return nil, fmt.Errorf("unseal profile: %w", err)
	}
	return p, nil
}

// VerifyResult is the result of Verify.
type VerifyResult struct {
	User *idp.User
	// Profile is the user's profile after the change, nil without one.
	Profile *idp.Profile
	// Before and After are levels: LevelNone, verified or facial-match.
	Before, After string
	// ChangedFields lists the changed values, including level and verified_at.
	ChangedFields []string
}

// Verify replaces a user's proofed identity, or removes it with nil. VerifiedAt is set to now if it
// is missing. It ends a pause of the proofed identity. A dry run changes nothing and returns the
// changes that Verify would make.
//
// Sessions continue, because they hold the factors that the user has proved, and every request
// reads the proofed identity from the user's record. Errors: InputErrors; idp.ErrNotFound.
func (s *Service) Verify(ctx context.Context, email string, profile *idp.Profile, dryRun bool, actor string) (*VerifyResult, error) {
	u, err := s.Lookup(ctx, email)
	if err != nil {
		return nil, err
	}
	now := s.Clock.Now().Truncate(time.Second)
	if profile != nil {
		if profile, err = CheckProfile(profile, now); err != nil {
			return nil, err
		}
		profile.VerifiedAt = cmp.Or(profile.VerifiedAt, now)
	}
	before, err := s.Profile(ctx, u)
	if err != nil {
		return nil, err
	}
	result := &VerifyResult{
		User: u, Profile: profile, Before: getLevel(before.Proofing()), After: getLevel(profile.Proofing()), ChangedFields: changedFields(before, profile),
	}
	if profile != nil && !u.ProofingPausedAt.IsZero() {
		result.ChangedFields = append(result.ChangedFields, "paused") // also with the same values
	}
	if !dryRun && len(result.ChangedFields) > 0 {
		e := newChangeEvent(idp.AuditUserVerify, u.ID, actor)
		e.Detail = map[string]string{"level": result.After, "fields": strings.Join(result.ChangedFields, " ")}
		if err := s.Store.SetProfile(ctx, u.ID, profile, now, e); err != nil {
			return nil, fmt.Errorf("user.verify: %w", err)
		}
	}
	u.Proofing, u.ProofingPausedAt = profile.Proofing(), time.Time{}
	return result, nil
}
