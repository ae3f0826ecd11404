package main

import (
	_ "embed"
	"path/filepath"
	"time"
)

// configSource is this file: `vernal init` writes the comments below, as they
// stand, into the configuration that it makes.
//
//go:embed config.go
var configSource string

// Config is everything that can be configured. The comments are the manual:
// they end up in the vernal.yaml that `vernal init` writes. Every key can also
// be set in the environment, which wins over the file: VERNAL_BASE_URL for
// base_url, VERNAL_SESSION_IDLE for session.idle; lists are split at commas. An
// empty variable means the same as "" here.
// Relative paths start at the folder of the file.
type Config struct {
	// The address under which people and service providers reach this server,
	// without a path. Everything that Vernal says of itself comes from here,
	// the entity ID too ({base_url}/api/saml), so it must not change once a
	// service provider relies on it. http is for loopback only.
	BaseURL string `yaml:"base_url"`

	// The address and port to listen on.
	Listen string `yaml:"listen"`

	// To end TLS here and not at a proxy: the files with the certificate chain
	// and the private key, PEM. Both or none.
	TLS struct {
		// The certificate and its chain.
		Cert string `yaml:"cert"`
		// Its private key.
		Key string `yaml:"key"`
	} `yaml:"tls"`

	// The proxies whose X-Forwarded-For is believed: IP addresses or prefixes such
	// as 10.0.0.0/8. Empty: the client's IP address is the peer's. An https
	// base_url needs these or tls.cert.
	TrustedProxies []string `yaml:"trusted_proxies"`

	// The address and port for what operators and their machines look at. Only
	// loopback is accepted: there is no sign-in. Empty: nothing listens.
	AdminListen string `yaml:"admin_listen"`

	// The address, such as https://watch.agency.example, under which a proxy
	// passes on from there what has a secret address of its own: the board for a
	// wall and the calendar (vernal rotation link). Nothing else is answered
	// there, or to what came through any proxy. Empty: no proxy does.
	AdminURL string `yaml:"admin_url"`

	// The folder for everything that Vernal keeps. It must belong to the user
	// that runs the server, and be closed to others.
	DataDir string `yaml:"data_dir"`

	// The file with the master key, which everything secret in the data folder
	// is sealed with. Empty: master.key in the data folder. The key itself can
	// be given in the environment instead, as VERNAL_MASTER_KEY.
	MasterKeyFile string `yaml:"master_key_file"`

	// What keeps the records: bolt, a file in the data folder.
	Store string `yaml:"store"`

	// The yearly change of our signing certificate. Dates are MONTH-DAY, 00:00
	// UTC, and apply to every year N.
	Rotation struct {
		// Whether the server takes the steps itself on their dates. If not, it
		// only says what is due; the commands are under vernal rotation.
		Automatic bool `yaml:"automatic"`
		// Where the keys of new years come from: generate, made here, with a
		// self-signed certificate; import, their certificates come from an
		// authority (vernal rotation csr, import), and none is made here; pkcs11,
		// made in a token, which they never leave.
		KeySource string `yaml:"key_source"`
		// The token of key_source pkcs11. It is needed as long as the key of a
		// year is in it, whatever key_source says by then. Vernal must have been
		// built with it (-tags pkcs11).
		PKCS11 struct {
			// The token's PKCS#11 module, a shared library such as
			// /usr/lib/softhsm/libsofthsm2.so.
			Module string `yaml:"module"`
			// The token's label.
			Token string `yaml:"token"`
			// The file with the user's PIN, closed to others. The PIN itself can
			// be given in the environment instead, as VERNAL_ROTATION_PKCS11_PIN.
			PinFile string `yaml:"pin_file"`
		} `yaml:"pkcs11"`
		// The length of new RSA keys: 2048, 3072 or 4096.
		KeyBits int `yaml:"key_bits"`
		// When the key of year N is made,
		MakeOn string `yaml:"make_on"`
		// when its addresses and metadata open,
		PublishOn string `yaml:"publish_on"`
		// when it becomes the one that new integrations are given,
		PreferOn string `yaml:"prefer_on"`
		// when its certificate ends, in N+1,
		CertificateEnd string `yaml:"certificate_end"`
		// and when its addresses close, in N+1.
		RetireOn string `yaml:"retire_on"`
		// The mail addresses that are told, 90, 60, 30, 14, 7 and 1 days
		// before, what is to be done, and at once when something happened. They
		// need mail.server.
		Notify []string `yaml:"notify"`
		// An address that the same notices are posted to, as JSON.
		Webhook struct {
			// https, or http on loopback; empty: none.
			URL string `yaml:"url"`
			// The file with the secret that calls are signed with, at least 16
			// characters. It can be given in the environment instead, as
			// VERNAL_ROTATION_WEBHOOK_SECRET.
			SecretFile string `yaml:"secret_file"`
		} `yaml:"webhook"`
	} `yaml:"rotation"`

	// How long people stay signed in.
	Session struct {
		// Without doing anything.
		Idle time.Duration `yaml:"idle"`
		// At all.
		Absolute time.Duration `yaml:"absolute"`
	} `yaml:"session"`

	// The mail server, for notices of the rotation.
	Mail struct {
		// Its address and port; empty: no mail.
		Server string `yaml:"server"`
		// The sender's address.
		From string `yaml:"from"`
		// How the way there is protected: starttls, tls (from the first byte),
		// or none, for a server on loopback only.
		TLS string `yaml:"tls"`
		// The name to sign in to the server with; empty: without.
		Username string `yaml:"username"`
		// The file with its password. The password can be given in the
		// environment instead, as VERNAL_MAIL_PASSWORD.
		PasswordFile string `yaml:"password_file"`
	} `yaml:"mail"`

	// What people and partners see of whoever runs this.
	Branding struct {
		// The name in the header of every page.
		Name string `yaml:"name"`
		// The organization named in metadata; empty: none.
		Organization string `yaml:"organization"`
		// Its home page; empty: base_url.
		OrganizationURL string `yaml:"organization_url"`
		// The address for technical questions in metadata; empty: none.
		Contact string `yaml:"contact"`
	} `yaml:"branding"`

	// The languages of the pages, of en, es and fr; the first is for people who
	// asked for none of them.
	Languages []string `yaml:"languages"`

	// The log, on standard error.
	Log struct {
		// text or json.
		Format string `yaml:"format"`
		// debug, info, warn or error.
		Level string `yaml:"level"`
	} `yaml:"log"`

	// file is the file that was read, absolute; "" if there was none. dir is
	// where relative paths start.
	file, dir string
	// explicit says that --config named the file. foreign is the user it belongs
	// to, if that is neither root nor the caller; 0 otherwise.
	explicit bool
	foreign  int
	// origins tells for each key that was set where that was, as errors name
	// it: "vernal.yaml:12" or "VERNAL_LISTEN".
	origins map[string]string
}

// defaultConfig is the configuration where nothing is set.
func defaultConfig() *Config {
	c := &Config{
		BaseURL:     "http://localhost:8080",
		Listen:      "127.0.0.1:8080",
		AdminListen: "127.0.0.1:9090",
		DataDir:     "vernal-data",
		Store:       "bolt",
		Languages:   []string{"en", "es", "fr"},
		origins:     make(map[string]string),
	}
	c.Rotation.Automatic = true
	c.Rotation.KeySource = "generate"
	c.Rotation.KeyBits = 2048
	c.Rotation.MakeOn = "01-15"
	c.Rotation.PublishOn = "02-01"
	c.Rotation.PreferOn = "03-01"
	c.Rotation.CertificateEnd = "04-01"
	c.Rotation.RetireOn = "07-01"
	c.Mail.TLS = "starttls"
	c.Session.Idle = 15 * time.Minute
	c.Session.Absolute = 12 * time.Hour
	c.Branding.Name = "Vernal"
	c.Log.Format = "text"
	c.Log.Level = "info"
	return c
}

// path makes a path of the configuration absolute; "" stays "".
func (c *Config) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(c.dir, p)
}

// dataDir is the data folder.
func (c *Config) dataDir() string { return c.path(c.DataDir) }

// masterKeyFile is the file of the master key.
func (c *Config) masterKeyFile() string {
	if c.MasterKeyFile == "" {
		return filepath.Join(c.dataDir(), "master.key")
	}
	return c.path(c.MasterKeyFile)
}
