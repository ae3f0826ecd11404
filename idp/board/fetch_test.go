package board_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/board"
)

// A fetch with the hint of a registered provider is in its line, as a hint: it
// is no use. All others are below the board.
func TestFetchesAreHints(t *testing.T) {
	t.Parallel()
	w := newWorld(t, at(2026, 6, 1))
	w.add(spA)
	s := w.server()
	for _, hint := range []idp.EntityID{spA, "", "https://stranger.example", spA} {
		s.Fetched(board.Fetch{Year: "2026", SP: hint, At: w.clock(), Address: "192.0.2.1", UserAgent: "curl/8"})
	}
	want := board.Fetches{Year: "2026", Address: "192.0.2.1", UserAgent: "curl/8", LastAt: w.clock(), Count: 1}
	twice, stranger := want, want
	twice.Count, stranger.Hint = 2, "https://stranger.example"
	for range 2 { // noted, then stored
		b := w.show(s)
		l := line(t, b, spA)
		if diff := cmp.Diff([]board.Fetches{twice}, l.Fetches); diff != "" || len(l.Years) != 0 || l.Move != board.Unseen {
			t.Errorf("the line is %+v (-want +got):\n%s", l, diff)
		}
		if diff := cmp.Diff([]board.Fetches{want, stranger}, b.Fetches); diff != "" {
			t.Errorf("without a hint (-want +got):\n%s", diff)
		}
		if users, err := s.Users(t.Context(), "2026", w.clock()); err != nil || len(users) != 0 || b.Years[0].SPs != 0 {
			t.Errorf("a fetch is use: %v, %v", users, err)
		}
		ok(t, s.Flush(t.Context()))
	}
	// The stranger registers later: its hint was right all the time.
	w.add("https://stranger.example")
	if l := line(t, w.show(s), "https://stranger.example"); len(l.Fetches) != 1 {
		t.Errorf("hints from before: %+v", l.Fetches)
	}
}

func TestFetchesAreForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, at(2026, 3, 1))
	w.add(spA)
	s := w.server()
	for _, hint := range []idp.EntityID{spA, ""} {
		s.Fetched(board.Fetch{SP: hint, At: w.clock(), Address: "192.0.2.1", UserAgent: "curl"})
	}
	ok(t, s.Flush(t.Context()))
	w.turn(w.clock().AddDate(0, 0, 91))
	ok(t, s.Flush(t.Context()))
	docs, err := w.store.Documents(t.Context(), "board")
	ok(t, err)
	if len(docs) != 0 {
		t.Errorf("after 91 days there is %q", docs)
	}
}

// What a client says of itself is cut and cleaned before it is kept.
func TestHostileClients(t *testing.T) {
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
			w := newWorld(t, at(2026, 6, 1))
			s := w.server()
			s.Fetched(board.Fetch{SP: idp.EntityID(tt.agent), At: w.clock(), Address: tt.agent, UserAgent: tt.agent})
			f := w.show(s).Fetches[0]
			if f.UserAgent != tt.want {
				t.Errorf("User-Agent is %q, want %q", f.UserAgent, tt.want)
			}
			for _, text := range []string{f.UserAgent, f.Address, f.Hint} {
				if !utf8.ValidString(text) || len(text) > 1024 || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
					t.Errorf("shown: %q", text)
				}
			}
		})
	}
}

// However many clients there are, little is kept of them, and one address does
// not drive out the others.
func TestFloodOfClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t, at(2026, 6, 1))
	w.add(spA)
	s := w.server()
	s.Fetched(board.Fetch{At: w.clock(), Address: "192.0.2.1", UserAgent: "the real one"})
	ok(t, s.Flush(t.Context()))
	w.turn(w.clock().Add(time.Minute))
	for n := range 5000 {
		s.Fetched(board.Fetch{SP: spA, At: w.clock(), Address: fmt.Sprint("2001:db8::", n), UserAgent: "flood"})
		s.Fetched(board.Fetch{SP: idp.EntityID(fmt.Sprint("urn:", n)), At: w.clock(), Address: "192.0.2.66", UserAgent: fmt.Sprint(n)})
	}
	for range 2 {
		b := w.show(s)
		if n := len(line(t, b, spA).Fetches); n != 20 {
			t.Errorf("%d clients with a hint are shown", n)
		}
		found := false
		for _, f := range b.Fetches {
			found = found || f.UserAgent == "the real one"
		}
		if !found || len(b.Fetches) > 200 {
			t.Errorf("%d clients without a hint are shown; the one from before: %v", len(b.Fetches), found)
		}
		ok(t, s.Flush(t.Context()))
	}
	docs, err := w.store.Documents(t.Context(), "board")
	ok(t, err)
	size := 0
	for _, d := range docs {
		size += len(d.Data)
	}
	if len(docs) != 2 || size > 64<<10 {
		t.Errorf("%d documents with %d bytes", len(docs), size)
	}
}
