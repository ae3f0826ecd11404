package adminhttp

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/migration"
	"vernal/idp/sharelink"
)

const day = 24 * time.Hour

// populated returns a deployment with a service provider of each kind.
func populated(t testing.TB) *deployment {
	w := newDeployment(t)
	never, both, moved := w.register("Never"), w.register("Both"), w.register("Gone")
	w.register("Unseen")
	w.use(never, "2030", day)
	w.use(both, "2030", 2*day)
	w.use(both, "2031", time.Hour)
	w.use(moved, "2030", 20*day)
	w.use(moved, "2031", time.Hour)
	w.watch.Board.Usage.Fetch(idp.Fetch{Year: "2031", At: w.Clock.Now(), SP: both, IPAddress: "203.0.113.7", UserAgent: "hinted-agent/1"})
	w.watch.Board.Usage.Fetch(idp.Fetch{At: w.Clock.Now(), IPAddress: "203.0.113.8", UserAgent: "<script>stray-agent</script>"})
	return w
}

// names returns the service providers on a page of the board, in order.
func names(t testing.TB, w *deployment, path string) (got []string) {
	t.Helper()
	for _, n := range all(w.page(path), "vernal-who") {
		got = append(got, strings.TrimSuffix(words(all(n, "<h3")[0]), " Bureau"))
	}
	return got
}

func TestBoardPageShowsEachProvider(t *testing.T) {
	t.Parallel()
	w := populated(t)
	doc := w.page(boardPath)
	if diff := cmp.Diff([]string{"Never", "Both", "Gone", "Unseen"}, names(t, w, boardPath)); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	lines := all(all(doc, "vernal-lines")[0], "vernal-who")
	what := all(doc, "vernal-what")
	wants := []struct{ who, what []string }{
		{[]string{"Never Bureau", "Not moved", "https://never.example.gov/saml", "never-saml@example.gov"},
			[]string{"2030 last request March 1, 2031, 09:00 UTC, 1 day ago; 1 in 7 days, 1 in 30; signed, by 0000000000000000…; first March 1, 2031"}},
		{[]string{"Both Bureau", "Moving (using both)"}, []string{"2030 last request February 28, 2031", "2031 last request March 2, 2031, 08:00 UTC, today",
			"Metadata loaded in its name (a hint, not proof)", "203.0.113.7, hinted-agent/1"}},
		{[]string{"Gone Bureau", "Moved"}, []string{"2030 last request February 10, 2031, 09:00 UTC, 20 days ago; 0 in 7 days, 1 in 30"}},
		{[]string{"Unseen Bureau", "No sign-ins yet"}, []string{"No request yet."}},
	}
	for i, want := range wants {
		for _, s := range want.who {
			if !strings.Contains(words(lines[i]), s) {
				t.Errorf("%q is not in %q", s, words(lines[i]))
			}
		}
		for _, s := range want.what {
			if !strings.Contains(words(what[i]), s) {
				t.Errorf("%q is not in %q", s, words(what[i]))
			}
		}
	}
	years := words(all(doc, "vernal-years")[0])
	for _, want := range []string{
		"2030 expiring Our signing certificate ends in 30 days April 1, 2031 Due to be retired in 121 days July 1, 2031 Used within 30 days by 3 service providers 2 still to move",
		"2031 preferred", "2032 planned Next the key of 2032 is created: January 15, 2032, in 319 days",
	} {
		if !strings.Contains(years, want) {
			t.Errorf("%q is not in %q", want, years)
		}
	}
	if got := words(all(doc, "vernal-fetches")[0]); !strings.Contains(got, "203.0.113.8, <script>stray-agent</script>") {
		t.Errorf("others' loads: %q", got)
	}
	if n := len(all(doc, "<script")); n != 1 { // that of the local times
		t.Errorf("%d scripts", n)
	}
}

// TestBoardPageFiltersByQuery checks that plain links filter the list, and that invalid
// parameters in a URL are ignored.
func TestBoardPageFiltersByQuery(t *testing.T) {
	t.Parallel()
	w := populated(t)
	for query, want := range map[string][]string{
		"":                                {"Never", "Both", "Gone", "Unseen"},
		"show=unmoved":                    {"Never"},
		"show=both":                       {"Both"},
		"show=moved":                      {"Gone"},
		"show=unseen":                     {"Unseen"},
		"year=2030":                       {"Never", "Both", "Gone"},
		"year=2031":                       {"Both", "Gone"},
		"year=2031&show=moved":            {"Gone"},
		"year=2030&show=unmoved":          {"Never", "Both"}, // not moved on from 2030
		"year=1999":                       nil,
		"q=BOTH":                          {"Both"},
		"q=gone.example":                  {"Gone"},
		"q=bureau&show=moved":             {"Gone"},
		"q=nobody":                        nil,
		"q=" + strings.Repeat("x", 201):   {"Never", "Both", "Gone", "Unseen"},
		"show=odd&year=abc&page=-1":       {"Never", "Both", "Gone", "Unseen"},
		"page=999999999999999999999":      {"Never", "Both", "Gone", "Unseen"},
		"page=7":                          nil,
		"page=%zz&show=unmoved;year=2030": {"Never", "Both", "Gone", "Unseen"},
	} {
		if diff := cmp.Diff(want, names(t, w, boardPath+"?"+query)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	doc := w.page(boardPath)
	links := 0
	for _, a := range all(doc, "<a") {
		for _, at := range a.Attr {
			if at.Key == "href" && strings.HasPrefix(at.Val, boardPath) {
				links++
				w.page(at.Val)
			}
		}
	}
	if links < 8 {
		t.Errorf("%d links on the board", links)
	}
}

func TestBoardPageListsEachProviderOnce(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	for i := range pageSize + 5 {
		w.register(fmt.Sprintf("SP%03d", i))
	}
	seen := map[string]int{}
	path := boardPath
	pages := 0
	for path != "" && pages < 5 {
		pages++
		for _, n := range names(t, w, path) {
			seen[n]++
		}
		doc := w.page(path)
		if n := len(all(doc, "vernal-pages")); n != 1 {
			t.Fatalf("%s: %d navs", path, n)
		}
		path = ""
		for _, a := range all(all(doc, "vernal-pages")[0], "<a") {
			attrs := map[string]string{}
			for _, at := range a.Attr {
				attrs[at.Key] = at.Val
			}
			if attrs["rel"] == "next" {
				path = attrs["href"]
			}
		}
	}
	if pages != 2 || len(seen) != pageSize+5 {
		t.Errorf("%d pages with %d service providers", pages, len(seen))
	}
	if got := words(all(w.page(boardPath+"?page=2"), "vernal-count")[0]); got != "201 to 205 of 205 service providers (205 registered)" {
		t.Errorf("count: %q", got)
	}
}

func TestBoardIsServedAsJSON(t *testing.T) {
	t.Parallel()
	w := populated(t)
	rec := w.get(dataPath)
	var got struct {
		Status struct {
			Preferred idp.Year `json:"preferred"`
		} `json:"status"`
		Automatic bool            `json:"automatic"`
		Plan      []struct{}      `json:"plan"`
		Board     migration.Board `json:"board"`
	}
	w.ok(json.Unmarshal(rec.Body.Bytes(), &got))
	if rec.Header().Get("Content-Type") != "application/json" || got.Status.Preferred != "2031" || !got.Automatic || len(got.Plan) == 0 || len(got.Board.SPs) != 4 {
		t.Errorf("%+v", got)
	}
}

// TestEndedSecretLinkAnswers404 checks that an unknown, revoked or expired URL gets the same
// 404 as any other, and that a link of one kind opens no other.
func TestEndedSecretLinkAnswers404(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	unknown := w.get("/rotation/nothing")
	check := func(what, path string, want int) {
		t.Helper()
		rec := w.get(path)
		if rec.Code != want {
			t.Errorf("%s: %d, want %d", what, rec.Code, want)
		}
		if want == http.StatusNotFound && rec.Body.String() != unknown.Body.String() {
			t.Errorf("%s: another answer than of an unknown address: %q", what, rec.Body)
		}
	}
	for _, kind := range []sharelink.Kind{sharelink.Wallboard, sharelink.Calendar} {
		path, id := w.link(sharelink.Link{Kind: kind})
		ending, _ := w.link(sharelink.Link{Kind: kind, ExpiresAt: w.Clock.Now().Add(time.Hour)})
		check("good", path, http.StatusOK)
		check("ending", ending, http.StatusOK)
		check("changed", strings.Replace(path, ".", ".A", 1), http.StatusNotFound)
		token := strings.TrimSuffix(path[strings.LastIndex(path, "/")+1:], ".ics")
		check("other kind", wallPrefix+token, map[sharelink.Kind]int{sharelink.Wallboard: 200, sharelink.Calendar: 404}[kind])
		check("other kind", calendarPrefix+token+".ics", map[sharelink.Kind]int{sharelink.Wallboard: 404, sharelink.Calendar: 200}[kind])
		check("long", wallPrefix+strings.Repeat("a.", 4096), http.StatusNotFound)
		if _, err := w.watch.Links.Revoke(t.Context(), id, "test"); err != nil {
			t.Fatal(err)
		}
		check("revoked", path, http.StatusNotFound)
		w.Clock.Advance(time.Hour)
		check("ended", ending, http.StatusNotFound)
	}
}
