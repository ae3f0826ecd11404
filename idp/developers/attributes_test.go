package developers_test

import (
	"strings"
	"testing"

	"vernal/idp/assurance"
	"vernal/idp/idptest"
)

// The page says of every attribute what the table says.
func TestAttributes(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	page := i.Browser().Get(i.URL + "/developers/attributes")
	if page.Status != 200 {
		t.Fatalf("status %d", page.Status)
	}
	_, rest, _ := strings.Cut(page.Text(), "ReqAttr=")
	for _, row := range assurance.Table() {
		var ok bool
		if _, rest, ok = strings.Cut(rest, "\n"+row.Name+"\n"+row.Text()+"\n"); !ok {
			t.Fatalf("no %s with %q, or in another order", row.Name, row.Text())
		}
		said, _, _ := strings.Cut(rest, "\n")
		for _, want := range []string{row.Format(), row.When()} {
			if !strings.Contains(said, want) {
				t.Errorf("%s: no %q in %q", row.Name, want, said)
			}
		}
		rest = "\n" + rest
	}
}
