package idptest_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"

	"vernal/certs"
	"vernal/idp/idptest"
	"vernal/idp/rekey"
	"vernal/idp/seal"
	"vernal/idp/store/bolt"
)

// TestSignInsSurviveRekey changes the master key and renews all other keys, again and again,
// while users sign in, warm and cold. Every sign-in must be answered, with the NameID
// that the user had before.
func TestSignInsSurviveRekey(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{Log: slog.DiscardHandler})
	p := i.AddProvider("https://a.example")
	store := i.Store.(*bolt.Store)
	var configured atomic.Pointer[seal.Master]
	service := &rekey.Service{
		Store: store, Years: certs.OpenDir(i.KeysFolder(), i.Masters), Trail: i.Trail, Log: slog.New(slog.DiscardHandler),
		Master: func() (*seal.Master, error) { return configured.Load(), nil },
	}
	const users = 4
	names := make(map[string]string)
	var mu, cold sync.Mutex
	stop := make(chan struct{})
	ticks := make(chan struct{}) // one for each sign-in
	var wg sync.WaitGroup
	for n := range users {
		person := i.AddUser(fmt.Sprintf("user%d@example.gov", n))
		wg.Go(func() {
			browser := i.Browser()
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				case ticks <- struct{}{}:
				}
				req := new(idptest.Request)
				page := browser.Get(p.URL(req))
				if page.Response() == nil {
					cold.Lock() // a code moves the clock
					page = browser.SignIn(page, person)
					cold.Unlock()
				}
				if page.Response() == nil {
					t.Errorf("%s, sign-in %d: %d %s", person.Email, n, page.Status, page.Text())
					return
				}
				name := subject(page.Response())
				mu.Lock()
				if had := names[person.Email]; had == "" {
					names[person.Email] = name
				} else if had != name {
					t.Errorf("%s has NameIDs %s and %s", person.Email, had, name)
				}
				mu.Unlock()
				if n%20 == 19 {
					browser = i.Browser() // a cold one
				}
			}
		})
	}
	signedIn := 0
	for fill := byte(1); fill <= 5; fill++ {
		to, err := seal.NewMaster(bytes.Repeat([]byte{fill}, seal.MasterSize))
		if err != nil {
			t.Fatal(err)
		}
		if err := service.Begin(t.Context(), to, true, "test"); err != nil {
			t.Fatal(err)
		}
		signedIn += await(t, service, ticks)
		configured.Store(to)
		if err := service.Finish(t.Context(), false, "test"); err != nil {
			t.Fatal(err)
		}
		signedIn += await(t, service, ticks)
	}
	close(stop)
	wg.Wait()
	if st, err := service.State(t.Context()); err != nil || st.Phase != "" || st.IsRenewing || st.Generation != 6 {
		t.Errorf("%+v, %v", st, err)
	}
	t.Logf("%d sign-ins", signedIn)
}

// await lets sign-ins begin until the work has ended, 40 at least.
func await(t *testing.T, s *rekey.Service, ticks <-chan struct{}) (signedIn int) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- s.Wait(t.Context()) }()
	for ended := false; !ended || signedIn < 40; {
		select {
		case <-ticks:
			signedIn++
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			ended = true
		case <-t.Context().Done():
			t.Fatal("no sign-in begins any more")
		}
	}
	if st, err := s.State(t.Context()); err != nil || st.Failed != "" {
		t.Fatalf("%+v, %v", st, err)
	}
	return signedIn
}

// subject returns the NameID in an unencrypted Response.
func subject(response []byte) string {
	_, rest, _ := bytes.Cut(response, []byte("<NameID"))
	_, rest, _ = bytes.Cut(rest, []byte(">"))
	name, _, _ := bytes.Cut(rest, []byte("<"))
	return string(name)
}
