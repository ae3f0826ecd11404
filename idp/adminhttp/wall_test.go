package adminhttp

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/migration"
	"vernal/idp/rotation"
	"vernal/idp/sharelink"
	"vernal/templates"
)

// TestWallboardShowsNoPrivateData checks that the wallboard shows the service providers that
// have not moved and no private data, and that it loads no other file.
func TestWallboardShowsNoPrivateData(t *testing.T) {
	t.Parallel()
	w := populated(t)
	path, _ := w.link(sharelink.Link{Kind: sharelink.Wallboard})
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
	if got, want := words(all(doc, "wall-numbers")[0]), "Days until our signing certificate (2030) ends 30 Days until 2030 is due to be retired 121 Not moved 1 Moving (using both) 1 Moved 1 No sign-ins yet 1"; got != want {
		t.Errorf("numbers: %q, want %q", got, want)
	}
	if got := words(all(doc, "wall-names")[0]); got != "Both Bureau 2 days ago Never Bureau 1 day ago" {
		t.Errorf("names: %q", got)
	}
	still := w.get(path + "?refresh=off")
	if still.Header().Get("Refresh") != "" || strings.Contains(still.Body.String(), "refresh=off\"") {
		t.Error("the wall does not stop")
	}
}

// TestWallboardShowsEarlyMovers checks that in February, when the new year is published and
// not preferred, the wallboard shows the service providers that moved early.
func TestWallboardShowsEarlyMovers(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	late, early := w.register("Late"), w.register("Early")
	w.use(late, "2031", time.Hour)
	w.use(early, "2032", time.Hour)
	for _, at := range []time.Time{time.Date(2031, 7, 2, 0, 0, 0, 0, time.UTC), time.Date(2032, 1, 16, 0, 0, 0, 0, time.UTC), time.Date(2032, 2, 3, 0, 0, 0, 0, time.UTC)} {
		w.Clock.Set(at)
		w.automatic()
	}
	v, err := w.watch.readView(t.Context())
	w.ok(err)
	p := v.buildWallPage()
	if p.Source != "2031" || p.Target != "2032" || len(p.Migrations) != 1 || len(p.Migrations[0].Names) != 1 ||
		p.Migrations[0].Names[0].Name != "Late Bureau" || p.UnmovedCount != 1 || p.MovedCount != 1 {
		t.Errorf("in February: %+v", p)
	}
}

// TestWallboardListsNextMigrationFirst checks that the migration that ends next is at the
// top, followed by the late ones. It leaves out inactive service providers and the reasons,
// which are private.
func TestWallboardListsNextMigrationFirst(t *testing.T) {
	t.Parallel()
	now := time.Date(2033, 2, 2, 0, 0, 0, 0, time.UTC)
	line := func(id idp.EntityID, move migration.Move, from ...idp.Year) migration.Line {
		l := migration.Line{SP: id, Active: true, Move: move, YearsToLeave: from}
		for _, y := range from {
			l.Years = append(l.Years, migration.YearUse{Year: y, LastAt: now})
		}
		return l
	}
	idle := line("urn:idle", migration.Unmoved)
	idle.Active = false
	v := &view{
		Status: rotation.Status{At: now, Preferred: "2032", Attention: []rotation.Attention{
			{Code: rotation.CertEnded, Year: "2030"}, {Code: rotation.RequestCertEnded}, {Code: rotation.RequestCertEnded}, {Code: rotation.ClockUntrusted},
		}},
		Plan: []rotation.UpcomingStep{{Year: "2030", Step: rotation.StepRetire, Waits: []rotation.Reason{{Code: rotation.WaitsUsed}}}},
		Board: &migration.Board{Target: "2033", Years: []migration.Year{
			{Year: "2030", State: rotation.Grace, CertEndAt: now.AddDate(-1, 2, 0), UnmovedCount: 2},
			{Year: "2031", State: rotation.Expiring, CertEndAt: now.AddDate(0, 3, 0), UnmovedCount: 1},
			{Year: "2032", State: rotation.Preferred, CertEndAt: now.AddDate(0, 2, 0), UnmovedCount: 1}, // an odd calendar: it ends first
			{Year: "2033", State: rotation.Published, CertEndAt: now.AddDate(1, 2, 0)},
			{Year: "2034", State: rotation.Revoked, CertEndAt: now.AddDate(2, 2, 0), UnmovedCount: 1},
		}, SPs: []migration.Line{
			line("urn:z", migration.Unmoved, "2030"), line("urn:a", migration.Unmoved, "2030", "2031"), line("urn:b", migration.Both, "2032"),
			line("urn:c", migration.Unmoved, "2034"), line("urn:d", migration.Moved), line("urn:e", migration.Unseen), idle,
		}},
	}
	p := v.buildWallPage()
	got := fmt.Sprint(p.Source, p.Target, p.UnmovedCount, p.BothCount, p.MovedCount, p.UnseenCount, len(p.NextSteps[0].Waits), p.Attention, p.Needs)
	if want := fmt.Sprint("2032", "2033", 3, 1, 1, 1, 0, 4, []templates.WallNeed{
		{Text: templates.NeedKey(rotation.CertEnded), Year: "2030", Count: 1}, {Text: templates.NeedKey(rotation.RequestCertEnded), Count: 2}, {Text: templates.NeedKey(rotation.ClockUntrusted), Count: 1},
	}); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var order []string
	for _, m := range p.Migrations {
		for _, n := range m.Names {
			order = append(order, string(m.Year)+" "+n.Name)
		}
	}
	if diff := cmp.Diff([]string{"2032 urn:b", "2031 urn:a", "2030 urn:a", "2030 urn:z", "2034 urn:c"}, order); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	for i := range v.Board.Years {
		v.Board.Years[i].UnmovedCount = 0
	}
	if p := v.buildWallPage(); p.Source != "2032" || len(p.Migrations) != 1 {
		t.Errorf("when all have moved: %+v", p)
	}
	v.Board.Target = "2030"
	if p := v.buildWallPage(); p.Source != "" || len(p.Migrations) != 0 {
		t.Errorf("when no one has to leave a year: %+v", p)
	}
}
