package xmldsig_test

import (
	"errors"
	"strings"
	"testing"

	"vernal/idp"
	"vernal/idp/xmldsig"
)

// A signature that no registered certificate could verify was seen all the same.
func TestNoCertificateNamesTheSignature(t *testing.T) {
	t.Parallel()
	_, err := xmldsig.VerifyDetached([]byte("x"), xmldsig.AlgorithmRSASHA256, []byte("y"), nil)
	refusal, ok := errors.AsType[*idp.Refusal](err)
	if !ok || refusal.Code != idp.RefusedNoCertificate || !strings.Contains(refusal.Seen, xmldsig.AlgorithmRSASHA256) {
		t.Errorf("%+v", err)
	}
}
