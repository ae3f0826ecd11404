package main

import (
	"fmt"
	"net/url"
	"strings"

	"vernal/idp"
	"vernal/idp/notify"
	"vernal/idp/secretfile"
)

// The variables that can hold secrets of notices themselves. In the
// configuration there is no key for them: it is read by more people.
const (
	mailPasswordEnv  = "VERNAL_MAIL_PASSWORD"
	webhookSecretEnv = "VERNAL_ROTATION_WEBHOOK_SECRET"
)

const (
	maxSecret = 4 << 10 // of a file with a secret
	// minWebhookSecret is the least length, in bytes, of the webhook's secret.
	minWebhookSecret = 16
)

// mail checks the mail server.
func (v *validator) mail() {
	c := v.config
	m := &c.Mail
	v.oneOf("mail.tls", m.TLS, notify.StartTLS, notify.ImplicitTLS, notify.NoTLS)
	if m.Server != "" && v.hostPort("mail.server", m.Server) && m.TLS == notify.NoTLS && !loopbackHost(m.Server) {
		v.add("mail.tls", "none is for a server on loopback only: what is sent would be open on the way")
	}
	if m.Server != "" && m.From == "" {
		v.add("mail.from", "is empty: mail needs a sender")
	}
	if m.PasswordFile != "" && m.Username == "" {
		v.add("mail.username", "is empty, yet there is a password")
	}
	v.mailAddress("mail.from", m.From)
	v.mailAddress("branding.contact", c.Branding.Contact)
	if u := c.Branding.OrganizationURL; u != "" {
		if p, err := url.Parse(u); err != nil || p.Host == "" || p.Scheme != "https" && p.Scheme != "http" {
			v.add("branding.organization_url", "%q is not an address", u)
		}
	}
}

// notices checks who is told. The webhook's address is not repeated: with some
// receivers it is the secret itself.
func (v *validator) notices() {
	r := &v.config.Rotation
	for _, address := range r.Notify {
		v.mailAddress("rotation.notify", address)
	}
	if len(r.Notify) > 0 && v.config.Mail.Server == "" {
		v.add("rotation.notify", "needs a mail server: mail.server is empty")
	}
	if r.Webhook.URL == "" {
		return
	}
	u, err := url.Parse(r.Webhook.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		v.add("rotation.webhook.url", "is not an address such as https://hooks.example.gov/vernal")
	case u.User != nil || u.Fragment != "":
		v.add("rotation.webhook.url", "holds a user name or a fragment")
	case u.Scheme == "http" && !idp.IsLoopback(u.Hostname()):
		v.add("rotation.webhook.url", "is http; that is for loopback only")
	}
}

// newNotices makes what tells people of the rotation. The error is why it cannot
// send as configured; letters can be written all the same.
func newNotices(d *deps, getenv func(string) string) (*notify.Service, error) {
	c := d.config
	s := &notify.Service{
		Store: d.store, Board: d.board, Rotation: d.rotation, Years: d.ring, IdP: metadataIdP(c),
		Name: c.Branding.Name, Langs: c.langs(), Clock: d.clock, Log: d.log, CommandLine: commandLine,
	}
	if c.Mail.Server != "" {
		password, err := c.secret("mail.password", c.Mail.PasswordFile, getenv(mailPasswordEnv))
		if err == nil && c.Mail.Username != "" && password == "" {
			err = fmt.Errorf("mail.username needs a password: mail.password_file or %s", mailPasswordEnv)
		}
		if err != nil {
			return s, err
		}
		s.Mail = &notify.Mailer{
			Server: c.Mail.Server, TLS: c.Mail.TLS, Username: c.Mail.Username, Password: password,
			From: c.Mail.From, FromName: c.Branding.Name, ReplyTo: c.Branding.Contact, Clock: d.clock,
		}
	}
	if c.Rotation.Webhook.URL != "" {
		secret, err := c.secret("rotation.webhook.secret", c.Rotation.Webhook.SecretFile, getenv(webhookSecretEnv))
		if err == nil && len(secret) < minWebhookSecret {
			err = fmt.Errorf("rotation.webhook.url needs a secret of at least %d characters: rotation.webhook.secret_file or %s",
				minWebhookSecret, webhookSecretEnv)
		}
		if err != nil {
			return s, err
		}
		s.Webhook = &notify.Webhook{URL: c.Rotation.Webhook.URL, Secret: []byte(secret), Clock: d.clock}
	}
	s.Notify = c.Rotation.Notify
	return s, nil
}

// secret is the value of a variable or, without one, what a file contains; "" if
// there is neither. A file's last line break is not part of it.
func (c *Config) secret(name, file, value string) (string, error) {
	if value != "" || file == "" {
		return value, nil
	}
	data, err := secretfile.Read(c.path(file), maxSecret)
	if err != nil {
		return "", fmt.Errorf("read %s_file: %w", name, err)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), nil
}
