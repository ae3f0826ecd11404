package templates

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"vernal/certs"
)

func TestReasons(t *testing.T) {
	t.Parallel()
	r, err := NewReasons()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, sentence string
		es, fr         string // "" for one that stays
	}{
		{"days", "our signing certificate (2026b) ended on 2027-04-01, and its addresses still answer",
			"nuestro certificado de firma (2026b) venció el 1 de abril de 2027, y sus direcciones todavía responden",
			"notre certificat de signature (2026b) a expiré le 1er avril 2027, et ses adresses répondent encore"},
		{"one in another, and several", "retire 2026 was due on 2027-07-01: no newer year is published; it was last used on 2027-06-20; the server must run for 14 days without use, 1 day to go",
			"retire 2026 debía darse el 1 de julio de 2027: no hay ningún año más nuevo publicado; se usó por última vez el 20 de junio de 2027; el servidor debe funcionar 14 días sin que se use; falta: 1 día",
			"retire 2026 était due le 1er juillet 2027\u00a0: aucune année plus récente n’est publiée\u00a0; elle a été utilisée pour la dernière fois le 20 juin 2027\u00a0; le serveur doit fonctionner 14 jours sans qu’elle le soit, il reste 1 jour"},
		{"of a service provider", "its request certificate c3c3c3c3c3c3c3c3 ended on 2027-02-09",
			"su certificado de solicitudes c3c3c3c3c3c3c3c3 venció el 9 de febrero de 2027", "son certificat de demande c3c3c3c3c3c3c3c3 a expiré le 9 février 2027"},
		{"a cause that is foreign", "publish 2027 failed on 2027-02-01: open keys: permission denied",
			"publish 2027 falló el 1 de febrero de 2027: open keys: permission denied",
			"publish 2027 a échoué le 1er février 2027\u00a0: open keys: permission denied"},
		{"a closed year", "our year 2026 is closed: " + certs.KeyDiffers.Describe("2026"),
			"nuestro año 2026 está cerrado: su clave de firma no es la registrada: restaure keys/ desde una copia de seguridad o ejecute vernal rotation revoke 2026 --reason TEXT --yes 2026",
			"notre année 2026 est fermée\u00a0: sa clé de signature n’est pas celle qui est enregistrée\u00a0: restaurez keys/ depuis une sauvegarde, ou exécutez vernal rotation revoke 2026 --reason TEXT --yes 2026"},
		{"a name with semicolons", "a request certificate of urn:a;b ended on 2027-02-01", "", ""},
		{"not ours", "somebody <b>says</b> so", "", ""},
		{"empty", "", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for lang, want := range map[Lang]string{"en": tt.sentence, "es": tt.es, "fr": tt.fr} {
				got, ok := r.In(lang, tt.sentence)
				if said := want != "" || lang == fallback; ok != said || said && got != want || !said && got != tt.sentence {
					t.Errorf("%s: %q, %v\nwant %q", lang, got, ok, want)
				}
			}
			if page := string(r.page("es")(tt.sentence)); strings.Contains(page, "<b>") || (tt.es == "") != strings.HasPrefix(page, `<span lang="en">`) {
				t.Errorf("on a page: %s", page)
			}
		})
	}
}

func hasReason(r *Reasons, text string) bool {
	_, ok := r.In("fr", text)
	return ok
}

// TestReasonsKnown: what the rotation and the board can say is said in every
// language. It reads their source, so that a new sentence is not forgotten.
func TestReasonsKnown(t *testing.T) {
	t.Parallel()
	r, err := NewReasons()
	if err != nil {
		t.Fatal(err)
	}
	// Parts of sentences; whole ones with them are above.
	parts := map[string]bool{" on ": true, "it was last used": true, "its request certificate ": true, "%s ended on %s": true, "%s ends on %s": true,
		"%s; the server must run for %d days without use, %s to go": true}
	verb := regexp.MustCompile(`%(\d*d|s)`)
	count := 0
	for _, file := range []string{"../certs/due.go", "../certs/status.go", "../idp/board/line.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(lit.Value)
			if err != nil || strings.Count(text, " ") < 2 || parts[text] || strings.HasPrefix(text, ", ") || strings.HasPrefix(text, "%s %s %s") {
				return true
			}
			said := func(text string) bool { return hasReason(r, text) }
			count++
			text = verb.ReplaceAllString(text, "2027-01-02")
			if !said(text) && !said(text+" on 2027-01-02") && !said("retire 2027 "+text) &&
				!said(text+"; the server must run for 14 days without use, 2 days to go") &&
				!said(strings.Replace(text, "2027-01-02 ours", "behind ours", 1)) {
				t.Errorf("%s: %q is in English only: add it to the catalogues as a reason", file, text)
			}
			return true
		})
	}
	for _, fault := range []certs.KeyFault{certs.KeyMissing, certs.CertMissing, certs.KeyDiffers, certs.KeyDamaged} {
		if text := fault.Describe("2026"); !hasReason(r, text) {
			t.Errorf("%q is in English only: add it to the catalogues as a reason", text)
		}
	}
	if count < 25 {
		t.Errorf("found %d sentences only: the test looks in the wrong place", count)
	}
}
