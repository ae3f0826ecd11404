package inspect_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
)

// Every broken rule of a message is shown, and the first one is the refusal of the server.
func TestFirstFindingIsTheServersRefusal(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider("https://a.example")
	used := &idptest.Request{}
	if page := i.Browser().Get(a.URL(used)); page.Status != 200 {
		t.Fatalf("status %d", page.Status)
	}
	const wrongName = `<saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:transient">x</saml:NameID>`
	tests := []struct {
		name    string
		request idptest.Request
		want    []idp.RefusalCode
	}{
		{"used ID and ACS", idptest.Request{ID: used.ID, ACS: "https://evil.example"}, []idp.RefusalCode{idp.RefusedACSURL, idp.RefusedReplay}},
		{"Subject and context", idptest.Request{Subject: wrongName, ClassRefs: []string{"urn:x"}}, []idp.RefusalCode{idp.RefusedAuthnContext, idp.RefusedSubjectForm}},
		{"old and ACS", idptest.Request{IssuedAt: i.Clock.Now().Add(-time.Hour), ACS: "https://evil.example"},
			[]idp.RefusalCode{idp.RefusedIssueInstantOld, idp.RefusedACSURL}},
		{"Destination and context", idptest.Request{Destination: "https://evil.example", ClassRefs: []string{"urn:x"}},
			[]idp.RefusalCode{idp.RefusedDestination, idp.RefusedAuthnContext}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			url := a.URL(&tt.request)
			if got := codes(inspectText(t, inspector(i), url, i.Clock.Now())); !slices.Equal(got, tt.want) {
				t.Errorf("found %v, want %v", got, tt.want)
			}
			if page := i.Browser().Get(url); !strings.Contains(page.Text(), string(tt.want[0])) {
				t.Errorf("the server does not refuse with %s:\n%s", tt.want[0], page.Text())
			}
		})
	}
}
