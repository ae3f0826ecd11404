package inspect_test

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/assurance"
	"vernal/idp/idptest"
	"vernal/idp/inspect"
	"vernal/metadata"
	"vernal/templates"
)

func inspector(i *idptest.IdP) *inspect.Service {
	return &inspect.Service{IdP: metadata.IdP{BaseURL: i.URL}, Registry: i.Registry, Years: i.Years, History: i.Store, Users: i.Store}
}

// inspectText inspects the first message in a text.
func inspectText(t *testing.T, s *inspect.Service, text string, at time.Time) *inspect.Report {
	t.Helper()
	return inspectMessage(t, s, inspect.Message{FoundMessage: first(text), AssumedAt: at})
}

func inspectMessage(t *testing.T, s *inspect.Service, m inspect.Message) *inspect.Report {
	t.Helper()
	r, err := s.Inspect(t.Context(), m)
	if err != nil {
		t.Fatalf("inspect %+v: %v", m.FoundMessage, err)
	}
	return r
}

func first(text string) inspect.FoundMessage {
	if all := inspect.Find(text); len(all) > 0 {
		return all[0]
	}
	return inspect.FoundMessage{}
}

func codes(r *inspect.Report) (out []idp.RefusalCode) {
	for _, c := range r.Checks {
		if c.Outcome == inspect.OutcomeRefused {
			out = append(out, c.Code)
		}
	}
	return out
}

// Inspect reports for a request what the server does with it.
func TestRequestsAsTheServer(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider("https://a.example", func(p *idp.ServiceProvider) { p.Attributes = []string{"email", "phone"} })
	inactive := i.AddProvider("https://old.example", func(p *idp.ServiceProvider) { p.Active = false })
	stranger := *a
	stranger.EntityID = "https://stranger.example"
	tests := []struct {
		name string
		url  string
		want []idp.RefusalCode
	}{
		{"good", a.URL(&idptest.Request{}), nil},
		{"unsigned", a.URL(&idptest.Request{Unsigned: true}), []idp.RefusalCode{idp.RefusedSignatureMissing}},
		{"another key", a.URL(&idptest.Request{Key: idptest.OtherKey()}), []idp.RefusalCode{idp.RefusedSignature}},
		{"stranger", stranger.URL(&idptest.Request{}), []idp.RefusalCode{idp.RefusedSPUnknown}},
		{"inactive", inactive.URL(&idptest.Request{}), []idp.RefusalCode{idp.RefusedSPInactive}},
		{"ACS", a.URL(&idptest.Request{ACS: "https://evil.example/acs"}), []idp.RefusalCode{idp.RefusedACSURL}},
		{"old", a.URL(&idptest.Request{IssuedAt: i.Clock.Now().Add(-7 * time.Minute)}), []idp.RefusalCode{idp.RefusedIssueInstantOld}},
		{"level", a.URL(&idptest.Request{ClassRefs: []string{"urn:acr.login.gov:verified"}}), []idp.RefusalCode{idp.RefusedAuthnContextLevel}},
		{"several at once", a.URL(&idptest.Request{Unsigned: true, ACS: "https://evil.example/acs", ClassRefs: []string{"urn:x"}}),
			[]idp.RefusalCode{idp.RefusedSignatureMissing, idp.RefusedACSURL, idp.RefusedAuthnContext}},
		{"not base64", i.URL + "/api/saml/auth" + string(i.Year()) + "?SAMLRequest=%21%21", []idp.RefusalCode{idp.RefusedBase64}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := inspectText(t, inspector(i), tt.url, i.Clock.Now())
			if got := codes(r); !slices.Equal(got, tt.want) || r.Refused != (tt.want != nil) {
				t.Errorf("refused %v with %v, want %v", r.Refused, got, tt.want)
			}
			page := i.Browser().Get(tt.url)
			if (page.Status == 400) != r.Refused {
				t.Errorf("inspect says refused %v, the server answers %d", r.Refused, page.Status)
			}
			if tt.want != nil && !strings.Contains(page.Text(), string(tt.want[0])) {
				t.Errorf("the server's page has not %s first:\n%s", tt.want[0], page.Text())
			}
		})
	}
}

func TestInspectReadsEveryMessageForm(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider("https://a.example")
	r := &idptest.Request{}
	form := a.Form(r)
	encoded := form.Get("SAMLRequest")
	xml, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	address := a.URL(&idptest.Request{ID: r.ID})
	_, query, _ := strings.Cut(address, "?")
	for name, text := range map[string]string{
		"address": address, "query": query, "form": form.Encode(), "base64": encoded, "broken lines": encoded[:76] + "\n" + encoded[76:],
		"percent-encoded": url.QueryEscape(encoded), "XML": string(xml), "space around": "\n " + address + "\n",
	} {
		got := inspectText(t, inspector(i), text, i.Clock.Now())
		if got.Refused || got.Kind != "AuthnRequest" || got.SP != "https://a.example" || got.Cert == nil {
			t.Errorf("%s: %+v", name, got)
			continue
		}
		if !strings.Contains(got.XML, r.ID) {
			t.Errorf("%s: the XML is not shown:\n%s", name, got.XML)
		}
	}
	for name, text := range map[string]string{"nothing": " ", "words": "hello there", "another document": "<a></a>", "half": "<a"} {
		if got := inspectText(t, inspector(i), text, i.Clock.Now()); !got.Refused {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestInspectShowsResolvedLevels(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider("https://a.example", func(p *idp.ServiceProvider) { p.IAL, p.Attributes = idp.IALVerified, []string{"email", "ssn"} })
	address := a.URL(&idptest.Request{ClassRefs: []string{
		"urn:acr.login.gov:verified", "urn:of:tomorrow", assurance.RequestAttributes("email", "ssn", "phone"),
	}})
	r := inspectText(t, inspector(i), address, i.Clock.Now())
	if r.Levels == nil {
		t.Fatalf("%+v", r)
	}
	l := r.Levels
	if l.IAL != "verified" || l.AAL != idp.AAL2 || l.RememberedDevice || l.ClassRef != "urn:acr.login.gov:verified" {
		t.Errorf("levels %+v", l)
	}
	if want := []assurance.DroppedAttribute{{Name: "phone", Reason: assurance.DropNotRegistered}}; !slices.Equal(l.DroppedAttributes, want) {
		t.Errorf("dropped %v", l.DroppedAttributes)
	}
	if !slices.Equal(l.UnknownClassRefs, []string{"urn:of:tomorrow"}) || !slices.Contains(l.Attributes, "ssn") || slices.Contains(l.Attributes, "phone") {
		t.Errorf("unknown %v, attributes %v", l.UnknownClassRefs, l.Attributes)
	}
}

func TestInspectVerifiesResponse(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider("https://a.example")
	browser := i.Browser()
	page := browser.SignIn(browser.Get(a.URL(&idptest.Request{})), i.AddUser("ada@example.gov"))
	response := string(page.Response())
	form := url.Values{"SAMLResponse": {base64.StdEncoding.EncodeToString([]byte(response))}}.Encode()
	for _, text := range []string{response, form} {
		r := inspectText(t, inspector(i), text, i.Clock.Now())
		if r.Refused || r.Year != i.Year() || r.SP != "https://a.example" {
			t.Fatalf("%+v", r)
		}
		if k := slices.IndexFunc(r.Attributes, func(a inspect.Attribute) bool { return a.Name == "email" }); k < 0 || r.Attributes[k].Values[0] != "ada@example.gov" {
			t.Errorf("attributes %v", r.Attributes)
		}
	}
	r := inspectText(t, inspector(i), strings.Replace(response, "ada@", "eve@", 1), i.Clock.Now())
	if !slices.Equal(codes(r), []idp.RefusalCode{idp.RefusedDigest}) {
		t.Errorf("changed after signing: %v", codes(r))
	}
	if r := inspectText(t, inspector(i), response, i.Clock.Now().Add(2*time.Hour)); !r.Refused {
		t.Errorf("two hours later: %+v", r)
	}
}

// Without an installation a message is only decoded, and no check claims a result.
func TestInspectWithoutInstallationOnlyDecodes(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider("https://a.example")
	alone := &inspect.Service{IdP: metadata.IdP{BaseURL: i.URL}}
	r := inspectText(t, alone, a.URL(&idptest.Request{}), i.Clock.Now())
	if r.Refused || !r.Unknown || r.Cert != nil {
		t.Errorf("%+v", r)
	}
}

func TestExplainAddsFixToRefusedChecks(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider("https://a.example")
	set, err := templates.New()
	if err != nil {
		t.Fatal(err)
	}
	r := inspectText(t, inspector(i), a.URL(&idptest.Request{Unsigned: true}), i.Clock.Now())
	r.Explain(set)
	for _, c := range r.Checks {
		if refused := c.Outcome == inspect.OutcomeRefused; refused != (c.Expected != "") || refused != (c.Remedy != "") {
			t.Errorf("%+v", c)
		}
	}
}
