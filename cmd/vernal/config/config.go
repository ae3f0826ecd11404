// Package config is the configuration of the program: vernal.yaml and the
// environment, read strictly and checked as a whole.
//
// The embedded vernal.yaml is the manual and the only place of the defaults. Load reads unset
// values from it, and Write makes a copy in which every default is commented out.
package config

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"vernal/certs"
	"vernal/idp/logo"
	"vernal/idp/outbound"
	"vernal/idp/rotation"
	"vernal/templates"
)

// DefaultFile is the configuration that is read if none is named.
const DefaultFile = "vernal.yaml"

//go:embed vernal.yaml
var template string

// The variables that can contain secrets themselves. The file has no keys for them, because
// more users can read it.
const (
	MasterKeyEnv     = "VERNAL_MASTER_KEY"
	PinEnv           = "VERNAL_ROTATION_PKCS11_PIN"
	MailPasswordEnv  = "VERNAL_MAIL_PASSWORD"
	WebhookSecretEnv = "VERNAL_ROTATION_WEBHOOK_SECRET"
)

// Config contains all settings. vernal.yaml explains each key. Load makes the paths absolute.
type Config struct {
	BaseURL string `yaml:"base_url"`
	Listen  string `yaml:"listen"`
	TLS     struct {
		Cert string `yaml:"cert"`
		Key  string `yaml:"key"`
	} `yaml:"tls"`
	TrustedProxies []string `yaml:"trusted_proxies"`
	AdminListen    string   `yaml:"admin_listen"`
	AdminURL       string   `yaml:"admin_url"`
	DataDir        string   `yaml:"data_dir"`
	MasterKeyFile  string   `yaml:"master_key_file"`
	Store          string   `yaml:"store"`
	Rotation       struct {
		Automatic bool   `yaml:"automatic"`
		KeySource string `yaml:"key_source"`
		PKCS11    struct {
			Module  string `yaml:"module"`
			Token   string `yaml:"token"`
			PinFile string `yaml:"pin_file"`
		} `yaml:"pkcs11"`
		KeyBits        int      `yaml:"key_bits"`
		MakeOn         string   `yaml:"make_on"`
		PublishOn      string   `yaml:"publish_on"`
		PreferOn       string   `yaml:"prefer_on"`
		CertificateEnd string   `yaml:"certificate_end"`
		RetireOn       string   `yaml:"retire_on"`
		Notify         []string `yaml:"notify"`
		Webhook        struct {
			URL        string `yaml:"url" secret:"true"` // with some receivers it is the secret
			SecretFile string `yaml:"secret_file"`
		} `yaml:"webhook"`
	} `yaml:"rotation"`
	Session struct {
		Idle     time.Duration `yaml:"idle"`
		Absolute time.Duration `yaml:"absolute"`
	} `yaml:"session"`
	Users struct {
		SignUp        string        `yaml:"sign_up"`
		InactiveAfter time.Duration `yaml:"inactive_after"`
		Rules         Localized     `yaml:"rules"`
		Privacy       Localized     `yaml:"privacy"`
		SystemUse     Localized     `yaml:"system_use"`
	} `yaml:"users"`
	Consent bool `yaml:"consent"`
	Factors struct {
		TOTP          bool `yaml:"totp"`
		RecoveryCodes bool `yaml:"recovery_codes"`
	} `yaml:"factors"`
	Mail struct {
		Server       string `yaml:"server"`
		From         string `yaml:"from"`
		TLS          string `yaml:"tls"`
		Username     string `yaml:"username"`
		PasswordFile string `yaml:"password_file"`
	} `yaml:"mail"`
	Outbound struct {
		Allow []string `yaml:"allow"`
	} `yaml:"outbound"`
	Doctor struct {
		TimeURLs []string      `yaml:"time_urls"`
		Every    time.Duration `yaml:"every"`
	} `yaml:"doctor"`
	Branding struct {
		Name             Localized `yaml:"name"`
		Organization     Localized `yaml:"organization"`
		OrganizationURL  Localized `yaml:"organization_url"`
		Contact          string    `yaml:"contact"`
		Logo             string    `yaml:"logo"`
		Color            string    `yaml:"color"`
		Banner           Localized `yaml:"banner"`
		SupportEmail     string    `yaml:"support_email"`
		SupportURL       Localized `yaml:"support_url"`
		HelpURL          Localized `yaml:"help_url"`
		PrivacyURL       Localized `yaml:"privacy_url"`
		AccessibilityURL Localized `yaml:"accessibility_url"`
		TermsURL         Localized `yaml:"terms_url"`
	} `yaml:"branding"`
	Backup struct {
		Every time.Duration `yaml:"every"`
		Dir   string        `yaml:"dir"`
		Keep  int           `yaml:"keep"`
	} `yaml:"backup"`
	Languages []string `yaml:"languages"`
	Log       struct {
		Format string `yaml:"format"`
		Level  string `yaml:"level"`
	} `yaml:"log"`

	// File is the absolute path of the file that was read; "" if there was none.
	// Explicit reports whether the caller named it.
	File     string
	Explicit bool
	// dir is the base of relative paths. foreignUID is the user that owns the file, if that is
	// neither root nor the caller, and 0 otherwise.
	dir        string
	foreignUID int
	// origins are the places where keys were set, as errors name them:
	// "vernal.yaml:12" or "VERNAL_LISTEN".
	origins map[string]string
	// portable is the configuration as WithoutSecrets returns it.
	portable string
	// logo is the image of branding.logo, nil for none.
	logo *logo.Image
	// userTexts are the texts of users.*, by key and language, as Validate read them.
	userTexts map[string]map[string]string
}

// Error lists all problems of a configuration, one on each line.
type Error struct {
	Problems []string
	// Refused reports that the values are valid, but the files that they name are not safe to
	// use.
	Refused bool
}

// ExitCode returns 3 for files that are not safe to use, and 1 for wrong values.
func (e *Error) ExitCode() int {
	if e.Refused {
		return 3
	}
	return 1
}

func (e *Error) Error() string {
	return "the configuration is not valid:\n  " + strings.Join(e.Problems, "\n  ")
}

// Default returns the configuration with all defaults. Its paths are still relative.
func Default() *Config {
	c := &Config{origins: make(map[string]string)}
	l := newLoader(c, DefaultFile)
	l.readYAML([]byte(template))
	if len(l.problems) > 0 { // a test loads it
		panic(&Error{Problems: l.problems})
	}
	clear(c.origins)
	return c
}

// Load reads the file or, with "", vernal.yaml if it exists. It then reads the environment and
// checks the result. The error lists all problems, each with its line or variable. environ is the
// environment as os.Environ returns it, because getenv alone cannot show empty and unknown
// variables.
func Load(file string, getenv func(string) string, environ ...string) (*Config, error) {
	c := Default()
	c.Explicit = file != ""
	if file == "" {
		file = DefaultFile
	}
	l := newLoader(c, file)
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("find the configuration: %w", err)
	}
	c.dir = filepath.Dir(abs)
	data, err := c.readTrusted(abs)
	switch {
	case err == nil:
		c.File = abs
		l.readYAML(data)
	case errors.Is(err, ErrUntrusted):
		return nil, err // an error must not quote the file
	case c.Explicit || !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	l.readEnvironment(getenv, environ)
	c.portable = c.render(nil) // with the paths as they were written
	c.resolve()
	if err := c.trustForeign(); err != nil {
		return nil, err
	}
	problems := append(l.problems, c.Validate()...)
	secretProblems := c.checkSecretFiles(getenv)
	if allProblems := append(problems, secretProblems...); len(allProblems) > 0 {
		return nil, &Error{Problems: allProblems, Refused: len(problems) == 0}
	}
	return c, nil
}

// resolve makes the paths absolute and normalizes URLs.
func (c *Config) resolve() {
	c.BaseURL, c.AdminURL = strings.TrimSuffix(c.BaseURL, "/"), strings.TrimSuffix(c.AdminURL, "/")
	if c.MasterKeyFile == "" {
		c.MasterKeyFile = filepath.Join(c.DataDir, "master.key")
	}
	for _, p := range []*string{
		&c.TLS.Cert, &c.TLS.Key, &c.DataDir, &c.MasterKeyFile, &c.Rotation.PKCS11.Module,
		&c.Rotation.PKCS11.PinFile, &c.Rotation.Webhook.SecretFile, &c.Mail.PasswordFile, &c.Branding.Logo,
		&c.Backup.Dir,
	} {
		*p = c.Path(*p)
	}
}

// MoveTo changes the data folder, and the path of a master key in it.
func (c *Config) MoveTo(dataDir string) {
	if c.MasterKeyFile == filepath.Join(c.DataDir, "master.key") {
		c.MasterKeyFile = filepath.Join(dataDir, "master.key")
	}
	c.DataDir = dataDir
}

// Path makes a path of the configuration absolute; "" stays "".
func (c *Config) Path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(c.dir, p)
}

// Origin returns the place where a key was set, for messages.
func (c *Config) Origin(path string) string {
	return cmp.Or(c.origins[path], "the default")
}

// Langs returns the languages of the pages.
func (c *Config) Langs() []templates.Lang {
	langs := make([]templates.Lang, len(c.Languages))
	for i, lang := range c.Languages {
		langs[i] = templates.Lang(lang)
	}
	return langs
}

// KeySpec returns the form of new signing keys and certificates.
func (c *Config) KeySpec() certs.Spec {
	return certs.Spec{Bits: c.Rotation.KeyBits, Subject: certs.Subject{Organization: c.Branding.Organization.Text}}
}

// Policy returns the calendar of the rotation, whose dates Load has checked.
func (c *Config) Policy() rotation.Policy {
	p := rotation.DefaultPolicy()
	p.KeySource = rotation.KeySource(c.Rotation.KeySource)
	p.Manual = !c.Rotation.Automatic
	for _, date := range c.listDates(&p) {
		day, _ := time.Parse(dateLayout, date.value)
		date.target.Month, date.target.Day = day.Month(), day.Day()
	}
	return p
}

// Proxies returns the prefixes of trusted_proxies, which Load has checked.
func (c *Config) Proxies() (prefixes []netip.Prefix) {
	for _, s := range c.TrustedProxies {
		if p, err := parsePrefix(s); err == nil {
			prefixes = append(prefixes, p)
		}
	}
	return prefixes
}

// OutboundClient returns the client for the URLs that Vernal fetches and calls. Load has checked
// outbound.allow.
func (c *Config) OutboundClient() *outbound.Client {
	allow, err := outbound.ParseAllow(c.Outbound.Allow)
	if err != nil {
		return &outbound.Client{} // allows less
	}
	return &outbound.Client{Allow: allow}
}

// key is one key of the configuration, bound to a Config.
type key struct {
	path  string // with the keys above it: "session.idle"
	value reflect.Value
	// perLanguage marks a key of one language. The template explains such keys together.
	perLanguage bool
	// secret marks a key whose value can be a secret.
	secret bool
}

// keys lists the keys of c in the order of the struct.
func (c *Config) keys() []key { return appendKeys(nil, "", reflect.ValueOf(c).Elem()) }

func appendKeys(list []key, prefix string, v reflect.Value) []key {
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("yaml")
		switch f := v.Field(i); {
		case name == "":
		case f.Type() == reflect.TypeFor[Localized]():
			list = append(list, key{path: prefix + name, value: f.FieldByName("Text")})
			for _, lang := range languages {
				list = append(list, key{path: prefix + name + "." + lang, value: f.FieldByName(strings.ToUpper(lang)), perLanguage: true})
			}
		case f.Kind() == reflect.Struct:
			list = appendKeys(list, prefix+name+".", f)
		default:
			list = append(list, key{path: prefix + name, value: f, secret: v.Type().Field(i).Tag.Get("secret") != ""})
		}
	}
	return list
}
