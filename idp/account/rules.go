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

// Bounds of what people choose.
const (
	// MinPassword and MaxPassword count characters, MaxPasswordBytes bytes.
	MinPassword      = 12
	MaxPassword      = 128
	MaxPasswordBytes = 512
	// MaxEmail is the longest address that a mail path can carry (RFC 5321
	// §4.5.3.1.3, erratum 1690), in bytes.
	MaxEmail = 254
)

// NormalizeEmail gives the form in which an address is kept: as typed, without
// surrounding space, the domain in lower case. The part before the @ keeps its
// case, for it is the receiving server's to interpret; look-ups ignore case all
// the same. Anything but a bare address gives an *InputError.
func NormalizeEmail(address string) (string, error) {
	address = strings.TrimSpace(address)
	invalid := &InputError{"email", "invalid", "not an e-mail address"}
	if len(address) > MaxEmail {
		return "", &InputError{"email", "too_long", fmt.Sprintf("longer than %d bytes", MaxEmail)}
	}
	// net/mail reads "Name <a@b>", comments and quoted local parts too. What
	// it read must be the whole input, so none of them passes.
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Address != address || parsed.Name != "" || strings.ContainsFunc(address, notInEmail) {
		return "", invalid
	}
	at := strings.LastIndexByte(address, '@')
	local, domain := address[:at], strings.ToLower(address[at+1:])
	// The lower case of a letter can be longer than the letter.
	if len(local) > 64 || strings.ContainsAny(domain, "[]") || len(local)+1+len(domain) > MaxEmail {
		return "", invalid
	}
	return local + "@" + domain, nil
}

// notInEmail is true for runes that are never part of an address we keep:
// controls would reach mail headers and logs, and no assertion could be written
// of what XML cannot carry (XML 1.0 §2.2).
func notInEmail(r rune) bool {
	return unicode.IsControl(r) || unicode.IsSpace(r) || r == utf8.RuneError || r == '\ufffe' || r == '\uffff' ||
		unicode.Is(unicode.Cf, r) || r == '"'
}

// CheckNewPassword reports, as an *InputError, why a password cannot be chosen:
// shorter than MinPassword, too long, or made of the address.
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
		return &InputError{"password", "contains_email", "contains the e-mail address"}
	}
	return nil
}

// WeakPassword reports whether a password is among those that are tried first.
// An operator who sets one for another person is warned of it and not refused:
// it may be for a day, or for a test.
func WeakPassword(password string) bool {
	lower := strings.ToLower(password)
	runes := []rune(lower)
	slices.Sort(runes)
	return len(slices.Compact(runes)) < 5 || isCommon(lower)
}

// isHashable reports whether a password is short enough to be hashed at all. The
// bound keeps a request from choosing how much work it causes.
func isHashable(password string) bool {
	return len(password) <= MaxPasswordBytes && utf8.RuneCountInString(password) <= MaxPassword
}

// normalPassword is what gets hashed: keyboards differ in how they compose an
// accented letter (RFC 8265 §4.2.2 asks for NFC).
func normalPassword(password string) []byte { return norm.NFC.Bytes([]byte(password)) }

// isCommon reports whether a lower-case password is one of those that are tried
// first. Of the usual lists hardly an entry has MinPassword characters; what is
// left are the short ones repeated or strung together.
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

// commonWords are the building blocks of the passwords that everybody picks.
var commonWords = []string{
	"password", "passwort", "passw0rd", "p@ssw0rd", "p@ssword", "motdepasse", "contraseña",
	"qwerty", "qwertz", "azerty", "qwertyuiop", "asdf", "asdfghjkl", "zxcvbnm", "1q2w3e4r", "1qaz2wsx", "qazwsx",
	"abc", "abcdef", "abcdefgh", "letmein", "welcome", "admin", "login", "iloveyou", "monkey", "dragon",
	"football", "baseball", "sunshine", "princess", "changeme", "secret", "test", "user", "hello",
	"correcthorsebatterystaple", "correct", "horse", "battery", "staple",
	"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "!", ".", "-", "_", " ", "@", "#", "$", "?",
}
