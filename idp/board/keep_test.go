package board_test

import (
	"testing"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/board"
)

// Uses of a year are forgotten 400 days after its end, not before, and those of
// a live year never.
func TestPrune(t *testing.T) {
	t.Parallel()
	w := newWorld(t, at(2026, 2, 1))
	w.add(spA)
	s := w.server()
	w.use(s, spA, "2026")
	ok(t, s.Flush(t.Context()))
	w.turn(at(2026, 7, 1))
	w.step(certs.StepPublish, "2027")
	w.step(certs.StepPrefer, "2027")
	w.use(s, spA, "2027")
	w.step(certs.StepRetire, "2026")
	w.turn(at(2026, 7, 1).AddDate(0, 0, 400))
	ok(t, s.Flush(t.Context()))
	wantCounts(t, "after 400 days", w, w.server(), map[idp.Year]int{"2026": 0, "2027": 0})
	w.turn(w.clock().AddDate(0, 0, 1))
	ok(t, s.Flush(t.Context()))
	wantCounts(t, "a day later", w, w.server(), map[idp.Year]int{"2027": 0})
}

// What a clock that was wrong left in the future is taken back once it is right,
// so that nobody seems to use a year until then.
func TestClockWasWrong(t *testing.T) {
	t.Parallel()
	w := newWorld(t, at(2026, 6, 1))
	w.add(spA)
	s := w.server()
	w.turn(at(2031, 6, 1))
	w.use(s, spA, "2026")
	ok(t, s.Flush(t.Context()))
	w.turn(at(2026, 6, 2))
	ok(t, s.Flush(t.Context()))
	w.use(s, spA, "2026")
	w.turn(at(2026, 6, 30))
	w.use(s, spA, "2027")
	ok(t, s.Flush(t.Context()))
	l := line(t, w.show(w.server()), spA)
	if l.Move != board.Moved || !l.Years[0].LastAt.Equal(at(2026, 6, 2)) || l.Years[0].Days30 != 1 || !l.Years[0].FirstAt.Equal(at(2026, 6, 2)) {
		t.Errorf("line: %+v", l)
	}
}

// A document that is damaged is left out, and does not keep others from being
// written.
func TestDamagedDocuments(t *testing.T) {
	t.Parallel()
	w := newWorld(t, at(2026, 6, 1))
	w.add(spA)
	w.add(spB)
	damaged := []string{"use\x00" + string(spA) + "\x002026", "use\x00" + string(spB) + "\x00nonsense", "use\x00", "fetch\x00", "fetch\x00" + string(spA), "other"}
	ok(t, w.store.UpdateDocuments(t.Context(), "board", damaged, func(string, []byte) ([]byte, error) { return []byte("\x02}{"), nil }))
	s := w.server()
	w.use(s, spA, "2026")
	w.use(s, spB, "2026")
	s.Fetched(board.Fetch{At: w.clock(), Address: "192.0.2.1", UserAgent: "curl"})
	ok(t, s.Flush(t.Context()))
	b := w.show(w.server())
	wantCounts(t, "counted anew", w, s, map[idp.Year]int{"2026": 1})
	if len(b.Fetches) != 1 || len(line(t, b, spB).Years) != 1 {
		t.Errorf("board: %+v", b)
	}
}
