package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// secretKeys are the keys whose values can be secrets. A new key needs a decision here or in
// publicKeys.
var secretKeys = []string{"rotation.webhook.url"}

var publicKeys = []string{
	"base_url", "listen", "tls.cert", "tls.key", "trusted_proxies", "admin_listen", "admin_url", "data_dir", "master_key_file", "store",
	"rotation.automatic", "rotation.key_source", "rotation.pkcs11.module", "rotation.pkcs11.token", "rotation.pkcs11.pin_file",
	"rotation.key_bits", "rotation.make_on", "rotation.publish_on", "rotation.prefer_on", "rotation.certificate_end", "rotation.retire_on",
	"rotation.notify", "rotation.webhook.secret_file", "session.idle", "session.absolute",
	"users.sign_up", "users.inactive_after", "users.rules", "users.privacy", "users.system_use", "consent", "factors.totp", "factors.recovery_codes",
	"mail.server", "mail.from", "mail.tls", "mail.username", "mail.password_file",
	"branding.name", "branding.organization", "branding.organization_url", "branding.contact", "branding.logo", "branding.color",
	"branding.banner", "branding.support_email", "branding.support_url", "branding.help_url", "branding.privacy_url",
	"branding.accessibility_url", "branding.terms_url", "backup.every", "backup.dir", "backup.keep", "outbound.allow", "doctor.time_urls", "doctor.every", "languages", "log.format", "log.level",
}

// TestEveryKeyIsPublicOrSecret checks that no key was added without a decision.
func TestEveryKeyIsPublicOrSecret(t *testing.T) {
	t.Parallel()
	var public, secret []string
	for _, k := range Default().keys() {
		switch {
		case k.perLanguage:
		case k.secret:
			secret = append(secret, k.path)
		default:
			public = append(public, k.path)
		}
	}
	slices.Sort(publicKeys)
	slices.Sort(public)
	if diff := cmp.Diff(publicKeys, public); diff != "" {
		t.Errorf("public keys (-decided +declared):\n%s", diff)
	}
	if diff := cmp.Diff(secretKeys, secret); diff != "" {
		t.Errorf("secret keys (-decided +declared):\n%s", diff)
	}
}

// TestConfigWithoutSecrets plants a secret in every place that can hold one, and checks that
// it is gone and everything else has the same effect.
func TestConfigWithoutSecrets(t *testing.T) {
	t.Parallel()
	const planted = "hunter2"
	file := writeFile(t, `# the old password was hunter2
base_url: "https://login.example.gov" # hunter2
trusted_proxies: [127.0.0.1, "::1"]
admin_listen: ""
data_dir: data
rotation:
  automatic: false
  notify: [ops@example.gov, "b@example.gov"]
  webhook:
    url: https://hooks.example.gov/hunter2?token=hunter2
    secret_file: webhook.secret
mail: {server: "mail.example.gov:25", from: idp@example.gov, username: idp, password_file: mail.secret}
branding:
  name: "A: \"B\" #c"
  name.es: Identidad
backup: {every: 1d, dir: /backups, keep: 3}
session:
  idle: 10m
`)
	env := map[string]string{
		MasterKeyEnv: planted, PinEnv: planted, MailPasswordEnv: planted, WebhookSecretEnv: planted,
		"VERNAL_LISTEN": "127.0.0.1:9999", "VERNAL_ROTATION_WEBHOOK_URL": "https://hooks.example.gov/hunter2",
	}
	c, err := Load(file, func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	text := c.WithoutSecrets()
	if strings.Contains(text, planted) {
		t.Errorf("a secret is in the copy:\n%s", text)
	}
	copied := filepath.Join(filepath.Dir(file), "copy.yaml")
	if err := os.WriteFile(copied, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Load(copied, emptyEnv)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	c.Rotation.Webhook.URL = ""
	if diff := cmp.Diff(c, got, sameValues()); diff != "" {
		t.Errorf("(-loaded +copy):\n%s", diff)
	}
	moved, err := ForFolder(text, "/srv/vernal")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied, []byte(moved), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err = Load(copied, emptyEnv); err != nil || got.DataDir != "/srv/vernal" || got.BaseURL != c.BaseURL {
		t.Errorf("for another folder: %s, %v", got.DataDir, err)
	}
}

// TestBackupKeys checks the values, and then the folder.
func TestBackupKeys(t *testing.T) {
	t.Parallel()
	data, keys, open := t.TempDir(), "", filepath.Join(t.TempDir(), "open")
	keys = filepath.Join(data, "keys")
	for _, dir := range []string{keys, open} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(open, 0o755); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		every, dir string
		keep       int
		key        string // of the only problem, "" for none
		refused    bool
		unwritable bool
	}{
		{every: "0", keep: 14},
		{every: "24h", dir: t.TempDir() + "/sub", keep: 14, unwritable: true},
		{every: "1d", dir: data, keep: 1},
		{every: "1s", dir: data, keep: 14, key: "backup.every"},
		{every: "1h", keep: 14, key: "backup.dir"},
		{every: "1h", dir: data, keep: 0, key: "backup.keep"},
		{every: "1h", dir: keys, keep: 14, refused: true},
		{every: "1h", dir: open, keep: 14, refused: true},
	}
	for _, tt := range tests {
		c := Default()
		c.DataDir, c.Backup.Dir, c.Backup.Keep = data, tt.dir, tt.keep
		c.Backup.Every, _ = parseDuration(tt.every)
		problems := c.Validate()
		if (tt.key == "") != (len(problems) == 0) || tt.key != "" && !strings.Contains(problems[0], tt.key) {
			t.Errorf("%+v: %v", tt, problems)
		}
		if tt.key != "" {
			continue
		}
		if tt.dir != "" && !tt.refused && !tt.unwritable {
			if err := os.Chmod(tt.dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		err := c.CheckBackupDir()
		refusal, isRefused := err.(*Error)
		if isRefused != tt.refused || isRefused && refusal.ExitCode() != 3 || (err != nil && !isRefused) != tt.unwritable {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}
