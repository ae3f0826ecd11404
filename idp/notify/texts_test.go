package notify

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"vernal/idp"
	"vernal/templates"
)

// TestTexts: each language has the texts of the others, and no build goes out
// where one is missing or tells of something else.
func TestTexts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(fstest.MapFS)
		want   string // in the error; "" for none
	}{
		{"whole", func(fstest.MapFS) {}, ""},
		{"missing", func(f fstest.MapFS) { delete(f, "texts/fr/foot.txt") }, "text fr/foot.txt is missing"},
		{"empty", func(f fstest.MapFS) { f["texts/es/foot.txt"].Data = []byte(" \n") }, "text es/foot.txt is missing"},
		{"a field too few", func(f fstest.MapFS) {
			f["texts/es/foot.txt"].Data = []byte("{{if .Contact}}Preguntas: {{.Contact}}{{end}} {{.Us}}")
		}, "text es/foot.txt has [.Contact .Us], and [.BaseURL .Contact .Us] in en"},
		{"a part too few", func(f fstest.MapFS) {
			f["texts/fr/requestcert.txt"].Data = []byte(strings.ReplaceAll(string(f["texts/fr/requestcert.txt"].Data), `{{template "foot.txt" .}}`, ""))
		}, "text fr/requestcert.txt has"},
		{"superfluous", func(f fstest.MapFS) { f["texts/es/more.txt"] = &fstest.MapFile{Data: []byte("más")} }, "text es/more.txt is superfluous"},
		{"a language", func(f fstest.MapFS) {
			maps.DeleteFunc(f, func(name string, _ *fstest.MapFile) bool { return path.Dir(name) == "texts/fr" })
		}, `texts in "fr"`},
		{"broken", func(f fstest.MapFS) { f["texts/es/foot.txt"].Data = []byte("{{if}}") }, `texts in "es"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			files := fstest.MapFS{}
			names, err := fs.Glob(embedded, "texts/*/*.txt")
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
			tt.change(files)
			got := ""
			if _, err := readTexts(files); err != nil {
				got = err.Error()
			}
			if got != tt.want && (tt.want == "" || !strings.Contains(got, tt.want)) {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
	// The pages and the mails are in the same languages.
	set, err := templates.New()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := slices.Sorted(maps.Keys(texts)), set.Langs(); !slices.Equal(got, want) {
		t.Errorf("mails in %v, pages in %v", got, want)
	}
}

// TestEveryBranch writes each text in each language with all that it can tell and
// with nothing, and looks for what was forgotten.
func TestEveryBranch(t *testing.T) {
	t.Parallel()
	at := time.Date(2027, 8, 1, 0, 0, 0, 0, time.UTC)
	english := []string{" the ", " and ", " of ", " is ", "August", "days", "Sign-in", "Metadata\n", "service provider"}
	letters := []letterData{
		{Name: "Record", ID: "urn:a", From: []idp.Year{"2025", "2026"}, To: "2027", LastAt: at, DueAt: at, CertEndAt: at, RetireAt: at.AddDate(0, 3, 0),
			Contact: "help@example.gov", PEM: "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----", Hinted: "https://x",
			Changes:      []change{{"auth", []string{"a"}, "b"}, {"logout", nil, "b"}, {"remotelogout", nil, "b"}, {"metadata", nil, "b"}, {"certificate", nil, "b"}},
			RequestCerts: []endingCert{{"AA", at, true}, {"BB", at, false}}},
		{From: []idp.Year{"2026"}, DueAt: at, Grace: true, CertEndAt: at, RetireAt: at, RequestCerts: []endingCert{{"BB", at, false}}},
		{From: []idp.Year{"2026"}, Closed: true, RequestCerts: []endingCert{{"AA", at, true}}},
		{Name: "Record", From: []idp.Year{"2026"}, CertEndAt: at, RequestCerts: []endingCert{{"AA", at, true}}},
	}
	operators := []operatorData{
		{Year: "2026", DueAt: at, Days: 1, Hand: true, Newer: true, SPs: []string{"urn:a"}, Count: 1, More: 2,
			Certs: []requestCert{{SP: "urn:a", EndAt: at, Ended: true}, {SP: "urn:b", EndAt: at, Days: 7}}, MoreCerts: 3},
		{Year: "2026", DueAt: at, Days: 30, Ended: true, SPs: []string{"urn:a"}, Count: 2},
		{},
	}
	for _, step := range []string{"create", "publish", "prefer", "retire", "destroy", "failed", "held", "overdue", "closed", "clock"} {
		operators = append(operators, operatorData{Year: "2026", Step: step, At: at})
		operators = append(operators, operatorData{Year: "2026", Step: step, At: at, DueAt: at, Days: 14, Open: true, SPs: []string{"urn:a"}, Count: 1})
	}
	for lang := range texts {
		for name := range mentions(texts[lang]) {
			var all []any
			for _, d := range letters {
				d.Us, d.BaseURL, d.ID, d.LastAt = "Example", "https://x", "urn:a", at
				all = append(all, d)
			}
			if strings.HasPrefix(name, "operator_") {
				all = nil
				for _, d := range operators {
					d.Us, d.BaseURL, d.ID, d.Why, d.Waits, d.Reason = "Example", "https://x", "x/1", "wieso", "worauf", "warum"
					all = append(all, d)
				}
			}
			for _, d := range all {
				subject, text, err := render(lang, name, d)
				if err != nil {
					t.Errorf("%s: %v", lang, err)
					continue
				}
				for _, bad := range english {
					if body := " " + subject + "\n" + text; lang != fallback && strings.Contains(body, bad) {
						t.Errorf("%s/%s has %q:\n%s", lang, name, bad, body)
					}
				}
				for _, bad := range []string{"<no value>", "%!", "  \n", " .", " ,", "::", ".."} {
					if strings.Contains(subject+"\n"+text, bad) {
						t.Errorf("%s/%s has %q:\n%s\n%s", lang, name, bad, subject, text)
					}
				}
			}
		}
	}
}

// TestLongDate: each language writes a date its own way, and the first of a month
// too.
func TestLongDate(t *testing.T) {
	t.Parallel()
	for lang, want := range map[templates.Lang]string{
		"en": "1 August 2027, 22 December 2026", "es": "1 de agosto de 2027, 22 de diciembre de 2026", "fr": "1er août 2027, 22 décembre 2026",
	} {
		g := grammars[lang]
		got := g.longDate(time.Date(2027, 8, 1, 23, 0, 0, 0, time.UTC)) + ", " + g.longDate(time.Date(2026, 12, 22, 0, 0, 0, 0, time.UTC))
		if got != want {
			t.Errorf("%s: got %q, want %q", lang, got, want)
		}
	}
}
