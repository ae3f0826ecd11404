package inspect_test

import (
	"slices"
	"strings"
	"testing"

	"vernal/idp/idptest"
	"vernal/idp/inspect"
)

// A message at the URL of another kind is refused, as the server refuses it. The host name
// does not matter.
func TestMessageAtWrongEndpointIsRefused(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider("https://a.example")
	disclose(t, i, a, "someone")
	authn := a.URL(&idptest.Request{})
	logout := func(remote bool) string {
		return a.LogoutURL(&idptest.LogoutRequest{NameID: "someone", Remote: remote})
	}
	tests := []struct {
		name, text string
		want       []string // the refused fields
	}{
		{"AuthnRequest", authn, nil},
		{"AuthnRequest, host of that name", strings.Replace(authn, i.URL, "https://logout.example", 1), nil},
		{"AuthnRequest to logout", strings.Replace(authn, "/api/saml/auth", "/api/saml/logout", 1), []string{"SAMLRequest"}},
		{"LogoutRequest", logout(false), nil},
		{"LogoutRequest to auth", strings.Replace(logout(false), "/api/saml/logout", "/api/saml/auth", 1), []string{"SAMLRequest"}},
		{"LogoutRequest of the back channel", logout(true), nil},
		{"LogoutRequest of the back channel to the front", strings.Replace(logout(true), "/remotelogout", "/logout", 1), []string{"Destination"}},
		{"LogoutRequest of the front channel to the back", strings.Replace(logout(false), "/logout", "/remotelogout", 1), []string{"Destination"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := inspectText(t, inspector(i), tt.text, i.Clock.Now())
			var got []string
			for _, c := range r.Checks {
				if c.Outcome == inspect.OutcomeRefused {
					got = append(got, c.Field)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("refused for %v, want %v", got, tt.want)
			}
		})
	}
}
