package sso_test

import (
	"bytes"
	"errors"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"vernal/idp"
	"vernal/idp/idptest"
)

// tamper stops the server, changes values in the store's file, as an attacker with write
// access can, and starts the server again.
func tamper(t *testing.T, i *idptest.IdP, change func(tx *bbolt.Tx) error) {
	t.Helper()
	i.Stop()
	db, err := bbolt.Open(filepath.Join(i.KeysFolder(), "..", "vernal.db"), 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(change), db.Close()); err != nil {
		t.Fatal(err)
	}
	i.Start()
}

// replaceAll replaces text by other text of the same length in every value of a bucket whose
// key ends with suffix. If old is "", it flips a bit.
func replaceAll(bucket, suffix, old, replacement string) func(*bbolt.Tx) error {
	return func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		values := map[string][]byte{}
		err := b.ForEach(func(k, v []byte) error {
			if !strings.HasSuffix(string(k), suffix) {
				return nil
			}
			forged := bytes.ReplaceAll(v, []byte(old), []byte(replacement))
			if old == "" {
				forged = bytes.Clone(v)
				forged[0] ^= 1
			}
			if !bytes.Equal(forged, v) {
				values[string(k)] = forged
			}
			return nil
		})
		if len(values) == 0 {
			err = errors.Join(err, errors.New("nothing was changed in "+bucket))
		}
		for k, v := range values {
			err = errors.Join(err, b.Put([]byte(k), v))
		}
		return err
	}
}

func unavailable(t *testing.T, page *idptest.Page) {
	t.Helper()
	if page.Response() != nil || page.Status != 503 || page.Header.Get("Retry-After") == "" {
		t.Errorf("answer %d, Retry-After %q, Response %v; want 503 with Retry-After", page.Status, page.Header.Get("Retry-After"), page.Response() != nil)
	}
}

// TestForgedSessionMustSignIn gives a session another user and its second factor, and replaces
// one user's session by another's. The browser has to sign in.
func TestForgedSessionMustSignIn(t *testing.T) {
	t.Parallel()
	tests := map[string]func(ana, ben string) func(tx *bbolt.Tx) error{
		"another user": func(ana, ben string) func(tx *bbolt.Tx) error { return replaceAll("sessions", "", ben, ana) },
		"swapped": func(string, string) func(tx *bbolt.Tx) error {
			return func(tx *bbolt.Tx) error {
				b := tx.Bucket([]byte("sessions"))
				k1, v1 := b.Cursor().First()
				k2, v2 := b.Cursor().Last()
				v1, v2 = bytes.Clone(v1), bytes.Clone(v2)
				return errors.Join(b.Put(bytes.Clone(k1), v2), b.Put(bytes.Clone(k2), v1))
			}
		},
		"cut": func(string, string) func(tx *bbolt.Tx) error {
			return func(tx *bbolt.Tx) error {
				b := tx.Bucket([]byte("sessions"))
				k, v := b.Cursor().First()
				k2, v2 := b.Cursor().Last()
				return errors.Join(b.Put(bytes.Clone(k), bytes.Clone(v[:len(v)-16])), b.Put(bytes.Clone(k2), bytes.Clone(v2[:len(v2)/2])))
			}
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := idptest.New(t, idptest.Options{})
			p, ana, ben := i.AddProvider(spA), i.AddUser("ana@example.gov"), i.AddUser("ben@example.gov")
			anaBrowser, benBrowser := i.Browser(), i.Browser()
			for browser, person := range map[*idptest.Browser]*idptest.User{anaBrowser: ana, benBrowser: ben} {
				req := new(idptest.Request)
				accept(t, p, req, signIn(browser, p, req, person))
			}
			tamper(t, i, change(string(ana.Record.ID), string(ben.Record.ID)))
			page := benBrowser.Get(p.URL(new(idptest.Request)))
			if page.Response() != nil || page.Form().Action == "" || page.Status != 200 {
				t.Fatalf("a forged session is answered: %d %s", page.Status, page.Text())
			}
			req := new(idptest.Request)
			accept(t, p, req, signIn(benBrowser, p, req, ben))
		})
	}
}

// TestForgedRegistrationIsUnavailable changes the ACS URL of a provider. Its requests are not
// answered at any URL, and those of another provider are.
func TestForgedRegistrationIsUnavailable(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a, b, ana := i.AddProvider(spA), i.AddProvider(spB), i.AddUser("ana@example.gov")
	browser := i.Browser()
	req := new(idptest.Request)
	accept(t, a, req, signIn(browser, a, req, ana))
	tamper(t, i, replaceAll("providers", spA, "a.example", "x.example"))
	unavailable(t, browser.Get(a.URL(new(idptest.Request))))
	unavailable(t, browser.CrossSitePost(i.URL+"/api/saml/auth"+string(i.Year()), a.Form(new(idptest.Request))))
	req = new(idptest.Request)
	accept(t, b, req, browser.Get(b.URL(req)))
}

// TestForgedNameID changes a user's NameID. No assertion uses it, none is created in its
// place, and the old one works again once its record is restored.
func TestForgedNameID(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a, b, ana := i.AddProvider(spA), i.AddProvider(spB), i.AddUser("ana@example.gov")
	browser := i.Browser()
	req := new(idptest.Request)
	want := accept(t, a, req, signIn(browser, a, req, ana)).Subject.NameID.Value
	req = new(idptest.Request)
	accept(t, b, req, browser.Get(b.URL(req)))
	flip := func(tx *bbolt.Tx) error { return flipNameID(tx, spA, string(ana.Record.ID)) }
	tamper(t, i, flip)
	unavailable(t, browser.Get(a.URL(new(idptest.Request))))
	req = new(idptest.Request)
	accept(t, b, req, browser.Get(b.URL(req)))
	tamper(t, i, flip) // back to what it was
	req = new(idptest.Request)
	if got := accept(t, a, req, browser.Get(a.URL(req))).Subject.NameID.Value; got != want {
		t.Errorf("NameID %s, want %s as before", got, want)
	}
}

func flipNameID(tx *bbolt.Tx, sp, user string) error {
	b := tx.Bucket([]byte("name-ids"))
	err := errors.New("no such NameID")
	var key, value []byte
	_ = b.ForEach(func(k, v []byte) error {
		if bytes.Contains(k, []byte(sp)) && bytes.HasSuffix(k, []byte(user)) {
			key, value, err = bytes.Clone(k), bytes.Clone(v), nil
		}
		return nil
	})
	if err != nil {
		return err
	}
	value[0] ^= 1
	return b.Put(key, value)
}

// TestForgedLoginRequestIsNotAnswered changes a request that waits for its sign-in. It is not
// answered.
func TestForgedLoginRequestIsNotAnswered(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a, ana := i.AddProvider(spA), i.AddUser("ana@example.gov")
	for name, change := range map[string]func(*bbolt.Tx) error{
		"another ACS URL": replaceAll("requests", "", "a.example", "x.example"),
		"cut": func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte("requests"))
			k, v := b.Cursor().Last()
			return b.Put(bytes.Clone(k), bytes.Clone(v[:len(v)/2]))
		},
	} {
		browser := i.Browser()
		page := browser.Get(a.URL(new(idptest.Request)))
		if page.Form().Action == "" {
			t.Fatalf("%s: no sign-in page: %s", name, page.Text())
		}
		tamper(t, i, change)
		unavailable(t, browser.Get(page.URL.String()))
		req := new(idptest.Request)
		accept(t, a, req, signIn(i.Browser(), a, req, ana))
	}
}

// TestOlderRegistrationCanBePutBack restores a registration from before it was withdrawn. A
// writer of the store can do that, but cannot create a registration that never existed.
func TestOlderRegistrationCanBePutBack(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a, ana := i.AddProvider(spA), i.AddUser("ana@example.gov")
	var older []byte
	tamper(t, i, func(tx *bbolt.Tx) error {
		older = bytes.Clone(tx.Bucket([]byte("providers")).Get([]byte(spA)))
		return nil
	})
	a.Edit(func(p *idp.ServiceProvider) { p.Active = false })
	checkRefusal(t, i.Browser().Get(a.URL(new(idptest.Request))), 400)
	tamper(t, i, func(tx *bbolt.Tx) error { return tx.Bucket([]byte("providers")).Put([]byte(spA), older) })
	req := new(idptest.Request)
	accept(t, a, req, signIn(i.Browser(), a, req, ana))
}

// TestForgedAccountCannotSignIn changes the record of an account. Its user cannot sign in, and
// another user can.
func TestForgedAccountCannotSignIn(t *testing.T) {
	t.Parallel()
	for _, bucket := range []string{"user-emails", "users", "user-keys"} {
		t.Run(bucket, func(t *testing.T) {
			t.Parallel()
			i := idptest.New(t, idptest.Options{})
			p, ana := i.AddProvider(spA), i.AddUser("ana@example.gov")
			tamper(t, i, replaceAll(bucket, "", "", ""))
			ben := i.AddUser("ben@example.gov")
			browser := i.Browser()
			unavailable(t, browser.GivePassword(browser.Get(p.URL(new(idptest.Request))), ana))
			req := new(idptest.Request)
			accept(t, p, req, signIn(i.Browser(), p, req, ben))
		})
	}
}

// TestForgedPreviewLinkIsUnavailable changes the record of a link. The link opens nothing, and
// its page says no more than that of a server that cannot answer.
func TestForgedPreviewLinkIsUnavailable(t *testing.T) {
	t.Parallel()
	w := newPreviewDeployment(t)
	w.AddProvider(spA)
	_, token := w.link(spA, w.next)
	w.enter(w.Browser(), token)
	tamper(t, w.IdP, replaceAll("documents", "", `"kind":"preview"`, `"kind":"preview" `))
	unavailable(t, w.Browser().Get(w.URL+"/developers/preview?link="+url.QueryEscape(token)))
}
