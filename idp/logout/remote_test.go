package logout_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"vernal/idp/idptest"
)

// These cases cover which user a request on the back channel names, by form and by SOAP, with
// sessions of other users present.
func TestRemoteLogoutEndsNamedSessions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		request func(w *deployment) *idptest.LogoutRequest
		// status is that of the form's answer. With SOAP it is always 200.
		status int
		known  bool
		left   []string
	}{
		{"the provider's UUID as SessionIndex", func(w *deployment) *idptest.LogoutRequest {
			return &idptest.LogoutRequest{NameID: w.ada.name, SessionIndexes: []string{w.ada.name}}
		}, http.StatusOK, true, []string{"bob"}},
		{"as in the guide's sample", func(w *deployment) *idptest.LogoutRequest {
			return &idptest.LogoutRequest{NameID: "anything", SessionIndexes: []string{w.ada.name}, GuideIndex: true}
		}, http.StatusOK, true, []string{"bob"}},
		{"a SessionIndex that we issued", func(w *deployment) *idptest.LogoutRequest {
			return &idptest.LogoutRequest{NameID: w.ada.name, SessionIndexes: []string{w.ada.index}}
		}, http.StatusOK, true, []string{"bob"}},
		{"the NameID alone", func(w *deployment) *idptest.LogoutRequest { return &idptest.LogoutRequest{NameID: w.ada.name} }, http.StatusOK, true, []string{"bob"}},
		{"a SessionIndex that is over", func(w *deployment) *idptest.LogoutRequest {
			return &idptest.LogoutRequest{NameID: w.ada.name, SessionIndexes: []string{"_over"}}
		}, http.StatusOK, true, []string{"ada", "bob"}},
		{"another person's SessionIndex", func(w *deployment) *idptest.LogoutRequest {
			return &idptest.LogoutRequest{NameID: w.ada.name, SessionIndexes: []string{w.bob.index}}
		}, http.StatusOK, true, []string{"ada", "bob"}},
		{"another person's UUID beside a SessionIndex", func(w *deployment) *idptest.LogoutRequest {
			return &idptest.LogoutRequest{NameID: w.ada.name, SessionIndexes: []string{w.bob.name, "_over"}}
		}, http.StatusOK, true, []string{"ada", "bob"}},
		{"the provider's UUID beside a SessionIndex that is over", func(w *deployment) *idptest.LogoutRequest {
			return &idptest.LogoutRequest{NameID: w.ada.name, SessionIndexes: []string{"_over", w.ada.name}}
		}, http.StatusOK, true, []string{"bob"}},
		{"another provider's UUID", func(w *deployment) *idptest.LogoutRequest {
			return &idptest.LogoutRequest{NameID: "x", SessionIndexes: []string{w.ada.otherName}}
		}, http.StatusBadRequest, false, []string{"ada", "bob"}},
		{"unknown user", func(*deployment) *idptest.LogoutRequest {
			return &idptest.LogoutRequest{NameID: "x", SessionIndexes: []string{"y"}}
		}, http.StatusBadRequest, false, []string{"ada", "bob"}},
		{"an address", func(*deployment) *idptest.LogoutRequest { return &idptest.LogoutRequest{NameID: "ada@example.gov"} }, http.StatusBadRequest, false, []string{"ada", "bob"}},
	}
	for _, soap := range []bool{false, true} {
		for _, tt := range tests {
			t.Run(map[bool]string{false: "form ", true: "SOAP "}[soap]+tt.name, func(t *testing.T) {
				t.Parallel()
				w := newDeployment(t)
				r := tt.request(w)
				send := w.a.SendRemoteLogout
				status := tt.status
				if soap {
					send, status = w.a.SendSOAPLogout, http.StatusOK
				}
				check := func(got *idptest.Answer) {
					t.Helper()
					if got.Status != status || !strings.HasPrefix(got.ContentType, "text/xml") || got.Response == nil {
						t.Fatalf("%d %s, want %d:\n%s", got.Status, got.ContentType, status, got.Body)
					}
					code := got.Response.Status.StatusCode
					if got.Response.InResponseTo != r.ID || (code.Value == ok) != tt.known || !tt.known && code.StatusCode.Value != unknownPrincipal {
						t.Errorf("answer: %s", got.Body)
					}
				}
				check(send(r))
				w.wantSignedIn(tt.left...)
				if len(tt.left) == 2 {
					return
				}
				// The same message again gets the same answer and ends no newer session.
				w.signIn(&w.ada, w.a)
				w.wantSignedIn("ada", "bob")
				check(send(r))
				w.wantSignedIn("ada", "bob")
				// A new message finds no session there, which is Success.
				w.Clock.Advance(time.Second)
				again := tt.request(w)
				again.SessionIndexes = nil
				again.NameID = w.ada.name
				if got := send(again); got.Response == nil || got.Response.Status.StatusCode.Value != ok {
					t.Errorf("%s", got.Body)
				}
			})
		}
	}
}

// An envelope is recognized under every Content-Type that service providers send it with.
func TestRemoteLogoutContentTypes(t *testing.T) {
	t.Parallel()
	for _, contentType := range []string{"text/xml", `text/xml; charset="UTF-8"`, "application/soap+xml", "Application/SOAP+XML; charset=utf-8"} {
		t.Run(contentType, func(t *testing.T) {
			t.Parallel()
			w := newDeployment(t)
			r := &idptest.LogoutRequest{NameID: w.ada.name, Remote: true}
			if got := w.a.SendEnvelope(r, contentType); got.Status != http.StatusOK || got.Response == nil || got.Response.Status.StatusCode.Value != ok {
				t.Errorf("%d %s:\n%s", got.Status, got.ContentType, got.Body)
			}
			w.wantSignedIn("bob")
		})
	}
}

// Only sessions in which the user used the provider end.
func TestRemoteLogoutOtherSession(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	otherVisitor := visitor{User: w.ada.User, browser: w.Browser()}
	w.signIn(&otherVisitor, w.b)
	w.wantSignedIn("ada", "ada", "bob")
	if got := w.a.SendRemoteLogout(&idptest.LogoutRequest{NameID: "x", SessionIndexes: []string{w.ada.name}}); got.Status != http.StatusOK {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	w.wantSignedIn("ada", "bob")
	if page := otherVisitor.browser.Get(w.b.URL(&idptest.Request{})); page.Response() == nil {
		t.Error("the session in which the provider was not used has ended")
	}
}

// A message that fails verification is refused with an error ID, as text, and ends nothing.
func TestUnverifiedRemoteLogoutIsRefused(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	tests := []struct {
		name, code string
		request    idptest.LogoutRequest
	}{
		{"unsigned", "signature_missing", idptest.LogoutRequest{Unsigned: true}},
		{"another key", "signature_mismatch", idptest.LogoutRequest{Key: idptest.OtherKey()}},
		{"the front channel's address", "destination", idptest.LogoutRequest{Destination: w.URL + "/api/saml/logout" + string(w.Year())}},
		{"old", "issue_instant_old", idptest.LogoutRequest{IssuedAt: w.Clock.Now().Add(-time.Hour)}},
		{"expired", "not_on_or_after", idptest.LogoutRequest{NotOnOrAfter: w.Clock.Now().Add(-time.Hour)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			form, soap := tt.request, tt.request
			form.SessionIndexes, soap.SessionIndexes = []string{w.ada.name}, []string{w.ada.name}
			form.NameID, soap.NameID = w.ada.name, w.ada.name
			got := w.a.SendRemoteLogout(&form)
			if got.Status != http.StatusBadRequest || !strings.HasPrefix(got.ContentType, "text/plain") || !strings.Contains(got.Body, tt.code) {
				t.Errorf("form: %d %s\n%s", got.Status, got.ContentType, got.Body)
			}
			got = w.a.SendSOAPLogout(&soap)
			if got.Status != http.StatusOK || got.Response == nil || got.Response.Status.StatusCode.Value != requester || !strings.Contains(got.Body, tt.code) {
				t.Errorf("SOAP: %d\n%s", got.Status, got.Body)
			}
			w.wantSignedIn("ada", "bob")
		})
	}
	address := w.URL + "/api/saml/remotelogout" + string(w.Year())
	for _, envelope := range []string{"", "no XML", "<a/>", `<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body/></S:Envelope>`} {
		if got := w.a.SendSOAP(address, envelope); got.Status != http.StatusOK || got.Response == nil || got.Response.Status.StatusCode.Value != requester {
			t.Errorf("%q: %d\n%s", envelope, got.Status, got.Body)
		}
	}
	if page := w.Browser().Get(address); page.Status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", page.Status)
	}
	w.wantSignedIn("ada", "bob")
}
