package developers_test

import (
	"html"
	"strings"
	"testing"

	"vernal/idp/assurance"
	"vernal/idp/idptest"
	"vernal/templates"
)

// The page shows every attribute as in the table.
func TestAttributePageMatchesTable(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	page := i.Browser().Get(i.URL + "/developers/attributes")
	if page.Status != 200 {
		t.Fatalf("status %d", page.Status)
	}
	_, rest, _ := strings.Cut(page.Text(), "ReqAttr=")
	for _, row := range assurance.Table() {
		var ok bool
		example := templates.AttributeRow{Name: row.Name}.Example()
		if _, rest, ok = strings.Cut(rest, "\n"+row.Name+"\n"+example+"\n"+row.Text()+"\n"); !ok {
			t.Fatalf("no %s with %q, or in another order", row.Name, row.Text())
		}
		said, _, _ := strings.Cut(rest, "\n")
		for _, want := range []string{row.Format(), row.DescribeRelease()} {
			if !strings.Contains(said, want) {
				t.Errorf("%s: no %q in %q", row.Name, want, said)
			}
		}
		rest = "\n" + rest
	}
}

// The page lists every value that a request may ask for, at the anchor that the page of a
// refusal links to.
func TestContextPageListsEveryValue(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider("https://a.example")
	refused := i.Browser().Get(a.URL(&idptest.Request{ClassRefs: []string{"http://schemas.microsoft.com/claims/multipleauthn"}}))
	if refused.Status != 400 || !strings.Contains(string(refused.Body), `href="`+templates.ContextsPath+`"`) {
		t.Errorf("the refusal, %d, does not lead to %s", refused.Status, templates.ContextsPath)
	}
	page := string(i.Browser().Get(i.URL + templates.AttributesPath).Body)
	_, list, found := strings.Cut(page, `id="contexts"`)
	if !found {
		t.Fatal("no list")
	}
	for _, ref := range assurance.ListClassRefs() {
		want := "<code>" + html.EscapeString(ref) + "</code>"
		if !strings.Contains(list, want) {
			t.Errorf("the list has no %s", ref)
		}
		if !strings.Contains(string(refused.Body), html.EscapeString(ref)) {
			t.Errorf("the refusal does not name %s", ref)
		}
	}
}
