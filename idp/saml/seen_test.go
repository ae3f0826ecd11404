package saml_test

import (
	"errors"
	"net/http"
	"testing"

	"vernal/idp"
	"vernal/idp/saml"
)

// A refusal of parameters names those that it saw, so that no page says that nothing was seen.
func TestParameterRefusalsNameWhatWasSeen(t *testing.T) {
	t.Parallel()
	const request = "SAMLRequest=PGEvPg%3D%3D"
	tests := []struct {
		name, query, seen string
		code              idp.RefusalCode
	}{
		{"twice", request + "&" + request, "SAMLRequest, SAMLRequest", idp.RefusedParameterTwice},
		{"request and response", request + "&SAMLResponse=x", "SAMLRequest, SAMLResponse", idp.RefusedParameterConflict},
		{"no Signature", request + "&SigAlg=x", "SigAlg", idp.RefusedSignatureParams},
		{"no SigAlg", request + "&Signature=x", "Signature", idp.RefusedSignatureParams},
		{"both empty", request + "&SigAlg=&Signature=", "", idp.RefusedSignatureParams},
		{"no request", "RelayState=x", "", idp.RefusedRequestMissing},
	}
	for _, tt := range tests {
		_, err := saml.Read(saml.HTTPRequest{Method: http.MethodGet, RawQuery: tt.query})
		if refusal, ok := errors.AsType[*idp.Refusal](err); !ok || refusal.Code != tt.code || refusal.Seen != tt.seen {
			t.Errorf("%s: %+v, want %s with %q", tt.name, err, tt.code, tt.seen)
		}
	}
}
