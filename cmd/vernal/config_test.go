package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// sameConfig compares what is configured, not where it was.
func sameConfig() cmp.Option { return cmpopts.IgnoreUnexported(Config{}) }

func emptyEnv(string) string { return "" }

// writeFile puts a configuration into a folder of its own.
func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vernal.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestWrittenConfig holds the file that init writes against the struct: as it
// stands, and with every comment sign before a key taken away, it says the
// defaults.
func TestWrittenConfig(t *testing.T) {
	t.Parallel()
	text, err := writeConfig(nil)
	if err != nil {
		t.Fatal(err)
	}
	uncommented := regexp.MustCompile(`(?m)^( *)#([a-z_]+: )`).ReplaceAllString(text, "$1$2")
	if uncommented == text {
		t.Fatal("no key is commented out")
	}
	for name, text := range map[string]string{"as written": text, "uncommented": uncommented} {
		c, err := loadConfig(writeFile(t, text), emptyEnv)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
			continue
		}
		if diff := cmp.Diff(defaultConfig(), c, sameConfig(), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-default +read)\n%s", name, diff)
		}
	}
	for _, s := range settings(defaultConfig()) {
		name := s.path[strings.LastIndex(s.path, ".")+1:]
		if !regexp.MustCompile(`(?m)^ *# .+\n *#` + name + ": ").MatchString(text) {
			t.Errorf("%s stands there without an explanation", s.path)
		}
	}
}

// TestWrittenValues writes values that YAML could take for something else.
func TestWrittenValues(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		"plain", "/var/lib/vernal", "a b", "10", "1e3", "true", "No", "null", "~", "- x", "a: b", "a #b", "#a",
		`quo"te`, `back\slash`, "'", "[x]", "{x}", "&a", "*a", "!a", "%a", "@a", "`a", "é", "a:", ".5", "0x10", "2026-11-22",
	} {
		text, err := writeConfig(map[string]string{"data_dir": value})
		if err != nil {
			t.Fatal(err)
		}
		c, err := loadConfig(writeFile(t, text), emptyEnv)
		if err != nil || c.DataDir != value {
			t.Errorf("%q was read back as %+v, %v", value, c, err)
		}
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"VERNAL_BASE_URL":           "https://login.example.gov/",
		"VERNAL_ROTATION_AUTOMATIC": "false",
		"VERNAL_ROTATION_KEY_BITS":  "3072",
		"VERNAL_SESSION_IDLE":       "20m",
		"VERNAL_TRUSTED_PROXIES":    "10.0.0.0/8, 192.0.2.1",
		"VERNAL_LOG_FORMAT":         "json",
	}
	file := writeFile(t, "session:\n  idle: 5m\n  absolute: 6h\n")
	c, err := loadConfig(file, func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	want := defaultConfig()
	want.BaseURL = "https://login.example.gov"
	want.Rotation.Automatic = false
	want.Rotation.KeyBits = 3072
	want.Session.Idle = 20 * time.Minute
	want.Session.Absolute = 6 * time.Hour
	want.TrustedProxies = []string{"10.0.0.0/8", "192.0.2.1"}
	want.Log.Format = "json"
	if diff := cmp.Diff(want, c, sameConfig()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if want := filepath.Join(filepath.Dir(file), "vernal-data"); c.dataDir() != want {
		t.Errorf("data folder %q, want %q", c.dataDir(), want)
	}
	// Every key can be set so.
	for _, s := range settings(c) {
		if !regexp.MustCompile(`^VERNAL(_[A-Z][A-Z0-9]*)+$`).MatchString(s.env()) {
			t.Errorf("variable %q", s.env())
		}
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	var keys []string
	for _, s := range settings(defaultConfig()) {
		keys = append(keys, s.path)
	}
	tests := []struct{ name, key, want string }{
		{"letters swapped", "base_ulr", "base_url"},
		{"letter missing", "liste", "listen"},
		{"hyphen", "data-dir", "data_dir"},
		{"wrong section", "log.idle", "session.idle"},
		{"without its section", "key_bits", "rotation.key_bits"},
		{"nothing like it", "xylophone", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := nearest(tt.key, keys); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Container platforms set variables for a service called vernal: they are no
// mistake of the operator.
func TestInjectedVariables(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, value string
		want        bool
	}{
		{"VERNAL_SERVICE_HOST", "10.0.0.1", true},
		{"VERNAL_SERVICE_PORT_HTTPS", "443", true},
		{"VERNAL_PORT", "tcp://10.0.0.1:443", true},
		{"VERNAL_PORT_443_TCP_ADDR", "10.0.0.1", true},
		{"VERNAL_ADMIN_SERVICE_PORT", "9090", true},
		{"VERNAL_ADMIN_PORT", "tcp://10.0.0.1:9090", true},
		{"VERNAL_ADMIN_PORT_9090_TCP_PROTO", "tcp", true},
		{"VERNAL_LISTEN_PORT", "8080", false},
		{"VERNAL_BASE_ULR", "https://login.example.gov", false},
		{"VERNAL_SERVICES", "x", false},
	}
	for _, tt := range tests {
		if got := injected(tt.name, tt.value); got != tt.want {
			t.Errorf("%s=%s: got %v, want %v", tt.name, tt.value, got, tt.want)
		}
	}
}

// FuzzConfig holds that no file makes reading it panic.
func FuzzConfig(f *testing.F) {
	f.Add("base_url: http://localhost\nlog:\n  level: debug\n")
	f.Add("a: &a [*a]\n")
	f.Add("? x\n: y\n")
	f.Add("log: {level: [}")
	f.Fuzz(func(_ *testing.T, text string) {
		l := &loader{config: defaultConfig(), settings: make(map[string]setting)}
		for _, s := range settings(l.config) {
			l.settings[s.path] = s
			l.keys = append(l.keys, s.path)
		}
		l.file("vernal.yaml", []byte(text))
		_ = l.config.problems()
	})
}

// Cookie security and the entity ID hang on base_url: it has one spelling.
func TestBaseURL(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, url string
		good      bool
	}{
		{"https", "https://login.example.gov", true},
		{"slash at the end", "https://login.example.gov/", true},
		{"port", "https://login.example.gov:8443", true},
		{"loopback", "http://localhost:8080", true},
		{"loopback by address", "http://[::1]:8080", true},
		{"http elsewhere", "http://login.example.gov", false},
		{"scheme in capitals", "HTTPS://login.example.gov", false},
		{"host in capitals", "https://Login.example.gov", false},
		{"default port", "https://login.example.gov:443", false},
		{"no host", "https://:8443", false},
		{"no port after the colon", "https://login.example.gov:", false},
		{"port too large", "https://login.example.gov:99999", false},
		{"star", "https://*.example.gov", false},
		{"question mark", "https://login.example.gov?", false},
		{"hash", "https://login.example.gov#", false},
		{"path", "https://login.example.gov/idp", false},
		{"user", "https://me@login.example.gov", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env := func(name string) string {
				switch name {
				case "VERNAL_BASE_URL":
					return tt.url
				case "VERNAL_TRUSTED_PROXIES":
					return "127.0.0.1"
				}
				return ""
			}
			c, err := loadConfig(writeFile(t, ""), env)
			if (err == nil) != tt.good {
				t.Fatalf("config %v, error %v", c, err)
			}
			if err == nil && strings.HasSuffix(c.BaseURL, "/") {
				t.Errorf("base_url %q ends with a slash", c.BaseURL)
			}
		})
	}
}
