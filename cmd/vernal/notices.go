package main

import (
	"cmp"
	"fmt"
	"strings"

	"vernal/cmd/vernal/config"
	"vernal/idp/installation"
	"vernal/idp/notify"
	"vernal/idp/secretfile"
)

const (
	maxSecret = 4 << 10 // of a file with a secret
	// minWebhookSecret is the least length, in bytes, of the webhook's secret.
	minWebhookSecret = 16
)

// setNotices sets how notices are delivered. The error says why they cannot be delivered as
// configured. Letters can be written anyway.
func setNotices(c *Config, settings *installation.Config, getenv func(string) string) error {
	if c.Mail.Server != "" {
		password, err := readSecret("mail.password", c.Mail.PasswordFile, getenv(config.MailPasswordEnv))
		if err == nil && c.Mail.Username != "" && password == "" {
			err = fmt.Errorf("mail.username needs a password: mail.password_file or %s", config.MailPasswordEnv)
		}
		if err != nil {
			return err
		}
		settings.Mail = &notify.Mailer{
			Server: c.Mail.Server, TLS: c.Mail.TLS, Username: c.Mail.Username, Password: password,
			From: c.Mail.From, FromName: c.Branding.Name.Text, ReplyTo: cmp.Or(c.Branding.SupportEmail, c.Branding.Contact), Clock: settings.Clock,
		}
	}
	if c.Rotation.Webhook.URL != "" {
		secret, err := readSecret("rotation.webhook.secret", c.Rotation.Webhook.SecretFile, getenv(config.WebhookSecretEnv))
		if err == nil && len(secret) < minWebhookSecret {
			err = fmt.Errorf("rotation.webhook.url needs a secret of at least %d characters: rotation.webhook.secret_file or %s",
				minWebhookSecret, config.WebhookSecretEnv)
		}
		if err != nil {
			return err
		}
		settings.Webhook = &notify.Webhook{URL: c.Rotation.Webhook.URL, Secret: []byte(secret), Clock: settings.Clock, Outbound: settings.Outbound}
	}
	settings.Operators = c.Rotation.Notify
	return nil
}

// readSecret returns the value of a variable or, without one, the content of a file without its
// last line break. It returns "" without either.
func readSecret(name, file, value string) (string, error) {
	if value != "" || file == "" {
		return value, nil
	}
	data, err := secretfile.Read(file, maxSecret)
	if err != nil {
		return "", fmt.Errorf("read %s_file: %w", name, err)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), nil
}
