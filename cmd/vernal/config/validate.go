package config

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/notify"
	"vernal/idp/outbound"
	"vernal/idp/rotation"
	"vernal/idp/secretfile"
	"vernal/idp/shellquote"
)

// validator collects problems, each with the place where its key was set.
type validator struct {
	config   *Config
	problems []string
}

func (v *validator) add(key, format string, args ...any) {
	text := key + ": " + fmt.Sprintf(format, args...)
	if origin := v.config.origins[key]; origin != "" {
		text = origin + ": " + text
	}
	v.problems = append(v.problems, text)
}

// Validate returns every problem of the values, each with the place where it was set.
func (c *Config) Validate() []string {
	v := &validator{config: c}
	v.checkBaseURL()
	v.checkHostPort("listen", c.Listen)
	if c.AdminListen != "" && v.checkHostPort("admin_listen", c.AdminListen) && !IsLoopbackListener(c.AdminListen) {
		v.add("admin_listen", "%q is not on loopback, and its pages have no sign-in: set a port on 127.0.0.1", c.AdminListen)
	}
	if c.AdminURL != "" {
		v.checkAdminURL()
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		v.add("tls", "cert or key is missing: set both or neither")
	}
	for _, proxy := range c.TrustedProxies {
		if _, err := parsePrefix(proxy); err != nil {
			v.add("trusted_proxies", "%q is neither an IP address nor a prefix such as 10.0.0.0/8", proxy)
		}
	}
	if c.DataDir == "" {
		v.add("data_dir", "is empty: set the data folder")
	}
	if s := c.Store; strings.HasPrefix(s, "postgres:") || strings.HasPrefix(s, "postgresql:") {
		v.add("store", "PostgreSQL is not supported: use bolt")
	} else {
		v.checkOneOf("store", s, "bolt")
	}
	v.checkKeySource()
	v.checkCalendar()
	v.checkSession()
	v.checkUsers()
	v.checkMail()
	v.checkNotices()
	v.checkBackup()
	for _, entry := range c.Outbound.Allow {
		if _, err := outbound.ParseAllow([]string{entry}); err != nil {
			v.add("outbound.allow", "%v", err)
		}
	}
	v.checkDoctor()
	v.checkBranding()
	if len(c.Languages) == 0 {
		v.add("languages", "is empty: set the languages of the pages")
	}
	for i, lang := range c.Languages {
		v.checkOneOf("languages", lang, languages...)
		if slices.Contains(c.Languages[:i], lang) {
			v.add("languages", "%q appears twice", lang)
		}
	}
	v.checkOneOf("log.format", c.Log.Format, "text", "json")
	v.checkOneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	return v.problems
}

func (v *validator) checkOneOf(key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		v.add(key, "%q is not one of: %s", value, strings.Join(allowed, ", "))
	}
}

// checkBaseURL also compares the scheme with the TLS settings, because cookie security follows
// from the scheme.
func (v *validator) checkBaseURL() {
	c := v.config
	u := v.checkOrigin("base_url", c.BaseURL, "https://login.example.gov")
	switch {
	case u == nil:
	case u.Scheme == "http" && !idp.IsLoopback(u.Hostname()):
		v.add("base_url", "%q is http, which is for loopback only: use https", c.BaseURL)
	case u.Scheme == "http" && c.TLS.Cert != "":
		v.add("base_url", "is http, but tls is set: use https, or remove tls.cert and tls.key")
	case u.Scheme == "https" && c.TLS.Cert == "" && c.TLS.Key == "" && len(c.TrustedProxies) == 0:
		// Without trusted_proxies every request would seem to come from the proxy's IP
		// address, and one attacker's wrong passwords would lock out all users.
		v.add("base_url", "is https, but neither tls.cert nor trusted_proxies is set: "+
			"set tls.cert and tls.key, or trusted_proxies to the IP addresses of the proxy that ends TLS (on this machine: [127.0.0.1, \"::1\"])")
	}
}

// checkAdminURL requires https, because the URLs below it are secrets, and a host
// other than loopback, because admin_listen answers every name of loopback.
func (v *validator) checkAdminURL() {
	u := v.checkOrigin("admin_url", v.config.AdminURL, "https://watch.agency.example")
	switch {
	case u == nil:
	case u.Scheme != "https":
		v.add("admin_url", "%q is not https: use an https URL", v.config.AdminURL)
	case idp.IsLoopback(u.Hostname()):
		v.add("admin_url", "%q is this machine, where admin_listen answers anyway: leave it empty", v.config.AdminURL)
	case v.config.AdminListen == "":
		v.add("admin_url", "is set, but admin_listen is empty: set admin_listen too")
	}
}

// hostPattern matches a host name or an IP address.
var hostPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$|^[0-9A-Fa-f:]+$`)

// checkOrigin accepts scheme, host and port in one spelling: lower case, no default
// port. The entity ID is derived from base_url and can never change. It returns nil
// for anything else.
func (v *validator) checkOrigin(key, value, example string) *url.URL {
	u, err := url.Parse(value)
	if err != nil || !hostPattern.MatchString(u.Hostname()) || u.Scheme != "https" && u.Scheme != "http" {
		v.add(key, "%q is not a URL such as %s", value, example)
		return nil
	}
	normalized := strings.ToLower(u.Hostname())
	if strings.Contains(normalized, ":") {
		normalized = "[" + normalized + "]"
	}
	normalized = u.Scheme + "://" + normalized
	if p := u.Port(); p != "" && !(u.Scheme == "https" && p == "443") && !(u.Scheme == "http" && p == "80") {
		normalized += ":" + p
	}
	if value != normalized {
		v.add(key, "%q is not a scheme, host and port in lower case without the default port: use %s", value, normalized)
		return nil
	}
	if n, err := strconv.Atoi(u.Port()); u.Port() != "" && (err != nil || n < 1 || n > 65535) {
		v.add(key, "%q has an impossible port: use 1 to 65535", value)
		return nil
	}
	return u
}

func (v *validator) checkHostPort(key, value string) bool {
	_, port, err := net.SplitHostPort(value)
	if _, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil {
		v.add(key, "%q is not HOST:PORT, such as 127.0.0.1:8080", value)
		return false
	}
	return true
}

// IsLoopbackListener reports whether HOST:PORT is on loopback.
func IsLoopbackListener(hostPort string) bool {
	host, _, err := net.SplitHostPort(hostPort)
	return err == nil && idp.IsLoopback(host)
}

// parsePrefix parses an IP address or a prefix.
func parsePrefix(s string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err
}

var keySources = []string{string(rotation.SourceGenerate), string(rotation.SourceImport), string(rotation.SourcePKCS11)}

func (v *validator) checkKeySource() {
	r := &v.config.Rotation
	v.checkOneOf("rotation.key_source", r.KeySource, keySources...)
	switch {
	case r.KeySource == string(rotation.SourcePKCS11) && r.PKCS11.Module == "":
		v.add("rotation.pkcs11.module", "is missing: set the shared library of the token, which key_source pkcs11 needs")
	case r.PKCS11.Module != "" && r.PKCS11.Token == "":
		v.add("rotation.pkcs11.token", "is missing: set the label of the token")
	}
}

// rotationDate is a date of the calendar and its place in the policy. years is 1 for a date in
// the following year.
type rotationDate struct {
	key, value string
	years      int
	target     *rotation.Date
}

func (c *Config) listDates(p *rotation.Policy) []rotationDate {
	r := &c.Rotation
	return []rotationDate{
		{"rotation.make_on", r.MakeOn, 0, &p.MakeAt},
		{"rotation.publish_on", r.PublishOn, 0, &p.PublishAt},
		{"rotation.prefer_on", r.PreferOn, 0, &p.PreferAt},
		{"rotation.certificate_end", r.CertificateEnd, 1, &p.CertEndAt},
		{"rotation.retire_on", r.RetireOn, 1, &p.RetireAt},
	}
}

func (d rotationDate) String() string {
	if d.years > 0 {
		return d.value + " of the following year"
	}
	return d.value
}

const dateLayout = "01-02" // month and day

// checkCalendar checks each date, then each against the one before, then all of them. A problem
// names every line that it concerns.
func (v *validator) checkCalendar() {
	problemCount := len(v.problems)
	dates := v.config.listDates(&rotation.Policy{})
	for _, d := range dates {
		if _, err := time.Parse(dateLayout, d.value); err != nil {
			v.add(d.key, "%q is not a date such as 03-01 (month, day)", d.value)
		}
	}
	if !slices.Contains([]int{2048, 3072, 4096}, v.config.Rotation.KeyBits) {
		v.add("rotation.key_bits", "%d bits: use 2048, 3072 or 4096", v.config.Rotation.KeyBits)
	}
	if len(v.problems) > problemCount {
		return
	}
	for i, d := range dates[1:] {
		// Dates of one form sort like their texts.
		if last := dates[i]; d.years == last.years && d.value < last.value {
			v.add(d.key, "%s is before %s (%s, %s)", d, last.key, last, v.config.Origin(last.key))
		}
	}
	if len(v.problems) > problemCount || !slices.Contains(keySources, v.config.Rotation.KeySource) {
		return
	}
	if err := v.config.Policy().Validate(); err != nil {
		var lines []string
		for _, d := range dates {
			if origin := v.config.origins[d.key]; origin != "" {
				lines = append(lines, origin+" "+d.key)
			}
		}
		v.add("rotation", "%v: change %s", err, strings.Join(lines, ", "))
	}
}

func (v *validator) checkSession() {
	s := &v.config.Session
	if s.Idle < time.Minute {
		v.add("session.idle", "%s is under a minute: set 1m or more", s.Idle)
	}
	if s.Absolute < s.Idle {
		v.add("session.absolute", "%s is shorter than session.idle: set %s or more", s.Absolute, s.Idle)
	}
	if s.Absolute > 30*24*time.Hour {
		v.add("session.absolute", "%s is over 30 days: set 30d or less", s.Absolute)
	}
}

func (v *validator) checkEmail(key, email string) {
	if email == "" {
		return
	}
	if a, err := mail.ParseAddress(email); err != nil || a.Address != email {
		v.add(key, "%q is not an email address such as help@example.gov", email)
	}
}

func (v *validator) checkMail() {
	m := &v.config.Mail
	v.checkOneOf("mail.tls", m.TLS, notify.StartTLS, notify.ImplicitTLS, notify.NoTLS)
	if m.Server != "" && v.checkHostPort("mail.server", m.Server) && m.TLS == notify.NoTLS && !IsLoopbackListener(m.Server) {
		v.add("mail.tls", "none is for a server on loopback only, because others could read the mail in transit: use starttls or tls")
	}
	if m.Server != "" && m.From == "" {
		v.add("mail.from", "is empty: set the sender of mails")
	}
	if m.PasswordFile != "" && m.Username == "" {
		v.add("mail.username", "is empty, but mail.password_file is set: set both or neither")
	}
	v.checkEmail("mail.from", m.From)
}

// checkNotices never repeats the webhook's URL, which for some receivers is the secret.
func (v *validator) checkNotices() {
	r := &v.config.Rotation
	for _, email := range r.Notify {
		v.checkEmail("rotation.notify", email)
	}
	if len(r.Notify) > 0 && v.config.Mail.Server == "" {
		v.add("rotation.notify", "needs a mail server: set mail.server")
	}
	if r.Webhook.URL == "" {
		return
	}
	u, err := url.Parse(r.Webhook.URL)
	switch {
	case err != nil || !isWebURL(u):
		v.add("rotation.webhook.url", "is not a URL such as https://hooks.example.gov/vernal")
	case u.User != nil || u.Fragment != "":
		v.add("rotation.webhook.url", "contains a user name or a fragment: remove it")
	case u.Scheme == "http" && !idp.IsLoopback(u.Hostname()):
		v.add("rotation.webhook.url", "is http, which is for loopback only: use https")
	}
}

func isWebURL(u *url.URL) bool { return u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") }

// sharedKeyBits are the permissions that tls.key must not give: Debian lets the
// group ssl-cert read such keys.
const sharedKeyBits = 0o027

// secretFile is a file with a secret, and the variable that can contain the secret instead.
type secretFile struct{ key, path, env string }

func (c *Config) secretFiles() []secretFile {
	return []secretFile{
		{"master_key_file", c.MasterKeyFile, MasterKeyEnv},
		{"rotation.pkcs11.pin_file", c.Rotation.PKCS11.PinFile, PinEnv},
		{"rotation.webhook.secret_file", c.Rotation.Webhook.SecretFile, WebhookSecretEnv},
		{"mail.password_file", c.Mail.PasswordFile, MailPasswordEnv},
	}
}

// checkSecretFiles returns all files with secrets that others can read or change. It skips a file
// that is missing or that the caller cannot see, because root's command over the socket needs
// none of them. It also skips a file that a variable replaces.
func (c *Config) checkSecretFiles(getenv func(string) string) []string {
	v := &validator{config: c}
	for _, f := range c.secretFiles() {
		if f.path == "" || strings.TrimSpace(getenv(f.env)) != "" {
			continue
		}
		info, err := os.Stat(f.path)
		if err != nil {
			continue
		}
		if err := secretfile.Check(f.path, info); errors.Is(err, secretfile.ErrOpen) {
			v.add(f.key, "%v: run chmod 600 %s", err, shellquote.Quote(f.path))
		}
	}
	if info, err := os.Stat(c.TLS.Key); err == nil && info.Mode().Perm()&sharedKeyBits != 0 {
		v.add("tls.key", "%s can be read by others or changed by its group (mode %04o): run chmod 600 %s",
			c.TLS.Key, info.Mode().Perm(), shellquote.Quote(c.TLS.Key))
	}
	return v.problems
}
