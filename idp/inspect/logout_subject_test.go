package inspect_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/inspect"
	"vernal/idp/saml"
)

// disclose creates a user that a provider knows by a name.
func disclose(t *testing.T, i *idptest.IdP, a *idptest.Provider, name string) *idptest.User {
	t.Helper()
	person := i.AddUser(strings.ToLower(name) + "@example.gov")
	p, err := i.Registry.Lookup(t.Context(), idp.EntityID(a.EntityID))
	if err != nil {
		t.Fatal(err)
	}
	errs, err := i.Store.ImportUsers(t.Context(), []idp.ImportedUser{{User: person.Record, AlreadyExists: true, Event: idp.AuditEvent{Kind: idp.AuditUserImport}, NameIDs: map[idp.NameIDScope]idp.NameID{p.NameIDScope: idp.NameID(name)}}})
	if err != nil || errs[0] != nil {
		t.Fatal(errs, err)
	}
	return person
}

// signIn stores a session of a user in which a provider took part under an index.
func signIn(t *testing.T, i *idptest.IdP, person *idptest.User, a *idptest.Provider, name, index string) {
	t.Helper()
	now := i.Clock.Now()
	s := &idp.Session{
		ID: idp.HashSessionToken("token of " + index), User: person.Record.ID, CreatedAt: now, SeenAt: now, AuthnAt: now, ExpiresAt: now.Add(time.Hour),
		Participants: []idp.Participant{{SP: idp.EntityID(a.EntityID), NameID: idp.NameID(name), SessionIndexes: []string{index}, Year: i.Year(), At: now}},
	}
	if err := i.Store.StartSession(t.Context(), idp.SessionStart{Session: s}); err != nil {
		t.Fatal(err)
	}
}

// The user that a LogoutRequest names is judged as the server does, and no session ends.
func TestInspectJudgesLogoutSubjectAsServer(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider("https://a.example")
	b := i.AddProvider("https://b.example")
	const known, other = "0b6f7a52-3c1d-4e8f-9a2b-5d4c3b2a1f0e", "7d9e1c3b-5a4f-4b6d-8e2c-1f0a9b8c7d6e"
	ada := disclose(t, i, a, known)
	disclose(t, i, b, other)
	signIn(t, i, ada, a, known, "_one")
	signIn(t, i, ada, a, known, "_two")
	i.Clock.Advance(time.Second)
	entity := i.URL + "/api/saml"
	tests := []struct {
		name    string
		subject string
		indexes []string
		// field is the rule that decides, front and remote are its outcomes on the two
		// channels.
		field         string
		front, remote inspect.Outcome
		status        string // of the back channel
		ends          string // in the note
	}{
		{"known", known, nil, "NameID", inspect.OutcomeOK, inspect.OutcomeOK, saml.StatusSuccess, "ends 2 "},
		{"known, one session", known, []string{"_two"}, "SessionIndex", inspect.OutcomeOK, inspect.OutcomeOK, saml.StatusSuccess, "ends 1 "},
		{"known, a session that is over", known, []string{"_three"}, "SessionIndex", inspect.OutcomeWarning, inspect.OutcomeOK, saml.StatusSuccess, ""},
		{"UUID as index", known, []string{known}, "SessionIndex", inspect.OutcomeOK, inspect.OutcomeOK, saml.StatusSuccess, "ends 2 "},
		{"our entity ID", entity, nil, "NameID", inspect.OutcomeWarning, inspect.OutcomeRefused, saml.StatusUnknownPrincipal, ""},
		{"our entity ID, with an index", entity, []string{"_one"}, "NameID", inspect.OutcomeWarning, inspect.OutcomeRefused, saml.StatusUnknownPrincipal, ""},
		{"the SP's entity ID", "https://a.example", nil, "NameID", inspect.OutcomeWarning, inspect.OutcomeRefused, saml.StatusUnknownPrincipal, ""},
		{"known to another SP", other, nil, "NameID", inspect.OutcomeWarning, inspect.OutcomeRefused, saml.StatusUnknownPrincipal, ""},
		{"an email address", ada.Email, nil, "NameID", inspect.OutcomeWarning, inspect.OutcomeRefused, saml.StatusUnknownPrincipal, ""},
		{"upper case", strings.ToUpper(known), nil, "NameID", inspect.OutcomeWarning, inspect.OutcomeRefused, saml.StatusUnknownPrincipal, ""},
	}
	changes := i.Changes()
	for _, tt := range tests {
		for _, remote := range []bool{false, true} {
			name, want := tt.name+", front channel", tt.front
			if remote {
				name, want = tt.name+", back channel", tt.remote
			}
			r := inspectText(t, inspector(i), a.LogoutURL(&idptest.LogoutRequest{NameID: tt.subject, SessionIndexes: tt.indexes, Remote: remote}), i.Clock.Now())
			c := check(r, tt.field)
			if c.Outcome != want || r.Refused != (want == inspect.OutcomeRefused) || r.Unknown != (want == inspect.OutcomeWarning) {
				t.Errorf("%s: %s %q, refused %v, unknown %v, want %s", name, c.Outcome, c.Note, r.Refused, r.Unknown, want)
			}
			if remote && c.Status != tt.status {
				t.Errorf("%s: answered %q, want %q", name, c.Status, tt.status)
			}
			if !strings.Contains(c.Note, tt.ends) {
				t.Errorf("%s: %q, want %q", name, c.Note, tt.ends)
			}
			if want != inspect.OutcomeOK && tt.subject == entity && len(c.Hints) == 0 {
				t.Errorf("%s: no hint", name)
			}
		}
	}
	if now := i.Changes(); now != changes {
		t.Errorf("inspecting made %d changes", now-changes)
	}
	// The server gives the same answers on the back channel, which involves no browser.
	for _, tt := range tests {
		resp, err := http.Post(i.URL+"/api/saml/remotelogout"+string(i.Year()), "text/xml",
			strings.NewReader(`<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body>`+
				string(a.SignLogout(&idptest.LogoutRequest{NameID: tt.subject, SessionIndexes: tt.indexes, Remote: true}))+`</S:Body></S:Envelope>`))
		if err != nil {
			t.Fatal(err)
		}
		answer := new(strings.Builder)
		if err := resp.Write(answer); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if !strings.Contains(answer.String(), `"`+tt.status+`"`) {
			t.Errorf("%s: the server does not answer %s:\n%s", tt.name, tt.status, answer)
		}
	}
}
