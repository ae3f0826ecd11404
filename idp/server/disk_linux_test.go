package server_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"vernal/idp/idptest"
	"vernal/idp/idptest/fixture"
)

// On a full disk, users get a page that says so, monitoring learns of it, and what needs no
// change is answered. Nothing is lost, and no restart is needed once there is space.
func TestFullDiskIsAnsweredAndPasses(t *testing.T) {
	t.Parallel()
	folder, fill, free := fixture.MountSmallDisk(t)
	i := idptest.New(t, idptest.Options{Folder: folder, Log: slog.DiscardHandler})
	p, ana := i.AddProvider(spURL), i.AddUser("ana@example.gov")
	signedIn := i.Browser()
	first := new(idptest.Request)
	page := signedIn.SignIn(signedIn.Get(p.URL(first)), ana)
	want := assertion(t, p, first, page).Subject.NameID.Value
	readyz := func() *httptest.ResponseRecorder { return answer(t, i.Handler, i.URL+"/readyz", nil) }
	if w := readyz(); w.Code != http.StatusOK {
		t.Fatalf("at first: %d", w.Code)
	}
	stranger := i.Browser()
	form := stranger.Get(p.URL(new(idptest.Request)))

	fill()
	for failed, n := 0, 0; failed < 20; n++ { // pages that are free within the file are used up
		if i.Browser().Get(p.URL(new(idptest.Request))).Status == http.StatusServiceUnavailable {
			failed++
		} else {
			failed = 0
		}
		if n == 2000 {
			t.Fatal("the disk is not full")
		}
	}
	request := p.URL(new(idptest.Request))
	for _, tt := range []struct {
		name string
		page *idptest.Page
	}{
		{"an SP's request, signed in", signedIn.Get(request)},
		{"an SP's request, without a session", i.Browser().Get(request)},
		{"a posted request", i.Browser().CrossSitePost(i.URL+"/api/saml/auth"+string(i.Year()), p.Form(new(idptest.Request)))},
		{"a password", stranger.GivePassword(form, ana)},
	} {
		if tt.page.Status != http.StatusServiceUnavailable || tt.page.Header.Get("Retry-After") == "" || tt.page.Response() != nil {
			t.Errorf("%s: %d, Retry-After %q", tt.name, tt.page.Status, tt.page.Header.Get("Retry-After"))
		}
	}
	titles := map[string]bool{}
	for _, lang := range []string{"en", "es", "fr"} {
		w := answer(t, i.Handler, request, http.Header{"Accept": {"application/json"}, "Accept-Language": {lang}})
		var body struct{ Code, Title, Text string }
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != http.StatusServiceUnavailable || body.Code != "not_written" || body.Text == "" {
			t.Errorf("%s: %d %s, %v", lang, w.Code, w.Body, err)
		}
		titles[body.Title] = true
	}
	if len(titles) != 3 {
		t.Errorf("titles %v", titles)
	}
	for path, status := range map[string]int{
		"/readyz": http.StatusServiceUnavailable, "/healthz": http.StatusOK,
		"/api/saml/metadata": http.StatusOK, "/api/saml/metadata" + string(i.Year()): http.StatusOK, "/help": http.StatusOK,
	} {
		w := answer(t, i.Handler, i.URL+path, nil)
		if w.Code != status || (w.Header().Get("Retry-After") != "") != (status == http.StatusServiceUnavailable) {
			t.Errorf("%s: %d, Retry-After %q", path, w.Code, w.Header().Get("Retry-After"))
		}
	}
	checkMetric(t, i, "vernal_ready", func(v string) bool { return v == "0" })
	checkMetric(t, i, "vernal_store_write_failures_total", func(v string) bool { return v != "0" })

	i.Clock.Advance(time.Minute)
	if w := readyz(); w.Code != http.StatusServiceUnavailable {
		t.Errorf("probed on a full disk: %d", w.Code)
	}
	free()
	i.Clock.Advance(time.Minute)
	if w := readyz(); w.Code != http.StatusOK {
		t.Errorf("probed with space: %d %s", w.Code, w.Body)
	}
	checkMetric(t, i, "vernal_ready", func(v string) bool { return v == "1" })
	again := new(idptest.Request)
	if got := assertion(t, p, again, signedIn.Get(p.URL(again))).Subject.NameID.Value; got != want {
		t.Errorf("NameID %s, want %s", got, want)
	}
	fresh, req := i.Browser(), new(idptest.Request)
	assertion(t, p, req, fresh.SignIn(fresh.Get(p.URL(req)), ana))
	checkTrail(t, i)
	i.Stop()
	i.Start()
	if w := readyz(); w.Code != http.StatusOK {
		t.Errorf("after a restart: %d", w.Code)
	}
}
