package saml_test

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // to test that it is refused
	"crypto/sha256"
	"encoding/base64"
	"flag"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"vernal/idp/idptest/corpus"
	"vernal/idp/saml"
	"vernal/idp/xmldsig"
)

var update = flag.Bool("update", false, "write the generated part of the corpus; needs xmlsec1")

const (
	corpusAuth = "https://idp.example.com/api/saml/auth2026"
	corpusACS  = "https://sp1.example.com/saml/acs"
	corpusSP   = "https://sp1.example.com/metadata"
	corpusTime = "2026-11-22T12:00:00Z"
	formType   = "application/x-www-form-urlencoded"
)

// generator creates cases. The table of cases is in the files corpus_…_test.go.
type generator struct {
	t     *testing.T
	cases []*corpusCase
}

// TestCorpusUpdate rewrites the generated cases with -update. It is a tool and tests nothing.
func TestCorpusUpdate(t *testing.T) {
	if !*update {
		return
	}
	g := &generator{t: t}
	g.libraries()
	g.wire()
	g.content()
	g.guide()
	g.signatures()
	g.wrapping()
	g.logout()
	old, err := filepath.Glob(filepath.Join(corpus.Folder(t), "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range old {
		if !strings.HasPrefix(filepath.Base(file), "recorded-") {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range g.cases {
		if err := os.WriteFile(filepath.Join(corpus.Folder(t), c.Name+".txtar"), c.Format(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// add adds a case that arrives in time at this year's URL, from a sender with the certificate
// sp1 that must sign.
func (g *generator) add(name, about, verdict string, in saml.HTTPRequest) *corpusCase {
	g.t.Helper()
	now, err := time.Parse(time.RFC3339, corpusTime)
	if err != nil {
		g.t.Fatal(err)
	}
	for _, c := range g.cases {
		if c.Name == name {
			g.t.Fatalf("two cases %q", name)
		}
	}
	c := &corpusCase{&corpus.Case{Name: name, Description: about, Verdict: verdict, Now: now.Add(2 * time.Second), Inbound: in,
		Endpoint: corpus.Auth, Destination: corpusAuth, Certs: []string{"sp1"}, Signing: "required"}}
	g.cases = append(g.cases, c)
	return c
}

// shows adds the XML for readers.
func (c *corpusCase) shows(xml string) *corpusCase { c.Message = xml; return c }

func (c *corpusCase) with(certs ...string) *corpusCase { c.Certs = certs; return c }

func (c *corpusCase) optional() *corpusCase { c.Signing = "optional"; return c }

// accept states the content of an accepted message: the default, modified by change.
func (g *generator) accept(c *corpusCase, change func(*accepted)) *corpusCase {
	at, err := time.Parse(time.RFC3339, corpusTime)
	if err != nil {
		g.t.Fatal(err)
	}
	a := &accepted{Cert: "sp1", Request: &saml.AuthnRequest{
		Header: saml.Header{ID: "_a1", IssueInstant: at, Issuer: corpusSP, Destination: corpusAuth, HasDestination: true},
		ACSURL: corpusACS, HasACSURL: true, ProtocolBinding: saml.BindingURIPOST,
	}}
	if change != nil {
		change(a)
	}
	c.AcceptedJSON = a.json(g.t)
	return c
}

// request returns a minimal AuthnRequest with attributes and children added.
func request(attrs, children string) string {
	return `<samlp:AuthnRequest xmlns:samlp="` + saml.NamespaceProtocol + `" xmlns:saml="` + saml.NamespaceAssertion +
		`" ID="_a1" Version="2.0" IssueInstant="` + corpusTime + `" Destination="` + corpusAuth +
		`" ProtocolBinding="` + saml.BindingURIPOST + `" AssertionConsumerServiceURL="` + corpusACS + `"` + attrs + `>` +
		`<saml:Issuer>` + corpusSP + `</saml:Issuer>` + children + `</samlp:AuthnRequest>`
}

// template is a Signature that xmlsec1 fills in.
type template struct {
	prefix     string // of the signature namespace, with ":"; "ds:" if not set
	c14n       string
	method     string
	digest     string
	uri        string
	transforms string // all Transform elements
	hasURI     bool
	keyInfo    string
	extra      string // at the end of Signature
	space      string // between the parts
}

func transform(prefix, algorithm, inner string) string {
	if inner == "" {
		return `<` + prefix + `Transform Algorithm="` + algorithm + `"/>`
	}
	return `<` + prefix + `Transform Algorithm="` + algorithm + `">` + inner + `</` + prefix + `Transform>`
}

func prefixes(list string) string {
	return `<ec:InclusiveNamespaces xmlns:ec="` + xmldsig.AlgorithmExclusive + `" PrefixList="` + list + `"/>`
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func (o template) String() string {
	p := or(o.prefix, "ds:")
	if p == "-" {
		p = ""
	}
	xmlns := "xmlns"
	if p != "" {
		xmlns += ":" + strings.TrimSuffix(p, ":")
	}
	uri := or(o.uri, "#_a1")
	if o.hasURI {
		uri = o.uri
	}
	transforms := or(o.transforms, transform(p, xmldsig.AlgorithmEnveloped, "")+transform(p, or(o.c14n, xmldsig.AlgorithmExclusive), ""))
	s := `<` + p + `Signature ` + xmlns + `="` + xmldsig.Namespace + `">` +
		`<` + p + `SignedInfo>` + o.space +
		`<` + p + `CanonicalizationMethod Algorithm="` + or(o.c14n, xmldsig.AlgorithmExclusive) + `"/>` + o.space +
		`<` + p + `SignatureMethod Algorithm="` + or(o.method, xmldsig.AlgorithmRSASHA256) + `"/>` + o.space +
		`<` + p + `Reference URI="` + uri + `">` +
		`<` + p + `Transforms>` + transforms + `</` + p + `Transforms>` + o.space +
		`<` + p + `DigestMethod Algorithm="` + or(o.digest, xmldsig.AlgorithmSHA256) + `"/>` + o.space +
		`<` + p + `DigestValue></` + p + `DigestValue></` + p + `Reference>` + o.space + `</` + p + `SignedInfo>` + o.space +
		`<` + p + `SignatureValue></` + p + `SignatureValue>` + o.space + o.keyInfo + o.extra + `</` + p + `Signature>`
	return s
}

var (
	digestRE    = regexp.MustCompile(`(<[a-z0-9]*:?DigestValue>)([^<]*)`)
	signatureRE = regexp.MustCompile(`(<[a-z0-9]*:?SignatureValue>)([^<]*)`)
)

// sign has xmlsec1 sign a document that holds an empty template, and copies the two values
// into the document as it was written.
func (g *generator) sign(doc, key string) string {
	g.t.Helper()
	dir := g.t.TempDir()
	in, out := filepath.Join(dir, "in.xml"), filepath.Join(dir, "out.xml")
	if err := os.WriteFile(in, []byte(doc), 0o600); err != nil {
		g.t.Fatal(err)
	}
	args := []string{"--sign", "--id-attr:ID", "AuthnRequest", "--id-attr:ID", "LogoutRequest", "--output", out}
	if key == "hmac" {
		file := filepath.Join(dir, "hmac")
		if err := os.WriteFile(file, []byte("secret"), 0o600); err != nil {
			g.t.Fatal(err)
		}
		args = append(args, "--hmackey", file)
	} else {
		args = append(args, "--privkey-pem", corpus.KeyFile(g.t, key))
	}
	if msg, err := exec.CommandContext(g.t.Context(), "xmlsec1", append(args, in)...).CombinedOutput(); err != nil {
		g.t.Fatalf("xmlsec1: %v\n%s\n%s", err, msg, doc)
	}
	signed, err := os.ReadFile(out)
	if err != nil {
		g.t.Fatal(err)
	}
	digest, value := digestRE.FindSubmatch(signed), signatureRE.FindSubmatch(signed)
	doc = digestRE.ReplaceAllString(doc, "${1}"+strings.TrimSpace(string(digest[2])))
	return signatureRE.ReplaceAllString(doc, "${1}"+strings.TrimSpace(string(value[2])))
}

// signed returns the minimal request with children, signed by sp1.
func (g *generator) signed(o template, children string) string {
	return g.sign(request("", o.String()+children), "sp1")
}

// keyInfo returns a KeyInfo with the certificate of a key.
func keyInfo(t testing.TB, prefix, name string) string {
	cert := base64.StdEncoding.EncodeToString(loadCerts(t, []string{name})[0].Raw)
	return `<` + prefix + `KeyInfo><` + prefix + `X509Data><` + prefix + `X509Certificate>` + cert +
		`</` + prefix + `X509Certificate></` + prefix + `X509Data></` + prefix + `KeyInfo>`
}

func deflated(xml string) string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression)
	_, _ = w.Write([]byte(xml))
	_ = w.Close()
	return b.String()
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// lowerHex percent-encodes as .NET does.
func lowerHex(s string) string {
	return regexp.MustCompile(`%[0-9A-F]{2}`).ReplaceAllStringFunc(url.QueryEscape(s), strings.ToLower)
}

// detached is a signed query. relay is "-" for none.
type detached struct {
	relay  string
	key    string
	alg    string
	escape func(string) string
	// signed transforms the text that is signed.
	signed func(string) string
}

func (g *generator) detached(xml string, o detached) string {
	g.t.Helper()
	if o.escape == nil {
		o.escape = url.QueryEscape
	}
	alg := or(o.alg, xmldsig.AlgorithmRSASHA256)
	q := "SAMLRequest=" + o.escape(b64(deflated(xml)))
	if o.relay != "-" {
		q += "&RelayState=" + o.escape(o.relay)
	}
	q += "&SigAlg=" + o.escape(alg)
	text := q
	if o.signed != nil {
		text = o.signed(q)
	}
	sha, hash := sha256.Sum256([]byte(text)), crypto.SHA256
	digest := sha[:]
	if strings.HasSuffix(alg, "#rsa-sha1") {
		sha := sha1.Sum([]byte(text))
		digest, hash = sha[:], crypto.SHA1
	}
	signature, err := rsa.SignPKCS1v15(rand.Reader, corpus.Key(g.t, or(o.key, "sp1")), hash, digest)
	if err != nil {
		g.t.Fatal(err)
	}
	return q + "&Signature=" + o.escape(b64(string(signature)))
}

func get(query string) saml.HTTPRequest { return saml.HTTPRequest{Method: "GET", RawQuery: query} }

func post(pairs ...string) saml.HTTPRequest {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(pairs[i] + "=" + url.QueryEscape(pairs[i+1]))
	}
	return saml.HTTPRequest{Method: "POST", ContentType: formType, Body: []byte(b.String())}
}

func postXML(xml string) saml.HTTPRequest { return post("SAMLRequest", b64(xml)) }

func getXML(xml string) saml.HTTPRequest {
	return get("SAMLRequest=" + url.QueryEscape(b64(deflated(xml))))
}
