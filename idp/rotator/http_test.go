package rotator_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	crewjam "github.com/crewjam/saml"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/rotation"
)

// TestSpringThroughHTTP checks a spring as service providers see it: endpoint URLs open and
// close on their dates without a restart, and sign-ins work on the old year and on the new
// one.
func TestSpringThroughHTTP(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{Now: time.Date(2027, 1, 10, 12, 0, 0, 0, time.UTC)})
	sp := i.AddProvider("https://a.example")
	sp.IgnoresCertificateEnd = true // on the old year, after 1 April
	person := i.AddUser("ada@example.gov")

	const gone, missing, works = http.StatusGone, http.StatusNotFound, http.StatusOK
	type answers struct{ y2026, y2027 int }
	tests := []struct {
		until     time.Time
		preferred idp.Year
		want      answers
		use       idp.Year // year of the endpoint that a user signs in at
	}{
		{day(2027, 1, 14), "2026", answers{works, missing}, "2026"},
		{day(2027, 1, 31), "2026", answers{works, missing}, "2026"},
		{day(2027, 2, 1), "2026", answers{works, works}, "2027"},
		{day(2027, 2, 28), "2026", answers{works, works}, "2026"},
		{day(2027, 3, 1), "2027", answers{works, works}, "2026"},
		{day(2027, 3, 31), "2027", answers{works, works}, "2027"},
		{day(2027, 4, 2), "2027", answers{works, works}, "2026"},
		{day(2027, 6, 25), "2027", answers{works, works}, "2026"},
		{day(2027, 7, 5), "2027", answers{works, works}, "2027"}, // 2026 was used ten days ago
		{day(2027, 7, 11), "2027", answers{gone, works}, "2027"},
		{day(2027, 9, 1), "2027", answers{gone, works}, "2027"},
	}
	for _, tt := range tests {
		runDaily(t, i, tt.until.Add(12*time.Hour))
		name := tt.until.Format(time.DateOnly)
		if y := i.Year(); y != tt.preferred {
			t.Errorf("%s: %s is preferred, want %s", name, y, tt.preferred)
		}
		for path, want := range map[string]int{
			"metadata2026": tt.want.y2026, "metadata2027": tt.want.y2027, "metadata": works,
		} {
			if got := i.Browser().Get(i.URL + "/api/saml/" + path).Status; got != want {
				t.Errorf("%s: %s answers %d, want %d", name, path, got, want)
			}
		}
		r := &idptest.Request{Year: tt.use}
		b := i.Browser()
		page := b.SignIn(b.Get(sp.URL(r)), person)
		if page.Response() == nil {
			t.Fatalf("%s: sign-in on %s: %d\n%s", name, tt.use, page.Status, page.Text())
		}
		if _, err := sp.Check(r, page.Response()); err != nil {
			var invalid *crewjam.InvalidResponseError
			if errors.As(err, &invalid) {
				err = invalid.PrivateErr
			}
			t.Errorf("%s: sign-in on %s: %v", name, tt.use, err)
		}
	}
	if page := i.Browser().Get(sp.URL(&idptest.Request{Year: "2026"})); page.Status != gone {
		t.Errorf("request to the retired year: %d, want %d", page.Status, gone)
	}
	st, err := i.Rotation.Status(t.Context(), nil)
	ok(t, err)
	for _, y := range st.Years {
		if y.Year == "2026" && (y.State != rotation.Retired || y.KeyDestroyedAt.IsZero() || y.UsedAt.IsZero()) {
			t.Errorf("2026 ended as %+v", y)
		}
	}
}

// runDaily turns the clock day by day, with a server that runs.
func runDaily(t *testing.T, i *idptest.IdP, to time.Time) {
	t.Helper()
	for left := to.Sub(i.Clock.Now()); left > 0; left = to.Sub(i.Clock.Now()) {
		ran := min(left, 24*time.Hour)
		i.Clock.Advance(ran)
		ok(t, i.Rotation.Tick(t.Context(), ran))
		_, err := i.Rotation.TakeDueSteps(t.Context())
		ok(t, err)
	}
}
