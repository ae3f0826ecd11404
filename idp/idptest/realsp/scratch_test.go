//go:build realsp

package realsp

import (
	"fmt"
	"github.com/chromedp/chromedp"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestScratch(t *testing.T) {
	w := &world{}
	w.startBrowser(t)
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		rw.Header().Set("Content-Type", "text/html")
		switch r.URL.Path {
		case "/a":
			fmt.Fprint(rw, `<form method=post action=/b><input name=email><input name=password><button type=submit>x</button></form>`)
		case "/b":
			fmt.Fprint(rw, `<form method=post action=/c><input name=SAMLResponse value=aGFsbG8=><button>x</button></form><script>document.forms[0].submit()</script>`)
		case "/c":
			http.Redirect(rw, r, "/d", 303)
		case "/d":
			fmt.Fprint(rw, `<dd id=name-id>x</dd>`)
		}
	}))
	defer srv.Close()
	for _, off := range []bool{false, true} {
		b := w.profile(t)
		if off {
			b.disableScript()
		}
		b.open(srv.URL + "/a")
		b.expect(pageSignIn)
		b.do(chromedp.SendKeys(chromedp.CSS("input[name=email]"), "ann"))
		b.press("form button[type=submit]")
		b.expect(pageSecret)
		t.Log(b.visited(), string(b.response()), b.status(), b.text("name-id"))
		b.back()
		t.Log(b.location(), b.shown())
	}
}
