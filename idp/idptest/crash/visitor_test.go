//go:build slow

package crash

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"vernal/idp/idptest/binary"
)

// visitor is a user with a browser without script.
type visitor struct {
	*binary.Person
	client *http.Client
	base   string // of the identity provider
	auth   string // where AuthnRequests go
}

func newVisitor(p *binary.Person, base, auth string) (*visitor, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	client := binary.Client()
	client.Jar = jar
	return &visitor{Person: p, client: client, base: base, auth: auth}, nil
}

// pageError is an answer that should not have come. Errors of another kind come
// of a server that is gone.
type pageError struct {
	status int
	page   string
}

func (e *pageError) Error() string { return fmt.Sprintf("status %d:\n%s", e.status, e.page) }

// signIn signs in at the provider with password and code.
func (v *visitor) signIn(t *testing.T, sp *provider) (nameID string, err error) {
	page, err := v.get(t, sp.authnRequest(t, v.auth))
	if err != nil {
		return "", err
	}
	page, err = v.submit(t, "/sign-in", page, url.Values{"email": {v.Email}, "password": {v.Password}})
	if err != nil {
		return "", err
	}
	page, err = v.submit(t, "/sign-in/code", page, url.Values{"code": {v.Code(t)}})
	if err != nil {
		return "", err
	}
	return v.read(sp, page)
}

// visit goes to the provider within the live session.
func (v *visitor) visit(t *testing.T, sp *provider) (nameID string, err error) {
	page, err := v.get(t, sp.authnRequest(t, v.auth))
	if err != nil {
		return "", err
	}
	return v.read(sp, page)
}

func (v *visitor) read(sp *provider, page []byte) (string, error) {
	nameID, err := sp.nameID(page)
	if err != nil {
		return "", &pageError{http.StatusOK, err.Error() + "\n" + string(page)}
	}
	return nameID, nil
}

var requestField = regexp.MustCompile(`name="request" value="([^"]*)"`)

// submit posts the form of the page with the values.
func (v *visitor) submit(t *testing.T, path string, page []byte, values url.Values) ([]byte, error) {
	m := requestField.FindSubmatch(page)
	if m == nil || !strings.Contains(string(page), `action="`+path+`"`) {
		return nil, &pageError{http.StatusOK, "not the form for " + path + ":\n" + string(page)}
	}
	values.Set("request", html.UnescapeString(string(m[1])))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.base+path, strings.NewReader(values.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", v.base)
	return v.do(req)
}

func (v *visitor) get(t *testing.T, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	return v.do(req)
}

func (v *visitor) do(req *http.Request) ([]byte, error) {
	req.Header.Set("Accept", "text/html")
	resp, err := v.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = &pageError{resp.StatusCode, string(page)}
	}
	return page, err
}
