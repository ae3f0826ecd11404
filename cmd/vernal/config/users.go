package config

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"vernal/idp/account"
)

const (
	// minInactiveAfter leaves room for the mails 30 and 7 days before an account is locked.
	minInactiveAfter = 60 * 24 * time.Hour
	// maxUserText bounds a text that users accept, in bytes.
	maxUserText = 100 << 10
	// filePrefix begins the value of a text that is in a file.
	filePrefix = "file:"
)

func (v *validator) checkUsers() {
	u := &v.config.Users
	v.checkOneOf("users.sign_up", u.SignUp, string(account.SignUpOpen), string(account.SignUpByInvitation), string(account.SignUpOff))
	hasMail := v.config.Mail.Server != ""
	if u.SignUp == string(account.SignUpOpen) && !hasMail {
		v.add("users.sign_up", "open needs a mail server, because users confirm their email address: set mail.server, or use invite")
	}
	switch {
	case u.InactiveAfter == 0:
	case u.InactiveAfter < minInactiveAfter:
		v.add("users.inactive_after", "%s is under 60 days: set 60d or more, or 0 to turn it off", u.InactiveAfter)
	case !hasMail:
		v.add("users.inactive_after", "needs a mail server, because users are notified before their account is locked: set mail.server, or 0 to turn it off")
	}
	v.config.userTexts = map[string]map[string]string{
		"rules":      v.readUserText("users.rules", u.Rules),
		"privacy":    v.readUserText("users.privacy", u.Privacy),
		"system_use": v.readUserText("users.system_use", u.SystemUse),
	}
	if !v.config.Factors.TOTP {
		v.add("factors.totp", "cannot be false, because there is no other second factor yet: set true")
	}
}

// readUserText returns a text in all languages of the pages. A text in some of them only is
// refused, because users of the others would accept nothing.
func (v *validator) readUserText(key string, l Localized) map[string]string {
	if l == (Localized{}) {
		return nil
	}
	values := map[string]string{"": l.Text, "en": l.EN, "es": l.ES, "fr": l.FR}
	texts := make(map[string]string)
	var firstPath string
	for _, lang := range append([]string{""}, languages...) {
		path := strings.TrimSuffix(key+"."+lang, ".")
		if values[lang] == "" {
			continue
		}
		firstPath = cmp.Or(firstPath, path)
		text, err := v.config.readText(values[lang])
		if err != nil {
			v.add(path, "%v", err)
			return nil
		}
		texts[lang] = text
	}
	result := make(map[string]string)
	for _, lang := range v.config.Languages {
		text := cmp.Or(texts[lang], texts[""])
		if text == "" {
			v.add(firstPath, "the same text is needed in %q, which is one of languages: set %s.%s, or %s for all other languages", lang, key, lang, key)
		}
		result[lang] = text
	}
	return result
}

// readText returns a text, or the content of the file that it names. Errors do not quote the file.
func (c *Config) readText(value string) (string, error) {
	name, isFile := strings.CutPrefix(value, filePrefix)
	if isFile {
		name = c.Path(strings.TrimSpace(name))
		data, err := readSmallFile(name, maxUserText+1)
		if err != nil {
			return "", err
		}
		value = string(data)
	}
	source := "the text"
	if isFile {
		source = filepath.Clean(name)
	}
	value = strings.TrimPrefix(value, "\ufeff")
	value = strings.TrimSpace(strings.ReplaceAll(value, "\r\n", "\n"))
	isForbidden := func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }
	switch {
	case len(value) > maxUserText:
		return "", fmt.Errorf("%s is longer than %d kB: shorten it, or link to the full text", source, maxUserText>>10)
	case !utf8.ValidString(value):
		return "", fmt.Errorf("%s is not UTF-8: save it as UTF-8", source)
	case strings.ContainsFunc(value, isForbidden):
		return "", fmt.Errorf("%s contains control characters: use plain text", source)
	case value == "":
		return "", fmt.Errorf("%s is empty: write the text, or remove the key", source)
	}
	return value, nil
}

// AccountSettings returns the choices about accounts, which Load has checked.
func (c *Config) AccountSettings() account.Settings {
	return account.Settings{
		SignUp:        account.SignUpMode(c.Users.SignUp),
		InactiveAfter: c.Users.InactiveAfter,
		Rules:         c.userTexts["rules"], Privacy: c.userTexts["privacy"], SystemUse: c.userTexts["system_use"],
		NoConsent:       !c.Consent,
		NoRecoveryCodes: !c.Factors.RecoveryCodes,
	}
}
