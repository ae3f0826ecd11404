package watch

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/board"
	"vernal/idp/link"
)

// TestWall: the wall tells who has not moved, and nothing that is not for all
// eyes; it refers to no other file.
func TestWall(t *testing.T) {
	t.Parallel()
	w := populated(t)
	path, _ := w.link(link.Link{Kind: link.Wall})
	rec := w.get(path)
	page := rec.Body.String()
	for name, want := range map[string]string{"Refresh": "60", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
		"Content-Security-Policy": w.watch.Pages.Set.WallCSP()} {
		if got := rec.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for _, secret := range []string{"@example.gov", "0000000000000000", "203.0.113", "agent", "/saml", path, "/static/", "http:", "https:", "src=", "url("} {
		if strings.Contains(page, secret) {
			t.Errorf("%q is on the wall", secret)
		}
	}
	doc := w.page(path)
	if got, want := words(all(doc, "wall-numbers")[0]), "Days until our signing certificate (2030) ends 30 Days until 2030 is due to be retired 121 Not moved 1 On both 1 Moved 1 Never seen 1"; got != want {
		t.Errorf("numbers: %q, want %q", got, want)
	}
	if got := words(all(doc, "wall-names")[0]); got != "Both Bureau 2 days ago Never Bureau 1 day ago" {
		t.Errorf("names: %q", got)
	}
	still := w.get(path + "?refresh=off")
	if still.Header().Get("Refresh") != "" || !strings.Contains(still.Body.String(), "Load anew every minute") {
		t.Error("the wall does not stop")
	}
}

// TestWallBefore: in February the new year is published and not preferred, and
// the wall shows who is early.
func TestWallBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	from, to := (&view{Status: mustStatus(t, w)}).moving()
	if from != "2030" || to != "2031" {
		t.Errorf("in March: %s to %s", from, to)
	}
	late, early := w.register("Late"), w.register("Early")
	w.use(late, "2031", time.Hour)
	w.use(early, "2032", time.Hour)
	for _, at := range []time.Time{time.Date(2031, 7, 2, 0, 0, 0, 0, time.UTC), time.Date(2032, 1, 16, 0, 0, 0, 0, time.UTC), time.Date(2032, 2, 3, 0, 0, 0, 0, time.UTC)} {
		w.now = at
		w.automatic()
	}
	v, err := w.watch.view(t.Context())
	w.ok(err)
	p := v.wall("2031", "2032")
	if len(p.Names) != 1 || p.Names[0].Name != "Late Bureau" || p.Unmoved != 1 || p.Moved != 1 {
		t.Errorf("in February: %+v", p)
	}
}

// TestWallCounts: who is not active is not waited for, a year that is over is
// none to have moved to, and reasons are not for all eyes.
func TestWallCounts(t *testing.T) {
	t.Parallel()
	seen := func(years ...idp.Year) (all []board.Seen) {
		for _, y := range years {
			all = append(all, board.Seen{Year: y, LastAt: time.Date(2031, 3, 1, 0, 0, 0, 0, time.UTC)})
		}
		return all
	}
	stays := []idp.Year{"2030"}
	v := &view{
		Status: certs.Status{At: time.Date(2031, 3, 2, 0, 0, 0, 0, time.UTC), Preferred: "2031b", Years: []certs.YearStatus{
			{Record: certs.Record{Year: "2030"}, Live: true}, {Record: certs.Record{Year: "2031"}, State: certs.Revoked}, {Record: certs.Record{Year: "2031b"}, Live: true},
		}},
		Plan: []certs.Coming{{Year: "2030", Step: certs.StepRetire, Waits: []certs.Reason{{Code: certs.WaitsUsed}}}},
		Board: &board.Board{SPs: []board.Line{
			{SP: "urn:over", Active: true, Years: seen("2030", "2031"), UnmovedFrom: stays},
			{SP: "urn:both", Active: true, Years: seen("2030", "2031b"), UnmovedFrom: stays},
			{SP: "urn:idle", Years: seen("2030"), UnmovedFrom: stays},
			{SP: "urn:idle-unseen"},
		}},
	}
	from, to := v.moving()
	p := v.wall(from, to)
	got := fmt.Sprint(from, to, p.Unmoved, p.Both, p.Moved, p.Unseen, len(p.Names), p.Names[1].Name, len(p.Coming[0].Waits))
	if want := fmt.Sprint("2030", "2031b", 1, 1, 0, 0, 2, "urn:over", 0); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
