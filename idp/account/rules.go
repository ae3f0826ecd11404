package account

import (
	"fmt"
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"vernal/idp/blocklist"
)

// Limits of the values that users choose.
const (
	// MinPassword and MaxPassword count characters. MaxPasswordBytes counts bytes.
	MinPassword      = 12
	MaxPassword      = 128
	MaxPasswordBytes = 512
	// MaxEmail is the longest email address that a mail path can carry (RFC 5321
	// §4.5.3.1.3, erratum 1690), in bytes.
	MaxEmail = 254
)

// NormalizeEmail returns the stored form of an email address: as typed, without surrounding
// space, the domain in lower case. The part before the @ keeps its case, because only the
// receiving server may interpret it. Look-ups ignore case. Any other text is an *InputError.
func NormalizeEmail(email string) (string, error) {
	email = strings.TrimSpace(email)
	invalid := &InputError{"email", "invalid", "must be an email address, for example name@example.gov"}
	if len(email) > MaxEmail {
		return "", &InputError{"email", "too_long", fmt.Sprintf("must have at most %d bytes", MaxEmail)}
	}
	// net/mail also accepts "Name <a@b>", comments and quoted local parts. Its result must
	// equal the whole input, so none of them passes.
	parsed, err := mail.ParseAddress(email)
	if err != nil || parsed.Address != email || parsed.Name != "" || strings.ContainsFunc(email, isForbiddenInEmail) {
		return "", invalid
	}
	at := strings.LastIndexByte(email, '@')
	local, domain := email[:at], strings.ToLower(email[at+1:])
	// The lower-case form of a letter can be longer.
	if len(local) > 64 || strings.ContainsAny(domain, "[]") || len(local)+1+len(domain) > MaxEmail {
		return "", invalid
	}
	return local + "@" + domain, nil
}

// isForbiddenInEmail reports whether a rune is never part of a stored email address: controls would
// reach mail headers and logs, and an assertion cannot contain characters that XML cannot carry
// (XML 1.0 §2.2).
func isForbiddenInEmail(r rune) bool {
	return unicode.IsControl(r) || unicode.IsSpace(r) || r == utf8.RuneError || r == '\ufffe' || r == '\uffff' ||
		unicode.Is(unicode.Cf, r) || r == '"'
}

// CheckNewPassword returns an *InputError if a user must not choose a password: if checkPassword
// refuses it, or if it is among the first guesses of an attacker. The context contains texts that
// make it easier to guess, such as the name of the service.
func CheckNewPassword(password, email string, context ...string) error {
	if err := checkPassword(password, email); err != nil {
		return err
	}
	if blocklist.IsCommon(password, append([]string{email}, context...)...) {
		return &InputError{"password", "common", "must not be one of the passwords that attackers try first, such as a common word with a year"}
	}
	return nil
}

// checkPassword returns an *InputError if an account cannot have a password: if it is shorter than
// MinPassword, too long, or contains the email address.
func checkPassword(password, email string) error {
	switch n := utf8.RuneCountInString(password); {
	case !utf8.ValidString(password):
		return &InputError{"password", "invalid", "must be valid UTF-8"}
	case n < MinPassword:
		return &InputError{"password", "too_short", fmt.Sprintf("must have at least %d characters", MinPassword)}
	case !isHashable(password):
		return &InputError{"password", "too_long", fmt.Sprintf("must have at most %d characters and %d bytes", MaxPassword, MaxPasswordBytes)}
	case strings.ContainsFunc(password, unicode.IsControl):
		return &InputError{"password", "invalid", "must not contain control characters"}
	}
	lower := strings.ToLower(password)
	if email != "" && strings.Contains(lower, strings.ToLower(email)) {
		return &InputError{"password", "contains_email", "must not contain the email address"}
	}
	return nil
}

// IsWeakPassword reports whether a password is among the first guesses. An operator who sets one
// for a user gets a warning and no refusal, because it may be temporary or for a test.
func IsWeakPassword(password string) bool {
	return isHashable(password) && blocklist.IsCommon(password)
}

// isHashable reports whether a password is short enough to be hashed. The limit keeps a
// request from choosing how much work it causes.
func isHashable(password string) bool {
	return len(password) <= MaxPasswordBytes && utf8.RuneCountInString(password) <= MaxPassword
}

// normalizePassword returns the form to hash. Keyboards differ in how they compose an accented
// letter (RFC 8265 §4.2.2 requires NFC).
func normalizePassword(password string) []byte { return norm.NFC.Bytes([]byte(password)) }
