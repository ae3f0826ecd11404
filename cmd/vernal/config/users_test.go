package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp/account"
)

const mailServer = "mail: {server: \"localhost:25\", tls: none, from: a@agency.example}\n"

func TestAccountSettings(t *testing.T) {
	t.Parallel()
	c, err := loadBranding(t, mailServer+`users:
  sign_up: open
  inactive_after: 400d
  rules: |
    Be kind.

    Be brief.
  rules.es: file:reglas.txt
  privacy: {en: We keep little., es: Guardamos poco., fr: Nous gardons peu.}
  system_use: "Monitored.\nAlways."
consent: false
factors:
  recovery_codes: false
`, map[string]string{"reglas.txt": "\ufeffSea amable.\r\n\r\nSea breve.\r\n"})
	if err != nil {
		t.Fatal(err)
	}
	want := account.Settings{
		SignUp: account.SignUpOpen, InactiveAfter: 400 * 24 * time.Hour,
		Rules:     map[string]string{"en": "Be kind.\n\nBe brief.", "es": "Sea amable.\n\nSea breve.", "fr": "Be kind.\n\nBe brief."},
		Privacy:   map[string]string{"en": "We keep little.", "es": "Guardamos poco.", "fr": "Nous gardons peu."},
		SystemUse: map[string]string{"en": "Monitored.\nAlways.", "es": "Monitored.\nAlways.", "fr": "Monitored.\nAlways."},
		NoConsent: true, NoRecoveryCodes: true,
	}
	if diff := cmp.Diff(want, c.AccountSettings()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestAccountSettingsByDefault(t *testing.T) {
	t.Parallel()
	c, err := Load(writeFile(t, ""), emptyEnv)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(account.Settings{SignUp: account.SignUpByInvitation}, c.AccountSettings()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestSignUpOffIsText checks that off is the word, and not the boolean of older YAML.
func TestSignUpOffIsText(t *testing.T) {
	t.Parallel()
	c, err := Load(writeFile(t, "users:\n  sign_up: off\n"), emptyEnv)
	if err != nil || c.AccountSettings().SignUp != account.SignUpOff {
		t.Errorf("%q, %v", c.AccountSettings().SignUp, err)
	}
}

func TestAccountSettingsFromEnvironment(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"VERNAL_USERS_SIGN_UP": "off", "VERNAL_USERS_RULES": "Be kind.", "VERNAL_USERS_RULES_FR": "Soyez aimable.",
		"VERNAL_CONSENT": "false", "VERNAL_FACTORS_RECOVERY_CODES": "false",
	}
	var environ []string
	for name, value := range env {
		environ = append(environ, name+"="+value)
	}
	c, err := Load(writeFile(t, "users: {sign_up: invite}\n"), func(name string) string { return env[name] }, environ...)
	if err != nil {
		t.Fatal(err)
	}
	want := account.Settings{
		SignUp: account.SignUpOff, NoConsent: true, NoRecoveryCodes: true,
		Rules: map[string]string{"en": "Be kind.", "es": "Be kind.", "fr": "Soyez aimable."},
	}
	if diff := cmp.Diff(want, c.AccountSettings()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestAccountProblemsNameTheirLines checks that all problems are found at once, each with its line
// and key.
func TestAccountProblemsNameTheirLines(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"empty.txt": " \n", "control.txt": "secret\x00", "latin.txt": "secret \xe9", "long.txt": strings.Repeat("secret ", 20<<10),
	}
	for _, lines := range [][]struct{ key, value string }{
		{{"users.sign_up", "anyone"}, {"users.inactive_after", "59d"}, {"users.rules", "file:none.txt"}, {"users.privacy", "file:."}, {"users.system_use", "file:empty.txt"}, {"factors.totp", "false"}},
		{{"users.sign_up", "open"}, {"users.inactive_after", "60d"}, {"users.rules.es", "file:control.txt"}, {"users.privacy", "file:latin.txt"}, {"users.system_use", "file:long.txt"}},
	} {
		text, last := "", ""
		line, at := 0, map[string]int{}
		for _, l := range lines {
			section, key, _ := strings.Cut(l.key, ".")
			if section != last {
				text += section + ":\n"
				line++
			}
			last = section
			text += "  " + key + ": " + l.value + "\n"
			line++
			at[l.key] = line
		}
		_, err := loadBranding(t, text, files)
		invalid, ok := errors.AsType[*Error](err)
		if !ok {
			t.Fatalf("error %v", err)
		}
		for key, line := range at {
			place := fmt.Sprintf(":%d: %s: ", line, key)
			if !slices.ContainsFunc(invalid.Problems, func(p string) bool { return strings.Contains(p, place) }) {
				t.Errorf("no problem with %q in %q", place, invalid.Problems)
			}
		}
		if len(invalid.Problems) != len(lines) || strings.Contains(err.Error(), "secret") {
			t.Errorf("problems %q", invalid.Problems)
		}
	}
}

func TestInactiveAfterHasMinimum(t *testing.T) {
	t.Parallel()
	for value, isGood := range map[string]bool{"0": true, "1h": false, "59d": false, "-60d": false, "60d": true} {
		if _, err := Load(writeFile(t, mailServer+"users: {inactive_after: "+value+"}\n"), emptyEnv); (err == nil) != isGood {
			t.Errorf("%s: %v", value, err)
		}
	}
}

// TestUserTextsNeedEveryLanguage checks that no user accepts a text that is missing in the user's
// language.
func TestUserTextsNeedEveryLanguage(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"users: {rules: {en: Be kind.}}":                                            2,
		"users: {rules: {en: Be kind., es: Sea amable.}}":                           1,
		"languages: [es, en]\nusers: {rules: {en: Be kind., es: Sea amable.}}":      0,
		"languages: [en]\nusers: {rules: {es: Sea amable.}}":                        1,
		"users: {rules: Be kind., rules.es: Sea amable., system_use.fr: Surveillé}": 2,
	} {
		_, err := Load(writeFile(t, text+"\n"), emptyEnv)
		got := 0
		if invalid, ok := errors.AsType[*Error](err); ok {
			got = len(invalid.Problems)
		}
		if got != want {
			t.Errorf("%s: %d problems, want %d: %v", text, got, want, err)
		}
	}
}

// TestBackupKeepsAccountSettings checks that the configuration in a backup has the same choices.
func TestBackupKeepsAccountSettings(t *testing.T) {
	t.Parallel()
	c, err := loadBranding(t, mailServer+"users:\n  sign_up: open\n  inactive_after: 90d\n  rules: |\n    a\n\n    b\n  rules.fr: c\nconsent: false\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	restored, err := loadBranding(t, c.WithoutSecrets(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c.AccountSettings(), restored.AccountSettings()); diff != "" {
		t.Errorf("(-loaded +restored)\n%s", diff)
	}
}
