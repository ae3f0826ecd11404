package account

import (
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Limits of the values that users choose.
const (
	// MinPassword and MaxPassword count characters, MaxPasswordBytes bytes.
	MinPassword      = 12
	MaxPassword      = 128
	MaxPasswordBytes = 512
	// MaxEmail is the longest email address that a mail path can carry (RFC 5321
	// §4.5.3.1.3, erratum 1690), in bytes.
	MaxEmail = 254
)

// NormalizeEmail returns the stored form of an email address: as typed, without surrounding
// space, the domain in lower case. The part before the @ keeps its case, because only the
// receiving server may interpret it. Look-ups ignore case anyway. Anything but a bare email
// address is an *InputError.
func NormalizeEmail(address string) (string, error) {
	address = strings.TrimSpace(address)
	invalid := &InputError{"email", "invalid", "not an email address"}
	if len(address) > MaxEmail {
		return "", &InputError{"email", "too_long", fmt.Sprintf("longer than %d bytes", MaxEmail)}
	}
	// net/mail also accepts "Name <a@b>", comments and quoted local parts. Its result must
	// equal the whole input, so none of them passes.
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Address != address || parsed.Name != "" || strings.ContainsFunc(address, isForbiddenInEmail) {
		return "", invalid
	}
	at := strings.LastIndexByte(address, '@')
	local, domain := address[:at], strings.ToLower(address[at+1:])
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

// CheckNewPassword returns an *InputError if a password is not acceptable: shorter than
// MinPassword, too long, or derived from the email address.
func CheckNewPassword(password, address string) error {
	switch n := utf8.RuneCountInString(password); {
	case !utf8.ValidString(password):
		return &InputError{"password", "invalid", "not valid UTF-8"}
	case n < MinPassword:
		return &InputError{"password", "too_short", fmt.Sprintf("shorter than %d characters", MinPassword)}
	case !isHashable(password):
		return &InputError{"password", "too_long", fmt.Sprintf("longer than %d characters or %d bytes", MaxPassword, MaxPasswordBytes)}
	case strings.ContainsFunc(password, unicode.IsControl):
		return &InputError{"password", "invalid", "contains control characters"}
	}
	lower := strings.ToLower(password)
	if address != "" && strings.Contains(lower, strings.ToLower(address)) {
		return &InputError{"password", "contains_email", "contains the email address"}
	}
	return nil
}

// IsWeakPassword reports whether a password is among the first guesses. An operator who sets one
// for a user gets a warning and no refusal, because it may be temporary or for a test.
func IsWeakPassword(password string) bool {
	lower := strings.ToLower(password)
	runes := []rune(lower)
	slices.Sort(runes)
	return len(slices.Compact(runes)) < 5 || isCommon(lower)
}

// isHashable reports whether a password is short enough to be hashed. The limit keeps a
// request from choosing how much work it causes.
func isHashable(password string) bool {
	return len(password) <= MaxPasswordBytes && utf8.RuneCountInString(password) <= MaxPassword
}

// normalizePassword returns the form to hash. Keyboards differ in how they compose an accented
// letter (RFC 8265 §4.2.2 requires NFC).
func normalizePassword(password string) []byte { return norm.NFC.Bytes([]byte(password)) }

// isCommon reports whether a lower-case password is one of the first guesses. The usual lists
// contain hardly any entry of MinPassword characters, so it looks for short entries repeated
// or combined.
func isCommon(password string) bool {
	for password != "" {
		n := 0
		for _, w := range commonWords {
			if strings.HasPrefix(password, w) {
				n = max(n, len(w))
			}
		}
		if n == 0 {
			return false
		}
		password = password[n:]
	}
	return true
}

// commonWords are the building blocks of the most common passwords.
var commonWords = []string{
	"password", "passwort", "passw0rd", "p@ssw0rd", "p@ssword", "motdepasse", "contraseña",
	"qwerty", "qwertz", "azerty", "qwertyuiop", "asdf", "asdfghjkl", "zxcvbnm", "1q2w3e4r", "1qaz2wsx", "qazwsx",
	"abc", "abcdef", "abcdefgh", "letmein", "welcome", "admin", "login", "iloveyou", "monkey", "dragon",
	"football", "baseball", "sunshine", "princess", "changeme", "secret", "test", "user", "hello",
	"correcthorsebatterystaple", "correct", "horse", "battery", "staple",
	"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "!", ".", "-", "_", " ", "@", "#", "$", "?",
}
