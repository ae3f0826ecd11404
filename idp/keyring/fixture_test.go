package keyring

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/rotation"
)

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func at(s string) time.Time {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t
		}
	}
	panic("not a time: " + s)
}

// testRSA are two private keys, made once: they cost a good part of a second.
var testRSA = sync.OnceValue(func() (keys [2]*rsa.PrivateKey) {
	for i := range keys {
		keys[i], _ = rsa.GenerateKey(rand.Reader, 2048)
	}
	return keys
})

// madeKey returns the key of a year made on its making date.
func madeKey(t testing.TB, y idp.Year) *certs.Key { return certified(t, 0, y) }

// otherKey returns a key of the year that is not the recorded one.
func otherKey(t testing.TB, y idp.Year) *certs.Key { return certified(t, 1, y) }

func certified(t testing.TB, n int, y idp.Year) *certs.Key {
	t.Helper()
	dates := rotation.DefaultPolicy().Dates(y)
	k, err := certs.Certify(bytes.NewReader(bytes.Repeat([]byte{byte(n + 1)}, 1024)), testRSA()[n], y, dates.CertEndAt, certs.Spec{}, "https://idp.example.gov", dates.MakeAt)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// installation is a history whose clock is turned.
type installation struct {
	t   fataler
	h   rotation.History
	now time.Time
}

// firstStart begins at now, in automatic mode.
func firstStart(t fataler, now string) *installation {
	w := &installation{t: t, now: at(now)}
	w.auto()
	return w
}

func (w *installation) auto() {
	w.h = w.h.Tick(w.now, 0)
	for _, s := range rotation.DefaultPolicy().Steps(w.h, w.now) {
		w.take(s)
	}
}

func (w *installation) take(s rotation.Step) {
	w.t.Helper()
	h, err := rotation.DefaultPolicy().Take(s, w.h, w.now)
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	w.h = h
}

// run lets the server run until then, looking once a day.
func (w *installation) run(until string) *installation {
	for end := at(until); w.now.Before(end); {
		next := w.now.Add(min(24*time.Hour, end.Sub(w.now)))
		w.h = w.h.Tick(next, next.Sub(w.now))
		w.now = next
		w.auto()
	}
	return w
}

// hand takes steps by hand: "publish 2027".
func (w *installation) hand(steps ...string) *installation {
	w.t.Helper()
	for _, text := range steps {
		kind, y, _ := strings.Cut(text, " ")
		s := rotation.Step{Kind: rotation.StepKind(kind), Year: idp.Year(y), Reason: "test"}
		if s.Kind == rotation.StepCreate {
			s = rotation.DefaultPolicy().CreateStep(w.h, s.Year, w.now)
		}
		w.take(s)
	}
	return w
}

// recordedWith returns an installation on 15 February 2027, with 2026 preferred and 2027
// published, whose history records the keys.
func recordedWith(t fataler, keys ...*certs.Key) *installation {
	w := firstStart(t, "2026-11-22").run("2027-02-15")
	w.h = withIdentities(w.h, keys)
	return w
}

// edit changes the record of a year.
func edit(h rotation.History, y idp.Year, change func(*rotation.Record)) rotation.History {
	h.Records = slices.Clone(h.Records)
	for i := range h.Records {
		if h.Records[i].Year == y {
			change(&h.Records[i])
		}
	}
	return h
}
