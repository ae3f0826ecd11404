package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/templates"
)

const goodLogo = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><path d="M0 0h1"/></svg>`

// loadBranding loads a configuration with files beside it.
func loadBranding(t *testing.T, text string, files map[string]string) (*Config, error) {
	t.Helper()
	file := writeFile(t, text)
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(filepath.Dir(file), name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Load(file, emptyEnv)
}

func TestBrandingIsLocalized(t *testing.T) {
	t.Parallel()
	c, err := loadBranding(t, `branding:
  name: Sign-in
  name.es: Acceso
  organization: {en: State of Example, fr: État d’Exemple}
  banner: An official website
  banner.fr: Un site officiel
  support_email: help@example.gov
  support_url:
    es: https://example.gov/ayuda
  help_url: /help
  help_url.fr: https://example.gov/aide
  color: "#005ea2"
  logo: logo.svg
base_url: http://localhost:8080
`, map[string]string{"logo.svg": goodLogo})
	if err != nil {
		t.Fatal(err)
	}
	brand := c.Brand()
	want := templates.Branding{Name: "Sign-in", Organization: "State of Example", Banner: "An official website",
		SupportEmail: "help@example.gov", SiteURL: "http://localhost:8080/"}
	if len(brand.Files) != 2 {
		t.Fatalf("%d files, want logo and stylesheet", len(brand.Files))
	}
	want.LogoURL, want.ColorURL = brand.Files[0].Path, brand.Files[1].Path
	es, fr := want, want
	es.Name, es.SupportURL, es.Organization = "Acceso", "https://example.gov/ayuda", ""
	fr.Organization, fr.Banner, fr.HelpURL = "État d’Exemple", "Un site officiel", "https://example.gov/aide"
	if diff := cmp.Diff(map[templates.Lang]templates.Branding{"en": want, "es": es, "fr": fr}, brand.Langs); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, f := range brand.Files {
		if !strings.HasPrefix(f.Path, templates.BrandPrefix) || !strings.Contains(f.CSP, "sandbox") || f.Type == "" || len(f.Data) == 0 {
			t.Errorf("file %q of type %q, CSP %q", f.Path, f.Type, f.CSP)
		}
	}
	written, err := Write(map[string]string{"branding.name.es": "Acceso: \"x\""})
	if err != nil {
		t.Fatal(err)
	}
	if c, err = loadBranding(t, written, nil); err != nil || c.Branding.Name != (Localized{Text: "Vernal", ES: `Acceso: "x"`}) {
		t.Errorf("written and read: %+v, %v", c, err)
	}
}

func TestBrandingFromEnvironment(t *testing.T) {
	t.Parallel()
	env := map[string]string{"VERNAL_BRANDING_NAME_FR": "Connexion", "VERNAL_BRANDING_SUPPORT_EMAIL": "aide@example.gov"}
	c, err := Load(writeFile(t, ""), func(name string) string { return env[name] }, "VERNAL_BRANDING_NAME_FR=Connexion")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Brand().Branding("fr"); got.Name != "Connexion" || got.SupportEmail != "aide@example.gov" {
		t.Errorf("%+v", got)
	}
}

// TestBrandingProblemsNameTheirLines checks that all problems are found at once, each with
// its line and key.
func TestBrandingProblemsNameTheirLines(t *testing.T) {
	t.Parallel()
	lines := []struct{ key, value string }{
		{"name", `""`},
		{"organization_url", "ftp://example.gov"},
		{"contact", "nobody"},
		{"logo", "bad.svg"},
		{"color", "blue"},
		{"support_email", `"Help <help@example.gov>"`},
		{"support_url", "javascript:alert(1)"},
		{"support_url.fr", "//example.gov"},
		{"help_url", `""`},
		{"help_url.es", "/nowhere"},
		{"privacy_url", "http://example.gov/privacy"},
		{"accessibility_url", "https://user:secret@example.gov/"},
		{"terms_url.en", "/help"},
	}
	text := "branding:\n"
	for _, l := range lines {
		text += "  " + l.key + ": " + l.value + "\n"
	}
	_, err := loadBranding(t, text, map[string]string{"bad.svg": strings.Replace(goodLogo, "<path", "\n<script/><path", 1)})
	invalid, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("error %v", err)
	}
	for i, l := range lines {
		at := fmt.Sprintf(":%d: branding.%s:", i+2, l.key)
		if !slices.ContainsFunc(invalid.Problems, func(p string) bool { return strings.Contains(p, at) }) {
			t.Errorf("no problem with %q in %q", at, invalid.Problems)
		}
		if l.key == "logo" && !strings.Contains(invalid.Error(), "bad.svg:2:") {
			t.Errorf("the line of the logo is missing in %q", invalid.Problems)
		}
	}
	if len(invalid.Problems) != len(lines) {
		t.Errorf("%d problems, want %d: %q", len(invalid.Problems), len(lines), invalid.Problems)
	}
}

func TestColorNeedsContrast(t *testing.T) {
	t.Parallel()
	tests := []struct {
		color string
		good  bool
	}{
		{"#005ea2", true},
		{"#112E51", true},
		{"#000000", true},
		{"#767676", true},  // 4.54:1
		{"#777777", false}, // 4.48:1
		{"#ffff00", false},
		{"#ffffff", false},
		{"#05a", false},
		{"005ea2", false},
		{"red", false},
		{"#005ea2;}", false},
	}
	for _, tt := range tests {
		_, err := loadBranding(t, fmt.Sprintf("branding:\n  color: %q\n", tt.color), nil)
		if (err == nil) != tt.good {
			t.Errorf("%s: %v", tt.color, err)
		}
	}
}

func TestLogoFileIsChecked(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"missing": "none.svg", "folder": ".", "pipe": pipe, "too long": "long.svg", "not an image": "text.png"} {
		_, err := loadBranding(t, "branding:\n  logo: "+path+"\n", map[string]string{"long.svg": goodLogo + strings.Repeat(" ", 64<<10), "text.png": "secret"})
		invalid, ok := errors.AsType[*Error](err)
		if !ok || len(invalid.Problems) != 1 || !strings.Contains(invalid.Problems[0], ":2: branding.logo:") {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the file's content is in %v", name, err)
		}
	}
}
