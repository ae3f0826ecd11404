package migration_test

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/migration"
	"vernal/idp/rotation"
)

// readLine returns a line of the board of a running server, and checks that a flush does not
// change the board.
func readLine(t *testing.T, i *idptest.IdP, id string) migration.Line {
	t.Helper()
	noted, err := i.Board.Board(t.Context())
	ok(t, err)
	ok(t, i.Usage.Flush(t.Context()))
	stored, err := i.Board.Board(t.Context())
	ok(t, err)
	if diff := cmp.Diff(noted, stored); diff != "" {
		t.Errorf("the flush changed the board (-before +after):\n%s", diff)
	}
	return line(t, stored, idp.EntityID(id))
}

func TestSignInsAppearOnBoard(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{Now: at(2027, 2, 10)}) // 2026 preferred, 2027 published
	person := i.AddUser("ada@example.gov")
	optional := func(p *idp.ServiceProvider) { p.SignRequests = idp.SignRequestsOptional }
	type counts map[idp.Year]int
	tests := []struct {
		name   string
		sp     *idptest.Provider
		do     func(*idptest.Provider, *idptest.Browser)
		want   counts
		signed bool
	}{
		{"a signed request without a sign-in", i.AddProvider("https://signed.example"), func(p *idptest.Provider, b *idptest.Browser) {
			b.Get(p.URL(&idptest.Request{}))
		}, counts{"2026": 1}, true},
		{"a sign-in on two years", i.AddProvider("https://two.example"), func(p *idptest.Provider, b *idptest.Browser) {
			b.SignIn(b.Get(p.URL(&idptest.Request{Year: "2026"})), person)
			b.CrossSitePost("/api/saml/auth2027", p.Form(&idptest.Request{Year: "2027"}))
		}, counts{"2026": 1, "2027": 1}, true},
		{"an unsigned request", i.AddProvider("https://unsigned.example", optional), func(p *idptest.Provider, b *idptest.Browser) {
			b.Get(p.URL(&idptest.Request{Unsigned: true}))
		}, counts{}, false},
		{"an unsigned request that was answered", i.AddProvider("https://answered.example", optional), func(p *idptest.Provider, b *idptest.Browser) {
			b.SignIn(b.Get(p.URL(&idptest.Request{Unsigned: true})), person)
		}, counts{"2026": 1}, false},
		{"a signature of another sender", i.AddProvider("https://forged.example"), func(p *idptest.Provider, b *idptest.Browser) {
			b.Get(p.URL(&idptest.Request{Key: idptest.OtherKey()}))
		}, counts{}, false},
		{"metadata with the hint", i.AddProvider("https://hint.example"), func(p *idptest.Provider, b *idptest.Browser) {
			b.Get(i.URL + "/api/saml/metadata2026?sp=" + url.QueryEscape(p.EntityID))
		}, counts{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.do(tt.sp, i.Browser())
			l, got := readLine(t, i, tt.sp.EntityID), counts{}
			for _, y := range l.Years {
				got[y.Year] = y.Days30
				if y.Signed != tt.signed || tt.signed == (y.CertSHA256 == "") || !y.LastAt.Equal(i.Clock.Now()) && !tt.signed {
					t.Errorf("%s: %+v", y.Year, y)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if len(l.Years) == 0 && l.Move != migration.Unseen {
				t.Errorf("unused, and %s", l.Move)
			}
		})
	}
}

// TestPreviewIsNoUse checks that a sign-in with a preview works and does not count as use.
func TestPreviewIsNoUse(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{Now: at(2027, 1, 20)}) // 2027 created
	sp := i.AddProvider("https://sp.example", func(p *idp.ServiceProvider) { p.Preview = "2027" })
	b := i.Browser()
	if page := b.SignIn(b.Get(sp.URL(&idptest.Request{Year: "2027"})), i.AddUser("ada@example.gov")); page.Response() == nil {
		t.Fatalf("no sign-in: %d %s", page.Status, page.Text())
	}
	if l := readLine(t, i, sp.EntityID); l.Move != migration.Unseen || len(l.Years) != 0 {
		t.Errorf("line: %+v", l)
	}
}

// TestMetadataFetchIsOnlyHint checks that a metadata fetch is shown with its User-Agent and
// counts only as a hint.
func TestMetadataFetchIsOnlyHint(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{Now: at(2027, 2, 10)})
	sp := i.AddProvider("https://sp.example")
	fetch := func(path, agent string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, i.URL+path, nil)
		ok(t, err)
		req.Header.Set("User-Agent", agent)
		resp, err := i.Client.Do(req)
		ok(t, err)
		_ = resp.Body.Close()
	}
	fetch("/api/saml/metadata2026?sp=https://sp.example", "Shibboleth-SP/3.4")
	fetch("/api/saml/metadata?sp=https://sp.example", "Shibboleth-SP/3.4")
	fetch("/api/saml/metadata2026?sp="+strings.Repeat("x", 5000), "<script>\t"+strings.Repeat("y", 5000))
	fetch("/api/saml/metadata1999?sp=https://sp.example", "none such")
	l := readLine(t, i, sp.EntityID)
	want := []migration.Fetches{
		{IPAddress: "127.0.0.1", UserAgent: "Shibboleth-SP/3.4", LastAt: i.Clock.Now(), Count: 1},
		{Year: "2026", IPAddress: "127.0.0.1", UserAgent: "Shibboleth-SP/3.4", LastAt: i.Clock.Now(), Count: 1},
	}
	if diff := cmp.Diff(want, l.Fetches); diff != "" || l.Move != migration.Unseen {
		t.Errorf("%s, fetches (-want +got):\n%s", l.Move, diff)
	}
	b, err := i.Board.Board(t.Context())
	ok(t, err)
	if len(b.Fetches) != 1 || len(b.Fetches[0].Hint) > 1024 || len(b.Fetches[0].UserAgent) > 200 || strings.Contains(b.Fetches[0].UserAgent, "\t") {
		t.Errorf("fetches without a registered hint: %+v", b.Fetches)
	}
}

// TestUsedYearIsKeptFromRetirement checks that an SP that uses a year prevents its
// retirement and is named, and that the end of the year's certificate needs attention while
// an SP must still move.
func TestUsedYearIsKeptFromRetirement(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{Now: at(2027, 2, 10)})
	sp := i.AddProvider("https://sp.example")
	i.AddProvider("https://gone.example", func(p *idp.ServiceProvider) { p.Active = false })
	use := func(y idp.Year) {
		t.Helper()
		i.Browser().Get(sp.URL(&idptest.Request{Year: y}))
		ok(t, i.Usage.Flush(t.Context()))
	}
	run := func(to time.Time) {
		t.Helper()
		for i.Clock.Now().Before(to) {
			i.Clock.Advance(24 * time.Hour)
			ok(t, i.Rotation.Tick(t.Context(), 24*time.Hour))
			_, err := i.Rotation.TakeDueSteps(t.Context())
			ok(t, err)
			ok(t, i.Usage.Flush(t.Context()))
		}
	}
	needs := func(code rotation.AttentionCode) bool {
		t.Helper()
		b, err := i.Board.Board(t.Context())
		ok(t, err)
		st, err := i.Rotation.Status(t.Context(), b.CountUnmoved())
		ok(t, err)
		for _, a := range st.Attention {
			if a.Code == code {
				return true
			}
		}
		return false
	}
	use("2026")
	run(at(2027, 3, 10))
	if !needs(rotation.CertEnding) {
		t.Error("a certificate ends, a provider has not moved, and there is no notice")
	}
	use("2027")
	run(at(2027, 3, 11))
	if needs(rotation.CertEnding) {
		t.Error("all have moved, and it still needs attention")
	}
	run(at(2027, 6, 25))
	use("2026")
	run(at(2027, 7, 2))
	st, err := i.Rotation.Status(t.Context(), nil)
	ok(t, err)
	if !slices.ContainsFunc(st.Attention, func(a rotation.Attention) bool {
		return a.Code == rotation.StepHeld && a.IsUse() && slices.Equal(a.Reasons[0].Args.SPs, []idp.EntityID{"https://sp.example"})
	}) {
		t.Errorf("attention: %+v", st.Attention)
	}
	_, err = i.Rotation.Take(t.Context(), rotation.Step{Kind: rotation.StepRetire, Year: "2026"}, "test", true)
	var refused *rotation.RefusedError
	if !errors.As(err, &refused) || !refused.Reason.IsUse() || !slices.Equal(refused.Reason.Args.SPs, []idp.EntityID{"https://sp.example"}) {
		t.Errorf("retire: %v", err)
	}
	run(at(2027, 7, 12))
	if needs(rotation.StepHeld) {
		t.Error("unused for 14 days, and held")
	}
}
