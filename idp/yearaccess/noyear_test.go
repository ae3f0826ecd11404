package yearaccess_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/rotation"
)

// noYear is the JSON at an endpoint URL without a year that answers. Its names are stable.
type noYear struct {
	Code  string    `json:"code"`
	Path  string    `json:"path"`
	Title string    `json:"title"`
	Fix   string    `json:"fix"`
	Years []yearURL `json:"years"`
}

type yearURL struct {
	Year      string `json:"year"`
	URL       string `json:"url"`
	Preferred bool   `json:"preferred"`
}

func (w *server) fetch(method, path, accept string) (*http.Response, []byte) {
	w.t.Helper()
	r, err := http.NewRequest(method, w.URL+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	resp, err := w.Client.Transport.RoundTrip(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp, body
}

func (w *server) noYear(method, path string) noYear {
	w.t.Helper()
	resp, body := w.fetch(method, path, "application/json")
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	var got noYear
	if err := d.Decode(&got); err != nil || resp.StatusCode != http.StatusNotFound || resp.Header.Get("Content-Type") != "application/json" {
		w.t.Fatalf("%s %s: %d %s: %v\n%s", method, path, resp.StatusCode, resp.Header.Get("Content-Type"), err, body)
	}
	return got
}

// TestWrongYearListsYearsThatAnswer checks that an endpoint URL with a wrong or missing year
// lists the same endpoint in the years that answer, the newest first. Other paths list
// nothing.
func TestWrongYearListsYearsThatAnswer(t *testing.T) {
	t.Parallel()
	w := newServer(t, false)
	preferred := string(w.Year())
	for path, endpoint := range map[string]string{
		"auth2019": "auth%s", "auth2019z": "auth%s", "auth20260": "auth%s", "auth2026B": "auth%s", "auth": "auth%s", "auth/": "auth%s",
		"auth-2026": "auth%s", "auth/2026": "auth%s", "auth%7Byear%7D": "auth%s", "authYEAR": "auth%s", "auth" + string(neverMade): "auth%s",
		"logout": "logout%s", "logout1999": "logout%s", "remotelogout": "remotelogout%s", "remotelogout2": "remotelogout%s",
		"metadata2099": "metadata%s", "metadata2026.xml": "metadata%s", "metadata.xml": "metadata%s", "metadata/": "metadata%s",
		"certificate": "certificate%s.pem", "certificate.pem": "certificate%s.pem", "certificate2030.pem": "certificate%s.pem", "certificate2030": "certificate%s.pem",
		"auth" + string(w.next): "auth%s", "certificate" + string(w.next) + ".pem": "certificate%s.pem",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete, http.MethodPut, http.MethodOptions} {
			got := w.noYear(method, "/api/saml/"+path)
			want := noYear{
				Code: "year_not_found", Path: "/api/saml/" + strings.NewReplacer("%7B", "{", "%7D", "}").Replace(path), Title: got.Title, Fix: got.Fix,
				Years: []yearURL{{preferred, w.URL + "/api/saml/" + fmt.Sprintf(endpoint, preferred), true}},
			}
			if diff := cmp.Diff(want, got); diff != "" || got.Title == "" || got.Fix == "" {
				t.Errorf("%s %s: %s", method, path, diff)
			}
			if resp, _ := w.fetch(http.MethodGet, strings.TrimPrefix(got.Years[0].URL, w.URL), "application/json"); resp.StatusCode == http.StatusNotFound {
				t.Errorf("%s: the URL %s does not answer", path, got.Years[0].URL)
			}
		}
	}
	for _, path := range []string{"xyz", "authentication", "auth2026/x", "auth2026.php", "metadata-of-2026", "", "auth" + strings.Repeat("9", 40), "Auth2019", "login2019"} {
		_, body := w.fetch(http.MethodGet, "/api/saml/"+path, "application/json")
		var got struct{ Code string }
		if err := json.Unmarshal(body, &got); err != nil || got.Code != "not_found" {
			t.Errorf("%s: %v\n%s", path, err, body)
		}
	}
	if resp, _ := w.fetch(http.MethodDelete, "/api/saml/auth"+preferred, ""); resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") == "" {
		t.Errorf("a year that answers: %d", resp.StatusCode)
	}
}

// TestYearsThatAnswerFollowRotation checks that the list follows the rotation: a published
// year is the first, the preferred one is marked, and a year that is over is not listed and
// keeps its 410.
func TestYearsThatAnswerFollowRotation(t *testing.T) {
	t.Parallel()
	w := newServer(t, false)
	old, next := string(w.Year()), string(w.next)
	check := func(when string, want ...yearURL) {
		t.Helper()
		got := w.noYear(http.MethodGet, "/api/saml/auth2019").Years
		for i := range want {
			want[i].URL = w.URL + "/api/saml/auth" + want[i].Year
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", when, diff)
		}
		// A page also names the preferred year and the newest, in addition to the list and
		// its URL.
		for _, accept := range []string{"text/html", "text/plain"} {
			_, body := w.fetch(http.MethodGet, "/api/saml/auth2019", accept)
			for _, y := range want {
				named := strings.Count(strings.ReplaceAll(string(body), w.URL+"/api/saml/auth"+y.Year, ""), y.Year)
				if advised := named > 1; advised != (y.Preferred || y.Year == want[0].Year) {
					t.Errorf("%s, %s: %s is named %d times:\n%s", when, accept, y.Year, named, body)
				}
			}
		}
	}
	check("created", yearURL{Year: old, Preferred: true})
	w.step(rotation.StepPublish)
	check("published", yearURL{Year: next}, yearURL{Year: old, Preferred: true})
	w.step(rotation.StepPrefer)
	check("preferred", yearURL{Year: next, Preferred: true}, yearURL{Year: old})
	w.Retire(idp.Year(old))
	check("the old one retired", yearURL{Year: next, Preferred: true})
	for accept, want := range map[string]string{"": "text/plain", "*/*": "text/plain", "text/html": "text/html", "application/json": "application/json"} {
		resp, body := w.fetch(http.MethodGet, "/api/saml/auth"+old, accept)
		if resp.StatusCode != http.StatusGone || !strings.HasPrefix(resp.Header.Get("Content-Type"), want) {
			t.Errorf("retired, Accept %q: %d %s", accept, resp.StatusCode, resp.Header.Get("Content-Type"))
		}
		if !strings.Contains(string(body), w.URL+"/api/saml/auth"+next) {
			t.Errorf("retired, Accept %q: the new URL is missing:\n%s", accept, body)
		}
	}
}

// TestUnpublishedAndUnknownYearAnswerAlike checks that a year that is not published and one
// that was never made have equal answers by every method and in every format, headers
// included.
func TestUnpublishedAndUnknownYearAnswerAlike(t *testing.T) {
	runOverBoth(t, func(t *testing.T, w *server) {
		for _, path := range append(yearlyPaths, "metadata%s.xml", "auth/%s") {
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, "BREW"} {
				for _, accept := range []string{"", "*/*", "text/html", "text/plain", "application/json", "text/html;q=0, text/*;q=0.3", "x/y", "a;b,,"} {
					get := func(y idp.Year) answer {
						return w.send(method, w.URL+"/api/saml/"+fmt.Sprintf(path, y), nil, func(r *http.Request) {
							r.Header.Del("Accept")
							if accept != "" {
								r.Header.Set("Accept", accept)
							}
						})
					}
					made, never := get(w.next), get(neverMade)
					if w.neverMadeURL(made.text) != never.text || never.status != http.StatusNotFound {
						t.Errorf("%s %s, Accept %q: created\n%s\n\nnever made\n%s", method, path, accept, made.text, never.text)
					}
					if method == http.MethodHead && !strings.HasSuffix(never.text, "\r\n\n") {
						t.Errorf("HEAD %s, Accept %q has a body:\n%s", path, accept, never.text)
					}
				}
			}
		}
	})
}
