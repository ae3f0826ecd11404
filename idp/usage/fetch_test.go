package usage

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"vernal/idp"
	"vernal/idp/store/storetest"
)

// TestFetchesAreNoUses checks that loads with the hint of a registered SP are kept by SP and
// all others together, and that they do not count as uses.
func TestFetchesAreNoUses(t *testing.T) {
	t.Parallel()
	in := newInstallation(t, noon(2026, 6, 1))
	in.add(spA)
	l := in.ledger()
	for _, hint := range []idp.EntityID{spA, "", "https://stranger.example", spA} {
		l.Fetch(idp.Fetch{Year: "2026", SP: hint, At: in.clock(), IPAddress: "192.0.2.1", UserAgent: "curl/8"})
	}
	for range 2 { // noted, then stored
		s := in.read(l)
		if f := s.Fetches[spA]; len(f) != 1 || f[0].Count != 2 || len(s.Fetches["https://stranger.example"]) != 1 || len(s.Fetches[""]) != 1 {
			t.Errorf("loads: %+v", s.Fetches)
		}
		if users, err := l.Users(t.Context(), "2026", time.Time{}); err != nil || len(users)+len(s.Uses)+len(in.lastUses(l)) != 0 {
			t.Errorf("a load is a use: %v, %v", users, err)
		}
		ok(t, l.Flush(t.Context()))
	}
	stored, err := storetest.LookupDocument(t.Context(), in.store, documentKind, string(spA))
	if err != nil || stored == nil {
		t.Errorf("the registered SP has no document: %v", err)
	}
}

func TestFetchesAreForgotten(t *testing.T) {
	t.Parallel()
	in := newInstallation(t, noon(2026, 3, 1))
	in.add(spA)
	l := in.ledger()
	for _, hint := range []idp.EntityID{spA, ""} {
		l.Fetch(idp.Fetch{SP: hint, At: in.clock(), IPAddress: "192.0.2.1", UserAgent: "curl"})
	}
	ok(t, l.Flush(t.Context()))
	in.set(in.clock().AddDate(0, 0, 91))
	ok(t, l.Flush(t.Context()))
	docs, err := in.store.Documents(t.Context(), documentKind, idp.DocumentQuery{All: true})
	ok(t, err)
	if len(docs) != 0 {
		t.Errorf("after 91 days there is %q", docs)
	}
}

// TestClientTextIsCleaned checks that text from clients is cut and cleaned before it is
// stored.
func TestClientTextIsCleaned(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, agent, want string
	}{
		{"plain", "Shibboleth-SP/3.4", "Shibboleth-SP/3.4"},
		{"empty", "", ""},
		{"control characters", "a\x1b[2Jb\r\nc\x00d\x7f", "a\uFFFD[2Jb\uFFFD\uFFFDc\uFFFDd\uFFFD"},
		{"not UTF-8", "a\xff\xfeb", "a\uFFFD\uFFFDb"},
		{"turned writing", "a\u202Eb\u2066c\u2028d", "a\uFFFDb\uFFFDc\uFFFDd"},
		{"invisible", "a\u200Bb\uFEFFc", "a\uFFFDb\uFFFDc"},
		{"long", strings.Repeat("x", 1<<16), strings.Repeat("x", 197) + "…"},
		{"long, of wide characters", strings.Repeat("é", 1000), strings.Repeat("é", 98) + "…"},
		{"longer once cleaned", strings.Repeat("\x00", 200), strings.Repeat("\uFFFD", 65) + "…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := newInstallation(t, noon(2026, 6, 1))
			l := in.ledger()
			l.Fetch(idp.Fetch{SP: idp.EntityID(tt.agent), At: in.clock(), IPAddress: tt.agent, UserAgent: tt.agent})
			f := in.read(l).ListOtherFetches()[0]
			if f.UserAgent != tt.want {
				t.Errorf("User-Agent is %q, want %q", f.UserAgent, tt.want)
			}
			for _, text := range []string{f.UserAgent, f.IPAddress, string(f.Hint)} {
				if !utf8.ValidString(text) || len(text) > 1024 || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
					t.Errorf("shown: %q", text)
				}
			}
		})
	}
}

// TestClientsAreBounded checks that little is kept of any number of clients, and that one IP
// address does not drive out the others.
func TestClientsAreBounded(t *testing.T) {
	t.Parallel()
	in := newInstallation(t, noon(2026, 6, 1))
	in.add(spA)
	l := in.ledger()
	l.Fetch(idp.Fetch{At: in.clock(), IPAddress: "192.0.2.1", UserAgent: "the real one"})
	ok(t, l.Flush(t.Context()))
	in.set(in.clock().Add(time.Minute))
	for n := range 5000 {
		l.Fetch(idp.Fetch{SP: spA, At: in.clock(), IPAddress: fmt.Sprint("2001:db8::", n), UserAgent: "flood"})
		l.Fetch(idp.Fetch{SP: idp.EntityID(fmt.Sprint("urn:", n)), At: in.clock(), IPAddress: "192.0.2.66", UserAgent: fmt.Sprint(n)})
	}
	for range 2 {
		s := in.read(l)
		if n := len(s.Fetches[spA]); n != 20 {
			t.Errorf("%d clients with a hint are shown", n)
		}
		delete(s.Fetches, spA)
		found, others := false, s.ListOtherFetches()
		for _, f := range others {
			found = found || f.UserAgent == "the real one"
		}
		if !found || len(others) > 200 {
			t.Errorf("%d clients without a hint are shown; the one from before: %v", len(others), found)
		}
		ok(t, l.Flush(t.Context()))
	}
	docs, err := in.store.Documents(t.Context(), documentKind, idp.DocumentQuery{All: true})
	ok(t, err)
	size := 0
	for _, d := range docs {
		size += len(d.Data)
	}
	if len(docs) != 2 || size > 64<<10 {
		t.Errorf("%d documents with %d bytes", len(docs), size)
	}
}
