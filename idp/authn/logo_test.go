package authn_test

import (
	"net/http"
	"strings"
	"testing"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/sp"
)

// logos returns the URLs of the service providers' logos on a page.
func logos(page *idptest.Page) (paths []string) {
	for n := range page.Doc.Descendants() {
		if src := attribute(n, "src"); n.Data == "img" && strings.HasPrefix(src, idp.LogoPrefix) {
			paths = append(paths, src)
		}
	}
	return paths
}

// Pages of a verified request show the logo, and so does the user's own list. A page that
// anyone can cause in the provider's name does not.
func TestLogoIsShownForVerifiedRequestsOnly(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann, provider := i.AddUser("ann@example.gov"), i.AddProvider("https://sp.example.gov")
	file := []byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle r="4"/></svg>`)
	change, err := i.Registry.ApplyEdit(t.Context(), "https://sp.example.gov", sp.Document{}, sp.Edit{Logo: file}, sp.Options{AllowInsecureURL: true}, "test")
	if err != nil {
		t.Fatal(err)
	}
	path := change.Provider.LogoPath()
	expect := func(what string, page *idptest.Page, want int) {
		t.Helper()
		if got := logos(page); len(got) != want || want > 0 && got[0] != path {
			t.Errorf("%s: the logos %v, want %d", what, got, want)
		}
	}
	b := i.Browser()
	page := b.Get(provider.URL(&idptest.Request{}))
	expect("sign-in", page, 1)
	expect("wrong password", b.Post("/sign-in", page.Form().Fields), 1)
	page = b.GivePassword(page, ann)
	expect("code", page, 1)
	b.GiveCode(page, ann)
	expect("account", b.Get("/account"), 1)
	expect("signed request refused", b.Get(provider.URL(&idptest.Request{ACS: "https://other.example/acs"})), 1)
	expect("signature missing", b.Get(provider.URL(&idptest.Request{Unsigned: true})), 0)
	broken := provider.URL(&idptest.Request{})
	expect("signature broken", b.Get(broken[:len(broken)-8]+"AAAA%3D%3D"), 0)

	image := b.Get(path)
	if h := image.Header; image.Status != http.StatusOK || h.Get("Content-Type") != "image/svg+xml" || h.Get("X-Content-Type-Options") != "nosniff" ||
		!strings.Contains(h.Get("Content-Security-Policy"), "sandbox") || !strings.Contains(h.Get("Cache-Control"), "immutable") {
		t.Errorf("status %d, headers %v", image.Status, h)
	}
	for _, missing := range []string{idp.LogoPrefix, idp.LogoPrefix + strings.Repeat("0", 32) + ".svg", idp.LogoPrefix + "..%2f..%2fvernal.db"} {
		if got := b.Get(missing).Status; got != http.StatusNotFound {
			t.Errorf("%s: status %d", missing, got)
		}
	}

	provider.Edit(func(p *idp.ServiceProvider) { p.SignRequests = idp.SignRequestsOptional })
	expect("unsigned sign-in", i.Browser().Get(provider.URL(&idptest.Request{Unsigned: true})), 0)
	expect("signed sign-in", i.Browser().Get(provider.URL(&idptest.Request{})), 1)
}
