package main

import (
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/rotation"
	"vernal/templates"
)

// problems says everything that is wrong with the values, each with the place
// where it was set.
func (c *Config) problems() []string {
	v := &validator{config: c}
	v.baseURL()
	v.hostPort("listen", c.Listen)
	if c.AdminListen != "" && v.hostPort("admin_listen", c.AdminListen) && !loopbackHost(c.AdminListen) {
		v.add("admin_listen", "%q is no loopback address: what is shown there has no sign-in", c.AdminListen)
	}
	v.adminURL()
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		v.add("tls", "cert and key go together; one of them is missing")
	}
	if c.TLS.Cert != "" && strings.HasPrefix(c.BaseURL, "http:") {
		v.add("base_url", "is http, yet tls is set")
	}
	// Without a name for the proxy every request has the proxy's IP address, and
	// one stranger's wrong passwords lock everyone out.
	if strings.HasPrefix(c.BaseURL, "https:") && c.TLS.Cert == "" && c.TLS.Key == "" && len(c.TrustedProxies) == 0 {
		v.add("base_url", "is https, but neither tls.cert nor trusted_proxies is set; "+
			"set tls.cert and tls.key, or trusted_proxies to the IP addresses of the proxy that ends TLS (on this machine: [127.0.0.1, \"::1\"])")
	}
	if _, err := c.trustedProxies(); err != nil {
		v.add("trusted_proxies", "%v", err)
	}
	if c.DataDir == "" {
		v.add("data_dir", "is empty")
	}
	v.store()
	v.keySource()
	v.calendar()
	v.session()
	v.mail()
	v.notices()
	if c.Branding.Name == "" {
		v.add("branding.name", "is empty: pages need a name")
	}
	v.languages()
	v.oneOf("log.format", c.Log.Format, "text", "json")
	v.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	return v.problems
}

type validator struct {
	config   *Config
	problems []string
}

func (v *validator) add(key, format string, args ...any) {
	text := key + ": " + fmt.Sprintf(format, args...)
	if at := v.config.origins[key]; at != "" {
		text = at + ": " + text
	}
	v.problems = append(v.problems, text)
}

func (v *validator) oneOf(key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		v.add(key, "%q is not one of: %s", value, strings.Join(allowed, ", "))
	}
}

// Cookie security follows the scheme, and the entity ID is made from the whole
// for ever: so there is one spelling, and anything else is refused.
func (v *validator) baseURL() {
	c := v.config
	c.BaseURL = strings.TrimSuffix(c.BaseURL, "/")
	u, err := url.Parse(c.BaseURL)
	switch {
	case err != nil || !plainHost.MatchString(u.Hostname()) || u.Scheme != "https" && u.Scheme != "http":
		v.add("base_url", "%q is not an address such as https://login.example.gov", c.BaseURL)
	case u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		v.add("base_url", "%q holds more than scheme, host and port", c.BaseURL)
	case c.BaseURL != plainURL(u):
		v.add("base_url", "%q is spelled %s", c.BaseURL, plainURL(u))
	case u.Port() != "" && !validPort(u.Port()):
		v.add("base_url", "%q has a port that does not exist", c.BaseURL)
	case u.Scheme == "http" && !idp.IsLoopback(u.Hostname()):
		v.add("base_url", "%q is http; that is for loopback only", c.BaseURL)
	}
}

// Its addresses are secrets, so they travel by https; and loopback has names of
// its own, under which everything is answered.
func (v *validator) adminURL() {
	c := v.config
	c.AdminURL = strings.TrimSuffix(c.AdminURL, "/")
	if c.AdminURL == "" {
		return
	}
	u, err := url.Parse(c.AdminURL)
	switch {
	case err != nil || !plainHost.MatchString(u.Hostname()) || u.Scheme != "https":
		v.add("admin_url", "%q is not an address such as https://watch.agency.example", c.AdminURL)
	case c.AdminURL != plainURL(u):
		v.add("admin_url", "%q is no plain https://HOST or https://HOST:PORT, in lower case", c.AdminURL)
	case u.Port() != "" && !validPort(u.Port()):
		v.add("admin_url", "%q has a port that does not exist", c.AdminURL)
	case idp.IsLoopback(u.Hostname()):
		v.add("admin_url", "%q is this machine, where admin_listen answers without it", c.AdminURL)
	case c.AdminListen == "":
		v.add("admin_url", "is set, yet admin_listen is empty: nothing listens")
	}
}

// plainHost is a host name or an IP address, in lower case.
var plainHost = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$|^[0-9A-Fa-f:]+$`)

// plainURL is the one spelling of a base URL: lower case, no default port.
func plainURL(u *url.URL) string {
	host := strings.ToLower(u.Hostname())
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if p := u.Port(); p != "" && !(u.Scheme == "https" && p == "443") && !(u.Scheme == "http" && p == "80") {
		host += ":" + p
	}
	return u.Scheme + "://" + host
}

func validPort(port string) bool {
	n, err := strconv.Atoi(port)
	return err == nil && n >= 1 && n <= 65535
}

func (v *validator) hostPort(key, value string) bool {
	_, port, err := net.SplitHostPort(value)
	n, portErr := strconv.Atoi(port)
	if err != nil || portErr != nil || n < 0 || n > 65535 {
		v.add(key, "%q is not HOST:PORT, such as 127.0.0.1:8080", value)
		return false
	}
	return true
}

func loopbackHost(hostPort string) bool {
	host, _, err := net.SplitHostPort(hostPort)
	return err == nil && idp.IsLoopback(host)
}

// trustedProxies are the prefixes of trusted_proxies.
func (c *Config) trustedProxies() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range c.TrustedProxies {
		if ip, err := netip.ParseAddr(s); err == nil {
			out = append(out, netip.PrefixFrom(ip, ip.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("%q is neither an address nor a prefix such as 10.0.0.0/8", s)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

func (v *validator) store() {
	switch s := v.config.Store; {
	case s == "bolt":
	case strings.HasPrefix(s, "postgres:") || strings.HasPrefix(s, "postgresql:"):
		v.add("store", "PostgreSQL is not built yet; use bolt")
	default:
		v.add("store", "%q is not one of: bolt", s)
	}
}

var keySources = []string{string(rotation.SourceGenerate), string(rotation.SourceImport), string(rotation.SourcePKCS11)}

func (v *validator) keySource() {
	r := &v.config.Rotation
	v.oneOf("rotation.key_source", r.KeySource, keySources...)
	switch {
	case r.KeySource == string(rotation.SourcePKCS11) && r.PKCS11.Module == "":
		v.add("rotation.pkcs11.module", "is missing: key_source pkcs11 needs the token's module, a shared library")
	case r.PKCS11.Module != "" && r.PKCS11.Token == "":
		v.add("rotation.pkcs11.token", "is missing: the label of the token")
	}
}

// rotationDate is a date of the calendar. Years is 1 for one in the year after.
type rotationDate struct {
	key, value string
	years      int
	at         time.Time // in 2028 or, with years, 2029
}

func (d rotationDate) String() string {
	if d.years > 0 {
		return d.value + " of the year after"
	}
	return d.value
}

// calendar checks the dates of the rotation: each for itself, then each against
// the one before, then all of them. A problem names every line that it is about.
func (v *validator) calendar() {
	r := &v.config.Rotation
	dates := []rotationDate{
		{key: "rotation.make_on", value: r.MakeOn},
		{key: "rotation.publish_on", value: r.PublishOn},
		{key: "rotation.prefer_on", value: r.PreferOn},
		{key: "rotation.certificate_end", value: r.CertificateEnd, years: 1},
		{key: "rotation.retire_on", value: r.RetireOn, years: 1},
	}
	before := len(v.problems)
	for i := range dates {
		d := &dates[i]
		day, err := parseDate(d.value)
		if err != nil {
			v.add(d.key, "%v", err)
		}
		d.at = time.Date(2028+d.years, day.Month(), day.Day(), 0, 0, 0, 0, time.UTC)
	}
	if !slices.Contains([]int{2048, 3072, 4096}, r.KeyBits) {
		v.add("rotation.key_bits", "%d bits: use 2048, 3072 or 4096", r.KeyBits)
	}
	if len(v.problems) > before {
		return
	}
	for i := range dates[1:] {
		if d, last := dates[i+1], dates[i]; d.at.Before(last.at) {
			v.add(d.key, "%s is before %s (%s%s)", d, last.key, last, v.set(last.key))
		}
	}
	if len(v.problems) > before || !slices.Contains(keySources, r.KeySource) {
		return
	}
	p, err := v.config.policy()
	if err == nil {
		err = p.Validate()
	}
	if err != nil {
		var lines []string
		for _, d := range dates {
			if at := v.config.origins[d.key]; at != "" {
				lines = append(lines, at+" "+d.key)
			}
		}
		v.add("rotation", "%v; set here: %s", err, strings.Join(lines, ", "))
	}
}

// set says, after a value, where it was set.
func (v *validator) set(key string) string {
	if at := v.config.origins[key]; at != "" {
		return ", " + at
	}
	return ", the default"
}

func parseDate(text string) (time.Time, error) {
	day, err := time.Parse("01-02", text)
	if err != nil {
		return day, fmt.Errorf("%q is not a date such as 03-01 (month, day)", text)
	}
	return day, nil
}

// keySpec is the form of new signing keys and certificates.
func (c *Config) keySpec() certs.Spec {
	return certs.Spec{Bits: c.Rotation.KeyBits, Subject: certs.Subject{Organization: c.Branding.Organization}}
}

// policy is the calendar of rotation.
func (c *Config) policy() (rotation.Policy, error) {
	p := rotation.DefaultPolicy()
	p.KeySource = rotation.KeySource(c.Rotation.KeySource)
	p.Manual = !c.Rotation.Automatic
	for _, f := range []struct {
		key, value string
		date       *rotation.Date
	}{
		{"make_on", c.Rotation.MakeOn, &p.MakeAt},
		{"publish_on", c.Rotation.PublishOn, &p.PublishAt},
		{"prefer_on", c.Rotation.PreferOn, &p.PreferAt},
		{"certificate_end", c.Rotation.CertificateEnd, &p.CertEndAt},
		{"retire_on", c.Rotation.RetireOn, &p.RetireAt},
	} {
		day, err := parseDate(f.value)
		if err != nil {
			return p, fmt.Errorf("%s: %w", f.key, err)
		}
		f.date.Month, f.date.Day = day.Month(), day.Day()
	}
	return p, nil
}

func (v *validator) session() {
	s := &v.config.Session
	if s.Idle < time.Minute {
		v.add("session.idle", "%s is under a minute", shortDuration(s.Idle))
	}
	if s.Absolute < s.Idle {
		v.add("session.absolute", "%s is shorter than session.idle", shortDuration(s.Absolute))
	}
	if s.Absolute > 30*24*time.Hour {
		v.add("session.absolute", "%s is over 30 days", shortDuration(s.Absolute))
	}
}

func (v *validator) mailAddress(key, address string) {
	if address == "" {
		return
	}
	if a, err := mail.ParseAddress(address); err != nil || a.Address != address {
		v.add(key, "%q is not an address such as help@example.gov", address)
	}
}

// langs are the languages of the pages.
func (c *Config) langs() []templates.Lang {
	langs := make([]templates.Lang, len(c.Languages))
	for i, lang := range c.Languages {
		langs[i] = templates.Lang(lang)
	}
	return langs
}

func (v *validator) languages() {
	if len(v.config.Languages) == 0 {
		v.add("languages", "is empty: pages need a language")
	}
	for i, lang := range v.config.Languages {
		v.oneOf("languages", lang, "en", "es", "fr")
		if slices.Contains(v.config.Languages[:i], lang) {
			v.add("languages", "%q is there twice", lang)
		}
	}
}
