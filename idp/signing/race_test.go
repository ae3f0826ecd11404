package signing_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/rotation"
	"vernal/idp/sp"
)

// rounds returns how often each closing is run during traffic: some dozens of times, or
// VERNAL_RACE_ROUNDS times (make race).
func rounds(t *testing.T) int {
	t.Helper()
	text := os.Getenv("VERNAL_RACE_ROUNDS")
	if text == "" {
		return 24
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("VERNAL_RACE_ROUNDS=%q is not a number of rounds", text)
	}
	return n
}

// After a command that closes a year or an SP has returned, no assertion, NoPassive or
// LogoutResponse is signed, however many requests are under way.
func TestNothingIsSignedAfterTheCommand(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		// perDeployment is how many rounds one identity provider supports.
		perDeployment int
		// next creates the year that the round closes, or closes for the SP.
		next func(*deployment) idp.Year
		// close is the command. reopen undoes it for the next round.
		close, reopen func(*deployment, idp.Year) error
	}{
		{
			name: "revoke", perDeployment: 20, // a year has 25 letters
			next: func(w *deployment) idp.Year { return w.Year() },
			close: func(w *deployment, y idp.Year) error {
				_, err := w.Rotation.Take(w.t.Context(), rotation.Step{Kind: rotation.StepRevoke, Year: y, Reason: "leaked"}, "test", false)
				return err
			},
		},
		{
			name: "retire", perDeployment: 8,
			next: (*deployment).supersede,
			close: func(w *deployment, y idp.Year) error {
				step := rotation.Step{Kind: rotation.StepRetire, Year: y, Force: true, Reason: "test"}
				_, err := w.Rotation.Retire(w.t.Context(), step, "test", false)
				return err
			},
		},
		{
			name: "deactivate", perDeployment: 100,
			next: func(w *deployment) idp.Year { return w.Year() },
			close: func(w *deployment, _ idp.Year) error {
				w.a.Edit(func(p *idp.ServiceProvider) { p.Active = false })
				return nil
			},
			reopen: func(w *deployment, _ idp.Year) error {
				w.a.Edit(func(p *idp.ServiceProvider) { p.Active = true })
				return nil
			},
		},
		{
			name: "remove", perDeployment: 100,
			next: func(w *deployment) idp.Year { return w.Year() },
			close: func(w *deployment, _ idp.Year) error {
				return w.Registry.Remove(w.t.Context(), spA, "test")
			},
			reopen: func(w *deployment, _ idp.Year) error {
				record := w.record
				_, err := w.Registry.Add(w.t.Context(), &record, sp.Options{AllowInsecureURL: true, Resume: true}, "test")
				return err
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var w *deployment
			for n := range rounds(t) {
				if n%tt.perDeployment == 0 {
					w = newDeployment(t)
				}
				y := tt.next(w)
				w.closeDuring(y, func() error { return tt.close(w, y) })
				if tt.reopen != nil {
					if err := tt.reopen(w, y); err != nil {
						t.Fatal(err)
					}
					w.keys.declare(y, false)
				}
			}
		})
	}
}

// closeDuring runs the command while every kind of answer is requested repeatedly, and
// continues for a while afterwards.
func (w *deployment) closeDuring(y idp.Year, command func() error) {
	w.t.Helper()
	var (
		wg     sync.WaitGroup
		signed = make(chan struct{}, 100)
		over   atomic.Bool
	)
	asks := w.asks(y)
	for _, ask := range asks {
		for range 2 {
			wg.Go(func() {
				for left := 2; left > 0; {
					if ask() && !over.Load() {
						select {
						case signed <- struct{}{}:
						default:
						}
					}
					if over.Load() {
						left--
					}
				}
			})
		}
	}
	for range len(asks) { // traffic is under way
		<-signed
	}
	err := command()
	w.keys.declare(y, true)
	over.Store(true)
	wg.Wait()
	if err != nil {
		w.t.Fatal(err)
	}
	if n := w.keys.lateSignatures(); n > 0 {
		w.t.Fatalf("%d signatures by %s after the command had returned", n, y)
	}
}

// supersede makes the next year preferred, advances the clock until the previous one may be
// retired, and returns the previous one.
func (w *deployment) supersede() idp.Year {
	w.t.Helper()
	old := w.Year()
	n, err := strconv.Atoi(string(old))
	if err != nil {
		w.t.Fatal(err)
	}
	next := idp.Year(fmt.Sprint(n + 1))
	for _, kind := range []rotation.StepKind{rotation.StepCreate, rotation.StepPublish, rotation.StepPrefer} {
		if _, err := w.Rotation.Take(w.t.Context(), rotation.Step{Kind: kind, Year: next}, "test", false); err != nil {
			w.t.Fatal(err)
		}
	}
	const day = 24 * time.Hour
	w.Clock.Advance(130 * day)
	if err := w.Rotation.Tick(w.t.Context(), 130*day); err != nil {
		w.t.Fatal(err)
	}
	return old
}

// A hanging signature, for example in a token, keeps the year neither open nor in memory. The
// year is closed at once, and only the command's return waits.
func TestClosingDoesNotWaitForASignature(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	y := w.Year()
	asks := w.asks(y)
	begun, release := make(chan struct{}, 1), make(chan struct{})
	hold := func() {
		begun <- struct{}{}
		<-release
	}
	w.keys.hold.Store(&hold)
	held := make(chan bool, 1)
	go func() { held <- asks[0]() }()
	<-begun
	w.keys.hold.Store(nil)

	var revoked error
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		_, revoked = w.Rotation.Take(context.Background(), rotation.Step{Kind: rotation.StepRevoke, Year: y, Reason: "leaked"}, "test", false)
	}()
	anyone := w.Browser()
	for anyone.Get("/api/saml/metadata"+string(y)).Status != http.StatusGone { // until the command has closed it
	}
	select {
	case <-returned:
		t.Error("the command returned while a signature was under way")
	default:
	}
	if asks[0]() {
		t.Error("a closed year answered")
	}
	close(release)
	if <-returned; revoked != nil {
		t.Error(revoked)
	}
	if !<-held {
		t.Error("the signature that was under way got no answer")
	}
}
