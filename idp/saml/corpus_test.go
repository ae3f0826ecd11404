package saml_test

import (
	"bytes"
	"compress/flate"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/idptest/corpus"
	"vernal/idp/saml"
	"vernal/idp/xmltree"
)

// The corpus is testdata/saml/*.txtar, one case each. Its README documents the files. This
// file has the only loop that runs it.

// corpusCase is one case.
type corpusCase struct{ *corpus.Case }

// accepted is the content of an accepted message.
type accepted struct {
	Cert       string  `json:"cert,omitempty"` // "" if it was not signed
	RelayState *string `json:"relay_state,omitempty"`
	Locale     string  `json:"locale,omitempty"`
	Prompt     string  `json:"prompt,omitempty"`
	// Exactly one is set.
	Request *saml.AuthnRequest  `json:",omitempty"`
	Logout  *saml.LogoutRequest `json:",omitempty"`
}

func TestCorpusVerdictsHold(t *testing.T) {
	t.Parallel()
	cases := readCorpus(t)
	if len(cases) < 340 {
		t.Errorf("%d cases; some are missing", len(cases))
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			got, err := c.run(t)
			verdict := "accepted"
			if err != nil {
				var r *idp.Refusal
				if !errors.As(err, &r) {
					t.Fatalf("%T, want a *idp.Refusal: %v", err, err)
				}
				verdict = fmt.Sprintf("refused %s %s", r.Code, r.Field)
				switch r.Code {
				case idp.RefusedSignature, idp.RefusedDigest, idp.RefusedSignatureTwice:
					if r.Seen == "" {
						t.Errorf("%s: nothing was seen, where a signature was there", r.Code)
					}
				}
			}
			if verdict != c.Verdict {
				t.Errorf("verdict %q, want %q (%v)", verdict, c.Verdict, err)
			}
			if err == nil {
				if diff := cmp.Diff(c.AcceptedJSON, got.json(t)); diff != "" {
					t.Errorf("accepted (-want +got):\n%s", diff)
				}
			}
			if c.Message != "" {
				if diff := cmp.Diff(c.Message, string(plainDecode(t, c.Case))); diff != "" {
					t.Errorf("message.xml is not what the request holds (-file +request):\n%s", diff)
				}
			}
		})
	}
}

// run takes the case through the same steps as a request.
func (c *corpusCase) run(t testing.TB) (*accepted, error) {
	t.Helper()
	certs := loadCerts(t, c.Certs)
	in, err := c.take(certs, corpus.Key(t, "idp"))
	if err != nil {
		return nil, err
	}
	got := &accepted{Request: in.request, Logout: in.logout, Locale: in.message.Locale, Prompt: in.message.Prompt}
	for i := range certs {
		if certs[i] == in.cert {
			got.Cert = c.Certs[i]
		}
	}
	if in.message.HasRelay {
		got.RelayState = &in.message.RelayState
	}
	return got, nil
}

// taken is a message that passed all steps.
type taken struct {
	message *saml.Message
	root    *xmltree.Element
	request *saml.AuthnRequest
	logout  *saml.LogoutRequest
	cert    *x509.Certificate
}

func (c *corpusCase) take(certs []*x509.Certificate, key *rsa.PrivateKey) (in taken, err error) {
	if c.IsSOAP() {
		in.message, err = saml.ReadSOAP(c.Inbound.Body)
	} else {
		in.message, err = saml.Read(c.Inbound)
	}
	if err != nil {
		return in, err
	}
	id, err := in.message.ClaimedIssuer()
	if err != nil {
		return in, err
	}
	required := c.Endpoint != corpus.Auth || c.Signing == "required"
	if in.root, in.cert, err = in.message.Verify(certs, required); err != nil {
		return in, err
	}
	expect := saml.Expectation{Now: c.Now, Issuer: id, Destinations: []string{c.Destination, strings.TrimRight(c.Destination, "0123456789")}}
	if c.Endpoint == corpus.Auth {
		if in.request, err = saml.ParseAuthnRequest(in.root); err != nil {
			return in, err
		}
		return in, in.request.AppendFindings(nil, expect).Err()
	}
	if in.logout, err = saml.ParseLogoutRequest(in.root); err != nil {
		return in, err
	}
	if err = in.logout.AppendFindings(nil, expect).Err(); err != nil || !in.logout.IsEncrypted() {
		return in, err
	}
	return in, in.logout.Open(key)
}

func (a *accepted) json(t testing.TB) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(a); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func readCorpus(t testing.TB) (cases []*corpusCase) {
	t.Helper()
	for _, c := range corpus.Read(t) {
		cases = append(cases, &corpusCase{c})
	}
	return cases
}

func loadCerts(t testing.TB, names []string) []*x509.Certificate { return corpus.Certs(t, names...) }

// plainDecode decodes a well-formed request with the standard library only.
func plainDecode(t testing.TB, c *corpus.Case) []byte {
	t.Helper()
	if c.IsSOAP() {
		return c.Inbound.Body
	}
	values, err := url.ParseQuery(c.Inbound.RawQuery)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Inbound.Body) > 0 {
		if values, err = url.ParseQuery(string(c.Inbound.Body)); err != nil {
			t.Fatal(err)
		}
	}
	data, err := base64.StdEncoding.DecodeString(values.Get("SAMLRequest"))
	if err != nil {
		t.Fatal(err)
	}
	if xml, err := io.ReadAll(flate.NewReader(bytes.NewReader(data))); err == nil {
		return xml
	}
	return data
}
