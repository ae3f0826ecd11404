package authn_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"vernal/idp/idptest"
)

// A client that must wait gets the form again or, if it requests text or JSON, the failure.
func TestThrottledSignInHonoursAccept(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	post := func(accept string) *http.Response {
		t.Helper()
		form := url.Values{"email": {"ann@example.gov"}, "password": {"wrong horse"}}
		r, err := http.NewRequest(http.MethodPost, i.URL+"/sign-in", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Accept", accept)
		resp, err := i.Client.Transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	for n := 0; post("*/*").StatusCode != http.StatusTooManyRequests; n++ {
		if n == 100 {
			t.Fatal("no limit after 100 wrong passwords")
		}
	}
	for accept, want := range map[string]string{
		"*/*": "text/html", "text/html,*/*;q=0.8": "text/html", "text/plain": "text/plain", "application/json": "application/json",
	} {
		resp := post(accept)
		if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" || !strings.HasPrefix(got, want) {
			t.Errorf("Accept %q: %d %s, Retry-After %q", accept, resp.StatusCode, got, resp.Header.Get("Retry-After"))
		}
		var failure struct{ Code string }
		if err := json.NewDecoder(resp.Body).Decode(&failure); (err == nil && failure.Code == "too_many") != (want == "application/json") {
			t.Errorf("Accept %q: code %q, %v", accept, failure.Code, err)
		}
	}
}
