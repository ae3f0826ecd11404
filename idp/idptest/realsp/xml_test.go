//go:build realsp

package realsp

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"vernal/idp/idptest/binary"
)

// Names of elements that carry an ID, as xmlsec1 wants them.
const (
	descriptorName = "urn:oasis:names:tc:SAML:2.0:metadata:EntityDescriptor"
	responseName   = "urn:oasis:names:tc:SAML:2.0:protocol:Response"
	assertionName  = "urn:oasis:names:tc:SAML:2.0:assertion:Assertion"
)

// testMetadata checks that both kinds of our metadata are valid and have a valid signature.
func testMetadata(t *testing.T, w *deployment) {
	for _, address := range []string{"/api/saml/metadata", "/api/saml/metadata" + w.year} {
		t.Run(address, func(t *testing.T) {
			doc := w.get(t, w.idp.BaseURL+address)
			w.checkSchema(t, "saml-schema-metadata-2.0.xsd", doc)
			w.checkSignature(t, doc, descriptorName)
		})
	}
}

// checkResponse checks a Response posted to a service provider: valid by the schema, its
// assertion (decrypted by xmlsec1 if needed) signed, and about nameID.
func (w *deployment) checkResponse(t *testing.T, sp *provider, response []byte, nameID string) {
	t.Helper()
	const schema = "saml-schema-protocol-2.0.xsd"
	w.checkSchema(t, schema, response)
	if sp.signedResponse {
		w.checkSignature(t, response, responseName)
	}
	if sp.encrypted {
		if bytes.Contains(response, []byte(nameID)) {
			t.Error("the NameID is readable in an encrypted Response")
		}
		response = decrypt(t, sp, response)
	}
	assertion := assertionOf.Find(response)
	if assertion == nil {
		t.Fatalf("no Assertion in the Response:\n%s", response)
	}
	w.checkSchema(t, "saml-schema-assertion-2.0.xsd", assertion)
	w.checkSignature(t, assertion, assertionName)
	if !bytes.Contains(assertion, []byte(">"+nameID+"</")) {
		t.Errorf("Assertion is not about %s:\n%s", nameID, assertion)
	}
	if !bytes.Contains(assertion, []byte(">"+sp.entityID()+"</")) {
		t.Errorf("Assertion is not for %s:\n%s", sp.entityID(), assertion)
	}

	forged := bytes.Replace(assertion, []byte(nameID), []byte(strings.Repeat("0", len(nameID))), 1)
	if _, err := w.verify(t, forged, assertionName); err == nil {
		t.Error("xmlsec1 accepts a forged Assertion: the check checks nothing")
	}
}

// assertionOf finds the Assertion element, which declares all its namespaces.
var assertionOf = regexp.MustCompile(`(?s)<(?:\w+:)?Assertion\b.*</(?:\w+:)?Assertion>`)

// checkSignature checks the signature of the document's root with xmlsec1.
func (w *deployment) checkSignature(t *testing.T, doc []byte, element string) {
	t.Helper()
	if out, err := w.verify(t, doc, element); err != nil {
		t.Errorf("xmlsec1 --verify: %v\n%s\n%s", err, out, doc)
	}
}

func (w *deployment) verify(t *testing.T, doc []byte, element string) ([]byte, error) {
	t.Helper()
	return verifyBy(t, w.cert, doc, element)
}

// verifyBy is verify with another certificate, a PEM file.
func verifyBy(t *testing.T, cert string, doc []byte, element string) ([]byte, error) {
	t.Helper()
	return command(t, nil, "xmlsec1", "--verify", "--id-attr:ID", element, "--pubkey-cert-pem", cert,
		"--node-xpath", "/*/*[local-name()='Signature']", file(t, doc))
}

// decrypt decrypts a Response with xmlsec1 and the provider's private key.
func decrypt(t *testing.T, sp *provider, response []byte) []byte {
	t.Helper()
	out, err := command(t, nil, "xmlsec1", "--decrypt", "--privkey-pem", sp.key, file(t, response))
	if err != nil {
		t.Fatalf("xmlsec1 --decrypt: %v\n%s\n%s", err, out, response)
	}
	return out
}

// checkSchema checks a document with xmllint and the schemas of OASIS, without
// a network.
func (w *deployment) checkSchema(t *testing.T, schema string, doc []byte) {
	t.Helper()
	const dir = "/usr/share/xml/opensaml"
	path := filepath.Join(dir, schema)
	if _, err := os.Stat(path); err != nil {
		binary.ReportMissing(t, "opensaml-schemas is not installed")
	}
	catalogs := []string{filepath.Join(w.data, "../schema/catalog.xml"), filepath.Join(dir, "saml20-catalog.xml")}
	env := append(os.Environ(), "XML_CATALOG_FILES="+strings.Join(catalogs, " "))
	if out, err := command(t, env, "xmllint", "--nonet", "--noout", "--schema", path, file(t, doc)); err != nil {
		t.Errorf("xmllint --schema %s: %v\n%s\n%s", schema, err, out, doc)
	}
}

// command runs a program and returns all that it wrote.
func command(t *testing.T, env []string, name string, args ...string) ([]byte, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = env
	return cmd.CombinedOutput()
}

// file keeps a document in a temporary file.
func file(t *testing.T, doc []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "doc.xml")
	if err := os.WriteFile(path, doc, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
