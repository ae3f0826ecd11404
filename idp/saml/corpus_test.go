package saml_test

import (
	"bytes"
	"compress/flate"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"vernal/idp"
	"vernal/idp/saml"
	"vernal/idp/xmltree"
)

// The corpus is testdata/saml/*.txtar, one case each; its README says what is
// in a file. This is the one loop that runs it.

const corpusDir = "../../testdata/saml"

// corpusCase is one file of the corpus.
type corpusCase struct {
	name    string
	about   string
	now     time.Time
	in      saml.Inbound
	dest    string
	certs   []string // names in testdata/keys
	signing string   // required or optional
	// verdict is "accepted", or "refused CODE FIELD".
	verdict  string
	accepted string // JSON of accepted
	message  string // the XML, for readers
}

// accepted is what an accepted message says.
type accepted struct {
	Cert       string  `json:"cert,omitempty"` // "" if it was not signed
	RelayState *string `json:"relay_state,omitempty"`
	Locale     string  `json:"locale,omitempty"`
	Prompt     string  `json:"prompt,omitempty"`
	Request    *saml.AuthnRequest
}

func TestCorpus(t *testing.T) {
	t.Parallel()
	cases := readCorpus(t)
	if len(cases) < 70 {
		t.Errorf("%d cases; some are missing", len(cases))
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := c.run(t)
			verdict := "accepted"
			if err != nil {
				var r *idp.Refusal
				if !errors.As(err, &r) {
					t.Fatalf("%T, want a *idp.Refusal: %v", err, err)
				}
				verdict = fmt.Sprintf("refused %s %s", r.Code, r.Field)
			}
			if verdict != c.verdict {
				t.Errorf("verdict %q, want %q (%v)", verdict, c.verdict, err)
			}
			if err == nil {
				if diff := cmp.Diff(c.accepted, got.json(t)); diff != "" {
					t.Errorf("accepted (-want +got):\n%s", diff)
				}
			}
			if c.message != "" {
				if diff := cmp.Diff(c.message, string(plainDecode(t, c.in))); diff != "" {
					t.Errorf("message.xml is not what the request holds (-file +request):\n%s", diff)
				}
			}
		})
	}
}

// run takes the case the way that a request goes.
func (c *corpusCase) run(t testing.TB) (*accepted, error) {
	t.Helper()
	certs := loadCerts(t, c.certs)
	in, err := c.take(certs)
	if err != nil {
		return nil, err
	}
	got := &accepted{Request: in.request, Locale: in.message.Locale, Prompt: in.message.Prompt}
	for i := range certs {
		if certs[i] == in.cert {
			got.Cert = c.certs[i]
		}
	}
	if in.message.HasRelay {
		got.RelayState = &in.message.RelayState
	}
	return got, nil
}

// taken is a message at the end of its way in.
type taken struct {
	message *saml.Message
	root    *xmltree.Element
	request *saml.AuthnRequest
	cert    *x509.Certificate
}

func (c *corpusCase) take(certs []*x509.Certificate) (in taken, err error) {
	if in.message, err = saml.Read(c.in); err != nil {
		return in, err
	}
	id, err := in.message.ClaimedIssuer()
	if err != nil {
		return in, err
	}
	if in.root, in.cert, err = in.message.Verify(certs, c.signing == "required"); err != nil {
		return in, err
	}
	if in.request, err = saml.ParseAuthnRequest(in.root); err != nil {
		return in, err
	}
	return in, in.request.Check(saml.Expect{Now: c.now, Issuer: id, Destination: c.dest})
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

func readCorpus(t testing.TB) []*corpusCase {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(corpusDir, "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []*corpusCase
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c, err := parseCase(a)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		c.name = strings.TrimSuffix(filepath.Base(file), ".txtar")
		cases = append(cases, c)
	}
	return cases
}

func parseCase(a *txtar.Archive) (*corpusCase, error) {
	c := &corpusCase{in: saml.Inbound{Method: "GET"}, signing: "required"}
	for line := range strings.Lines(string(a.Comment)) {
		line = strings.TrimSpace(line)
		if text, ok := strings.CutPrefix(line, "#"); ok || line == "" {
			c.about += strings.TrimSpace(text) + "\n"
			continue
		}
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch key {
		case "verdict":
			c.verdict = value
		case "now":
			var err error
			if c.now, err = time.Parse(time.RFC3339, value); err != nil {
				return nil, err
			}
		case "method":
			c.in.Method = value
		case "content-type":
			c.in.ContentType = value
		case "destination":
			c.dest = value
		case "certs":
			c.certs = strings.Fields(value)
		case "sign_requests":
			c.signing = value
		default:
			return nil, fmt.Errorf("unknown line %q", line)
		}
	}
	for _, f := range a.Files {
		switch f.Name {
		case "query":
			c.in.RawQuery = strings.TrimSuffix(string(f.Data), "\n")
		case "body":
			c.in.Body = bytes.TrimSuffix(f.Data, []byte("\n"))
		case "accepted.json":
			c.accepted = string(f.Data)
		case "message.xml":
			c.message = strings.TrimSuffix(string(f.Data), "\n")
		default:
			return nil, fmt.Errorf("unknown file %q", f.Name)
		}
	}
	if c.verdict == "" || c.now.IsZero() || (c.verdict == "accepted") != (c.accepted != "") {
		return nil, errors.New("verdict, time or accepted.json is missing")
	}
	return c, nil
}

func (c *corpusCase) format() []byte {
	var b strings.Builder
	for line := range strings.Lines(c.about) {
		fmt.Fprintf(&b, "# %s\n", strings.TrimSpace(line))
	}
	fmt.Fprintf(&b, "verdict: %s\nnow: %s\nmethod: %s\n", c.verdict, c.now.Format(time.RFC3339), c.in.Method)
	if c.in.ContentType != "" {
		fmt.Fprintf(&b, "content-type: %s\n", c.in.ContentType)
	}
	fmt.Fprintf(&b, "destination: %s\ncerts: %s\nsign_requests: %s\n", c.dest, strings.Join(c.certs, " "), c.signing)
	a := &txtar.Archive{Comment: []byte(b.String())}
	add := func(name, data string) {
		if data != "" {
			a.Files = append(a.Files, txtar.File{Name: name, Data: []byte(strings.TrimSuffix(data, "\n") + "\n")})
		}
	}
	add("query", c.in.RawQuery)
	add("body", string(c.in.Body))
	add("message.xml", c.message)
	add("accepted.json", c.accepted)
	return txtar.Format(a)
}

func loadCerts(t testing.TB, names []string) []*x509.Certificate {
	t.Helper()
	var certs []*x509.Certificate
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join("../../testdata/keys", name+".crt"))
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(data)
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		certs = append(certs, cert)
	}
	return certs
}

// plainDecode decodes a well-behaved request with the standard library alone.
func plainDecode(t testing.TB, in saml.Inbound) []byte {
	t.Helper()
	values, err := url.ParseQuery(in.RawQuery)
	if err != nil {
		t.Fatal(err)
	}
	if len(in.Body) > 0 {
		if values, err = url.ParseQuery(string(in.Body)); err != nil {
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
