package discovery_test

import (
	"net/http"
	"testing"
	"time"

	"vernal/idp/idptest"
)

// TestMetadataCachedBrieflyAfterRevocation checks that for a day after a revocation our
// metadata is cached only briefly, so that an SP does not go on trusting the revoked
// certificate.
func TestMetadataCachedBrieflyAfterRevocation(t *testing.T) {
	t.Parallel()
	const usual, brief = "public, max-age=3600", "public, max-age=60"
	i := idptest.New(t, idptest.Options{Now: time.Date(2027, 2, 15, 12, 0, 0, 0, time.UTC)})
	check := func(when, want string) {
		t.Helper()
		for _, path := range []string{"metadata", "metadata2027"} {
			page := i.Browser().Get(i.URL + "/api/saml/" + path)
			if got := page.Header.Get("Cache-Control"); page.Status != http.StatusOK || got != want {
				t.Errorf("%s: %s: %d, Cache-Control %q, want %q", when, path, page.Status, got, want)
			}
		}
		page := i.Browser().Get(i.URL + "/api/saml/certificate2027.pem")
		if got := page.Header.Get("Cache-Control"); got != usual {
			t.Errorf("%s: certificate: Cache-Control %q", when, got)
		}
	}
	check("before", usual)
	i.Retire("2026")
	check("at once", brief)
	i.Clock.Advance(24*time.Hour - time.Second)
	check("a second before the day is over", brief)
	i.Clock.Advance(time.Second)
	check("when the day is over", usual)
}
