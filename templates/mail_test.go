package templates

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	texttemplate "text/template"
	"time"

	"vernal/idp"
)

// Each language has the mails of English, and each mail has the same fields, codes and
// parts.
func TestMailsAreComplete(t *testing.T) {
	t.Parallel()
	attention, err := fs.ReadFile(embedded, "mails/fr/operator_attention.txt")
	if err != nil {
		t.Fatal(err)
	}
	catalogues, err := readCatalogues(embedded)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, text string
		file       string // "" is deleted
		want       string // in the error; "" for none
	}{
		{"whole", "", "mails/es/none", ""},
		{"missing", "", "mails/fr/foot.txt", `text "foot.txt" is missing`},
		{"empty", " \n", "mails/es/foot.txt", `text "foot.txt" is missing`},
		{"a field too few", "{{if .Contact}}Preguntas: {{.Contact}}{{end}} {{.Us}}", "mails/es/foot.txt",
			`text "foot.txt" has [.Contact .Us], and [.BaseURL .Organization .Support .Us] in en`},
		{"a part too few", "{{.Us}}", "mails/fr/requestcert.txt", `text "requestcert.txt" has [.Us], and`},
		{"a code too few", strings.Replace(string(attention), `"step_held"`, `"step_late"`, 1), "mails/fr/operator_attention.txt", `"step_late"`},
		{"broken", "{{if}}", "mails/es/foot.txt", "missing value for if"},
		{"superfluous", "más", "mails/es/more.txt", `text "more.txt" is superfluous`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			files := fstest.MapFS{}
			names, err := fs.Glob(embedded, "mails/*/*.txt")
			if err != nil || len(names) < 50 {
				t.Fatal(len(names), err)
			}
			for _, name := range names {
				data, err := fs.ReadFile(embedded, name)
				if err != nil {
					t.Fatal(err)
				}
				files[name] = &fstest.MapFile{Data: data}
			}
			if delete(files, tt.file); tt.text != "" {
				files[tt.file] = &fstest.MapFile{Data: []byte(tt.text)}
			}
			got := ""
			for lang, c := range catalogues {
				english, err := parseMails(files, fallback, catalogues[fallback])
				if err != nil {
					t.Fatal(err)
				}
				mails, err := parseMails(files, lang, c)
				if err == nil {
					err = checkMails(mails, english)
				}
				if err != nil {
					got += err.Error()
				}
			}
			if got != tt.want && (tt.want == "" || !strings.Contains(got, tt.want)) {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
	if _, err := parseMails(embedded, "de", catalogues[fallback]); err == nil {
		t.Error("a language without mails passes")
	}
}

// Each language writes a date, a number and a list its own way.
func TestMailDatesAndListsFollowLanguage(t *testing.T) {
	t.Parallel()
	for lang, want := range map[Lang]string{
		"en": "1 August 2027, 22 December 2026; 0 days, 1 day, 2 days; 0 service providers, 1 service provider, 2 service providers; , 2025, 2025 and 2026, 2025, 2026 and 2027; 1 hour, 24 hours; 1 minute, 30 minutes; 1 August 2027 at 23:05 UTC",
		"es": "1 de agosto de 2027, 22 de diciembre de 2026; 0 días, 1 día, 2 días; 0 proveedores de servicios, 1 proveedor de servicios, 2 proveedores de servicios; , 2025, 2025 y 2026, 2025, 2026 y 2027; 1 hora, 24 horas; 1 minuto, 30 minutos; 1 de agosto de 2027 a las 23:05 UTC",
		"fr": "1er août 2027, 22 décembre 2026; 0 jour, 1 jour, 2 jours; 0 fournisseur de services, 1 fournisseur de services, 2 fournisseurs de services; , 2025, 2025 et 2026, 2025, 2026 et 2027; 1 heure, 24 heures; 1 minute, 30 minutes; 1er août 2027 à 23\u00a0h\u00a005 UTC",
	} {
		mails, err := parseMails(fstest.MapFS{"mails/xx/x.txt": {Data: []byte(`{{date .A}}, {{date .B}}; {{days 0}}, {{days 1}}, {{days 2}}; {{providers 0}}, {{providers 1}}, {{providers 2}}; {{years .None}}, {{years .One}}, {{years .Two}}, {{years .Three}}; {{hours 1}}, {{hours 24}}; {{minutes 1}}, {{minutes 30}}; {{moment .A}}`)}},
			"xx", PhrasesIn(lang).c)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := (&Phrases{mails: func() (*texttemplate.Template, error) { return mails, nil }}).Mail("x.txt", map[string]any{
			"A": time.Date(2027, 8, 1, 23, 5, 0, 0, time.UTC), "B": time.Date(2026, 12, 22, 0, 0, 0, 0, time.UTC),
			"None": []idp.Year{}, "One": []idp.Year{"2025"}, "Two": []idp.Year{"2025", "2026"}, "Three": []idp.Year{"2025", "2026", "2027"},
		})
		if err != nil || got != want {
			t.Errorf("%s: got %q, %v\nwant %q", lang, got, err, want)
		}
	}
}
