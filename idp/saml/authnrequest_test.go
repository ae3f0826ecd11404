package saml_test

import (
	"errors"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/saml"
)

func TestCheckNamesAuthnRequestFault(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	expect := saml.Expectation{Now: now, Issuer: "https://sp.example/", Destinations: []string{"https://idp.example/auth2026"}}
	tests := []struct {
		name   string
		change func(*saml.AuthnRequest, *saml.Expectation)
		code   idp.RefusalCode
	}{
		{"good", func(*saml.AuthnRequest, *saml.Expectation) {}, ""},
		{"another Issuer than the one looked up", func(r *saml.AuthnRequest, _ *saml.Expectation) { r.Issuer = "https://sp.example" }, idp.RefusedIssuer},
		{"another Destination", func(r *saml.AuthnRequest, _ *saml.Expectation) { r.Destination += "/" }, idp.RefusedDestination},
		{"no Destination", func(r *saml.AuthnRequest, _ *saml.Expectation) { r.Destination, r.HasDestination = "", false }, ""},
		{"Destination that is no address", func(r *saml.AuthnRequest, _ *saml.Expectation) { r.Destination = "urn:idp" }, idp.RefusedDestination},
		{"another port", func(r *saml.AuthnRequest, _ *saml.Expectation) { r.Destination = "https://idp.example:8443/auth2026" }, idp.RefusedDestination},
		{"default port on our side", func(_ *saml.AuthnRequest, e *saml.Expectation) {
			e.Destinations = []string{"https://idp.example:443/auth2026"}
		}, ""},
		{"too old", func(r *saml.AuthnRequest, _ *saml.Expectation) {
			r.IssueInstant = now.Add(-6*time.Minute - time.Second)
		}, idp.RefusedIssueInstantOld},
		{"from before a restore", func(_ *saml.AuthnRequest, e *saml.Expectation) { e.RestoredAt = now.Add(1) }, idp.RefusedBeforeRestore},
		{"from the moment of a restore", func(_ *saml.AuthnRequest, e *saml.Expectation) { e.RestoredAt = now }, ""},
		{"ahead", func(r *saml.AuthnRequest, _ *saml.Expectation) {
			r.IssueInstant = now.Add(time.Minute + time.Second)
		}, idp.RefusedIssueInstantFuture},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := saml.AuthnRequest{Header: saml.Header{IssueInstant: now, Issuer: expect.Issuer, Destination: expect.Destinations[0], HasDestination: true}}
			e := expect
			tc.change(&r, &e)
			err := r.AppendFindings(nil, e).Err()
			var refusal *idp.Refusal
			switch {
			case tc.code == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tc.code != "" && (!errors.As(err, &refusal) || refusal.Code != tc.code):
				t.Errorf("got %v, want code %s", err, tc.code)
			}
		})
	}
}
