//go:build slow

package crash

import (
	"net/http"
	"testing"

	"vernal/idp/idptest/binary"
)

// visitor is a user who visits scripted service providers.
type visitor struct {
	*binary.Visitor
	auth string // where AuthnRequests go
}

// signIn signs in at the provider with password and code.
func (v *visitor) signIn(t *testing.T, sp *provider) (nameID string, err error) {
	page, err := v.SignIn(t, sp.authnRequest(t, v.auth))
	if err != nil {
		return "", err
	}
	return v.read(sp, page)
}

// visit goes to the provider within the live session.
func (v *visitor) visit(t *testing.T, sp *provider) (nameID string, err error) {
	page, err := v.Open(t, sp.authnRequest(t, v.auth))
	if err != nil {
		return "", err
	}
	return v.read(sp, page)
}

func (v *visitor) read(sp *provider, page []byte) (string, error) {
	nameID, err := sp.nameID(page)
	if err != nil {
		return "", &binary.PageError{Status: http.StatusOK, Page: err.Error() + "\n" + string(page)}
	}
	return nameID, nil
}
