package main

import (
	"errors"
	"os"
	"strings"

	"vernal/idp/secretfile"
	"vernal/idp/shellquote"
)

// sharedKeyBits are the permissions that tls.key must not give: Debian lets the
// group ssl-cert read such keys.
const sharedKeyBits = 0o027

// secretProblems says which files with secrets others can read or change, all of
// them. A missing file is left to what needs it, and so is one that the caller
// cannot see: root's command over the socket uses none of them. What a variable
// replaces is not looked at.
func (c *Config) secretProblems(getenv func(string) string) []string {
	v := &validator{config: c}
	for _, f := range []struct{ key, path, env string }{
		{"master_key_file", c.masterKeyFile(), masterKeyEnv},
		{"rotation.pkcs11.pin_file", c.path(c.Rotation.PKCS11.PinFile), pinEnv},
		{"rotation.webhook.secret_file", c.path(c.Rotation.Webhook.SecretFile), webhookSecretEnv},
		{"mail.password_file", c.path(c.Mail.PasswordFile), mailPasswordEnv},
	} {
		if f.path == "" || strings.TrimSpace(getenv(f.env)) != "" {
			continue
		}
		info, err := os.Stat(f.path)
		if err != nil {
			continue
		}
		if err := secretfile.Check(f.path, info); errors.Is(err, secretfile.ErrOpen) {
			v.add(f.key, "%v; run: chmod 600 %s", err, shellquote.Quote(f.path))
		}
	}
	if info, err := os.Stat(c.path(c.TLS.Key)); err == nil && c.TLS.Key != "" && info.Mode().Perm()&sharedKeyBits != 0 {
		v.add("tls.key", "%s can be read by others or changed by its group (mode %04o); run: chmod 600 %s",
			c.path(c.TLS.Key), info.Mode().Perm(), shellquote.Quote(c.path(c.TLS.Key)))
	}
	return v.problems
}
