package logout_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vernal/idp/idptest"
	"vernal/idp/idptest/corpus"
	"vernal/idp/saml"
)

// drawn is a LogoutRequest of sp1 with random fields, and how it is sent.
type drawn struct {
	idptest.LogoutRequest
	fresh    bool
	soap     bool
	endpoint string
	method   string
	browser  string // the user of the browser that sends it, "" for none
}

func draw(t *rapid.T, w *corpusDeployment) *drawn {
	names, indexes := []string{"unknown user", "7b0e8f5a-0000-4000-8000-000000000000"}, []string{"_never-issued", "nothing"}
	for _, p := range corpusPeople {
		// Draw sp1's own NameIDs more often, because they come closest to ending a session.
		names = append(names, p.atSP1, p.atSP1, p.atSP1, p.atSP1, p.atSP2, p.name+"@example.gov", "_"+p.name+"-at-sp1")
		indexes = append(indexes, p.atSP1, p.atSP2, "_"+p.name+"-at-sp1", "_"+p.name+"-at-sp2")
	}
	now := w.Clock.Now()
	d := &drawn{browser: rapid.SampledFrom([]string{"ada", "bob", ""}).Draw(t, "browser")}
	d.NameID = rapid.SampledFrom(names).Draw(t, "NameID")
	d.SessionIndexes = rapid.SliceOfNDistinct(rapid.SampledFrom(indexes), 0, 3, rapid.ID).Draw(t, "SessionIndexes")
	d.GuideIndex = rapid.Bool().Draw(t, "guide")
	age := rapid.SampledFrom([]time.Duration{0, 0, 0, 4 * time.Minute, 7 * time.Minute, -3 * time.Minute}).Draw(t, "age")
	left := rapid.SampledFrom([]time.Duration{0, 0, time.Minute, -2 * time.Minute}).Draw(t, "left")
	d.IssuedAt = now.Add(-age)
	if left != 0 {
		d.NotOnOrAfter = now.Add(left)
	}
	d.Remote = rapid.Bool().Draw(t, "remote")
	d.endpoint, d.method = corpus.Logout, rapid.SampledFrom([]string{http.MethodGet, http.MethodPost}).Draw(t, "method")
	there, other := corpusBase+"/api/saml/logout2026", corpusBase+"/api/saml/remotelogout2026"
	if d.Remote {
		d.endpoint, d.method, d.soap = corpus.RemoteLogout, http.MethodPost, rapid.Bool().Draw(t, "SOAP")
		there, other = other, there
	}
	d.Destination = rapid.SampledFrom([]string{there, there, "-", other}).Draw(t, "Destination")
	d.fresh = age < 6*time.Minute && age > -2*time.Minute && left >= 0 && d.Destination != other
	return d
}

// inbound returns the signed message as it is sent.
func (d *drawn) inbound(p *idptest.Provider) saml.HTTPRequest {
	if d.method == http.MethodGet {
		to, _ := url.Parse(p.LogoutURL(&d.LogoutRequest))
		return saml.HTTPRequest{Method: http.MethodGet, RawQuery: to.RawQuery}
	}
	in := saml.HTTPRequest{Method: http.MethodPost, ContentType: "application/x-www-form-urlencoded"}
	if d.soap {
		in.ContentType = "text/xml"
		in.Body = []byte(`<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body>` + string(p.SignLogout(&d.LogoutRequest)) + `</S:Body></S:Envelope>`)
		return in
	}
	in.Body = []byte(p.LogoutForm(&d.LogoutRequest).Encode())
	return in
}

// ends returns the users whose sessions the request ends, as documented in the guide
// "sign-out".
func (d *drawn) ends() (who []string) {
	if !d.fresh {
		return nil
	}
	for _, p := range corpusPeople {
		own := slices.Contains(d.SessionIndexes, "_"+p.name+"-at-sp1")
		switch {
		case !d.Remote:
			// In another user's browser nothing ends. In one without a session, the named
			// sessions end.
			every := len(d.SessionIndexes) == 0 || slices.Contains(d.SessionIndexes, p.atSP1)
			if (d.browser == p.name || d.browser == "") && p.atSP1 == d.NameID && (own || every) {
				who = append(who, p.name)
			}
		case len(d.SessionIndexes) == 1 && d.SessionIndexes[0] == p.atSP1,
			d.NameID == p.atSP1 && (own || len(d.SessionIndexes) == 0 || slices.Contains(d.SessionIndexes, p.atSP1)):
			who = append(who, p.name)
		}
	}
	return who
}

// A signed LogoutRequest ends the sessions of the one user that it names under the provider's
// own NameIDs, and no one else's, whatever its fields contain and however it is sent.
func TestLogoutEndsOneUsersSessionsOnly(t *testing.T) {
	t.Parallel()
	checkEndedSessions(t)
}

// checkEndedSessions returns how many requests ended sessions and how many were refused.
func checkEndedSessions(t *testing.T) (ended, refused int) {
	w := newCorpusDeployment(t, time.Date(2026, 11, 22, 12, 0, 2, 0, time.UTC))
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t, w)
		got := w.send(&corpus.Case{Inbound: d.inbound(w.sp1)}, d.endpoint, d.browser)
		who := w.listEnded()
		w.signIn()
		if want := d.ends(); !slices.Equal(who, want) {
			t.Fatalf("it ends the sessions of %v, want %v: %d\n%s", who, want, got.status, got.body)
		}
		if doc := got.response(); got.status >= 500 || len(who) > 0 && !strings.Contains(doc, ":status:Success") {
			t.Fatalf("%d\n%s", got.status, got.body)
		} else if acted := doc != "" && !strings.Contains(doc, ":RequestDenied"); acted != d.fresh {
			t.Fatalf("acted upon: %v, want %v\n%s", acted, d.fresh, got.body)
		}
		if len(who) > 0 {
			ended++
		}
		if !d.fresh {
			refused++
		}
	})
	return ended, refused
}
