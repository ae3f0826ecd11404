package config

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vernal/idp/outbound"
	"vernal/idp/rotation"
)

// sameValues compares what is configured, not where it was, nor the paths that Load
// makes absolute.
func sameValues() cmp.Option {
	return cmp.Options{
		cmpopts.IgnoreUnexported(Config{}), cmpopts.EquateEmpty(),
		cmpopts.IgnoreFields(Config{}, "File", "Explicit", "DataDir", "MasterKeyFile"),
	}
}

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

// TestTemplateExplainsEveryKey checks that the embedded vernal.yaml contains exactly the
// existing keys, each with its default and an explanation. So does the file that Write makes
// of it, in which the defaults are commented out.
func TestTemplateExplainsEveryKey(t *testing.T) {
	t.Parallel()
	c := &Config{origins: map[string]string{}}
	l := newLoader(c, DefaultFile)
	l.readYAML([]byte(template))
	if len(l.problems) > 0 {
		t.Fatal(l.problems)
	}
	written, err := Write(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range c.keys() {
		if k.perLanguage {
			continue
		}
		if c.origins[k.path] == "" {
			t.Errorf("%s has no default", k.path)
		}
		name := k.path[strings.LastIndex(k.path, ".")+1:]
		if !regexp.MustCompile(`(?m)^ *# .+\n *#` + name + ": ").MatchString(written) {
			t.Errorf("%s is written without an explanation", k.path)
		}
	}
	for _, s := range l.sections {
		if _, isKey := l.keys[s]; isKey {
			continue
		}
		name := s[strings.LastIndex(s, ".")+1:]
		if !regexp.MustCompile(`(?m)^ *# .+\n *` + name + ":$").MatchString(written) {
			t.Errorf("%s is written without an explanation", s)
		}
	}
	if uncommented := regexp.MustCompile(`(?m)^( *)#([a-z]\w*: )`).ReplaceAllString(written, "$1$2"); uncommented != template {
		t.Errorf("Write changes more than comment signs (-template +uncommented)\n%s", cmp.Diff(template, uncommented))
	}
	if regexp.MustCompile(`(?m)^ *[a-z]\w*: `).MatchString(written) {
		t.Error("a default is not commented out")
	}
	for name, text := range map[string]string{"template": template, "written": written} {
		got, err := Load(writeFile(t, text), emptyEnv)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(Default(), got, sameValues()); diff != "" {
			t.Errorf("%s (-default +read)\n%s", name, diff)
		}
	}
}

// TestDefaultsMatchContract checks the defaults against the documented contract.
func TestDefaultsMatchContract(t *testing.T) {
	t.Parallel()
	c := Default()
	got := []any{c.BaseURL, c.Listen, c.AdminListen, c.DataDir, c.Store, c.Rotation.Automatic, c.Rotation.KeySource, c.Session.Idle, c.Session.Absolute}
	want := []any{"http://localhost:8080", "127.0.0.1:8080", "127.0.0.1:9090", "vernal-data", "bolt", true, "generate", 15 * time.Minute, 12 * time.Hour}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	calendar := rotation.DefaultPolicy()
	calendar.KeySource = rotation.SourceGenerate
	if diff := cmp.Diff(calendar, c.Policy()); diff != "" {
		t.Errorf("(-rotation +configuration)\n%s", diff)
	}
}

// TestWrittenValuesAreReadBack writes values that YAML could misinterpret, in a text and in
// a list.
func TestWrittenValuesAreReadBack(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		"plain", "/var/lib/vernal", "a b", "10", "1e3", "true", "No", "null", "~", "- x", "a: b", "a #b", "#a",
		`quo"te`, `back\slash`, "'", "[x]", "{x}", "&a", "*a", "!a", "%a", "@a", "`a", "é", "a:", ".5", "0x10", "a\nb", "a\n", " a ", "tab\t", "\x01", "<&>", "x\u2028y", "2026-11-22",
	} {
		text, err := Write(map[string]string{"data_dir": value, "rotation.notify": "first, " + value})
		if err != nil {
			t.Fatal(err)
		}
		c := Default()
		l := newLoader(c, DefaultFile)
		l.readYAML([]byte(text))
		want := []string{"first", strings.TrimSpace(value)}
		if len(l.problems) > 0 || c.DataDir != value || !slices.Equal(c.Rotation.Notify, want) {
			t.Errorf("%q was read back as %q and %q, %v", value, c.DataDir, c.Rotation.Notify, l.problems)
		}
	}
	if _, err := Write(map[string]string{"rotation.key_bits": "many"}); err == nil {
		t.Error("a text was written for a number")
	}
}

func TestEnvironmentOverridesFile(t *testing.T) {
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
	c, err := Load(file, func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.BaseURL = "https://login.example.gov"
	want.Rotation.Automatic = false
	want.Rotation.KeyBits = 3072
	want.Session.Idle = 20 * time.Minute
	want.Session.Absolute = 6 * time.Hour
	want.TrustedProxies = []string{"10.0.0.0/8", "192.0.2.1"}
	want.Log.Format = "json"
	if diff := cmp.Diff(want, c, sameValues()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if want := filepath.Join(filepath.Dir(file), "vernal-data"); c.DataDir != want {
		t.Errorf("data folder %q, want %q", c.DataDir, want)
	}
	// Every key can be set so.
	for _, s := range c.keys() {
		if !regexp.MustCompile(`^VERNAL(_[A-Z][A-Z0-9]*)+$`).MatchString(s.envName()) {
			t.Errorf("variable %q", s.envName())
		}
	}
}

// TestPlatformVariablesAreIgnored checks that the variables that container platforms set for
// a service called vernal are not reported as mistakes.
func TestPlatformVariablesAreIgnored(t *testing.T) {
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
		if got := isInjected(tt.name, tt.value); got != tt.want {
			t.Errorf("%s=%s: got %v, want %v", tt.name, tt.value, got, tt.want)
		}
	}
}

// TestFileThatIsNoMappingIsRefused checks that a file that is no plain mapping of keys to
// values is refused, with its line.
func TestFileThatIsNoMappingIsRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		line       int // 0: nothing is wrong
	}{
		{"a second document", "listen: \"[::1]:1\"\n---\nlisten: \"[::1]:2\"\n", 3},
		{"a list", "- listen\n", 1},
		{"an alias", "listen: &a \"[::1]:1\"\nadmin_listen: *a\n", 2},
		{"a list of numbers", "languages: [en, 1]\n", 1},
		{"an empty item", "languages: [en, \"\"]\n", 1},
		{"a flag without a value", "rotation:\n  automatic:\n", 2},
		{"a text without a value", "listen:\nlanguages:\nrotation:\n", 0},
		{"no document", "# nothing\n---\n", 0},
	}
	for _, tt := range tests {
		c := Default()
		l := newLoader(c, DefaultFile)
		l.readYAML([]byte(tt.text))
		found := slices.ContainsFunc(l.problems, func(p string) bool { return strings.HasPrefix(p, fmt.Sprintf("%s:%d: ", DefaultFile, tt.line)) })
		if found != (tt.line > 0) || tt.line == 0 && len(l.problems) > 0 {
			t.Errorf("%s: %q", tt.name, l.problems)
		}
		if tt.line == 0 && (c.Listen != Default().Listen || len(c.Languages) != 3) {
			t.Errorf("%s: %q, %q", tt.name, c.Listen, c.Languages)
		}
	}
}

// TestPathsAreRelativeToConfigFile checks that every key that names a file or folder is
// relative to the folder of vernal.yaml.
func TestPathsAreRelativeToConfigFile(t *testing.T) {
	t.Parallel()
	paths := []string{
		"data_dir", "master_key_file", "tls.cert", "tls.key", "mail.password_file",
		"rotation.pkcs11.module", "rotation.pkcs11.pin_file", "rotation.webhook.secret_file", "branding.logo",
	}
	set := map[string]string{"mail.username": "u", "rotation.pkcs11.token": "t", "base_url": "https://login.example.gov"}
	for _, path := range paths {
		set[path] = "sub/" + path
	}
	text, err := Write(set)
	if err != nil {
		t.Fatal(err)
	}
	file := writeFile(t, text)
	sub := filepath.Join(filepath.Dir(file), "sub")
	if err := errors.Join(os.Mkdir(sub, 0o700), os.WriteFile(filepath.Join(sub, "branding.logo"), []byte(goodLogo), 0o600)); err != nil {
		t.Fatal(err)
	}
	c, err := Load(file, emptyEnv)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range c.keys() {
		if want := filepath.Join(filepath.Dir(file), "sub", k.path); slices.Contains(paths, k.path) && k.value.String() != want {
			t.Errorf("%s is %s, want %s", k.path, k.value, want)
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
		c := Default()
		newLoader(c, DefaultFile).readYAML([]byte(text))
		_ = c.Validate()
	})
}

// TestBaseURL checks that base_url has only one spelling, because cookie security and the
// entity ID depend on it.
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
		{"http at another host", "http://login.example.gov", false},
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
			c, err := Load(writeFile(t, ""), env)
			if (err == nil) != tt.good {
				t.Fatalf("config %v, error %v", c, err)
			}
			if err == nil && strings.HasSuffix(c.BaseURL, "/") {
				t.Errorf("base_url %q ends with a slash", c.BaseURL)
			}
		})
	}
}

func TestOutboundAllowIsChecked(t *testing.T) {
	t.Parallel()
	_, err := Load(writeFile(t, "outbound:\n  allow: [sp.internal, 10.0.0.0/8, 192.168.1.1, \"https://sp.internal\", 10.0.0.0/33]\n"), emptyEnv)
	invalid, ok := errors.AsType[*Error](err)
	if !ok || len(invalid.Problems) != 2 || !strings.Contains(invalid.Problems[0], ":2: outbound.allow: ") {
		t.Errorf("problems %v", err)
	}
	c, err := Load(writeFile(t, "outbound: {allow: [127.0.0.1]}\n"), emptyEnv)
	if err != nil {
		t.Fatal(err)
	}
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	for _, tt := range []struct {
		config *Config
		isOpen bool
	}{{c, true}, {Default(), false}} {
		conn, err := tt.config.OutboundClient().Dial(t.Context(), "udp", pc.LocalAddr().String(), outbound.Partner)
		if err == nil {
			conn.Close()
		}
		if (err == nil) != tt.isOpen {
			t.Errorf("allowed %q: %v", tt.config.Outbound.Allow, err)
		}
	}
}
