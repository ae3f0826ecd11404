package xmlenc_test

import (
	"strings"
	"testing"

	"vernal/idp"
	"vernal/idp/xmlenc"
	"vernal/idp/xmltree"
)

func TestDescribeNamesUnsupportedAlgorithm(t *testing.T) {
	t.Parallel()
	doc := encryptedID(t, idp.EncryptionGCM, idp.DigestSHA256)
	describe := func(doc string) (xmlenc.Envelope, bool) {
		root, err := xmltree.Parse([]byte(doc), xmltree.MessageLimits())
		if err != nil {
			t.Fatal(err)
		}
		return xmlenc.Describe(root)
	}
	v, ok := describe(doc)
	if !ok || v.Data != xmlenc.AlgorithmGCM || v.Key != xmlenc.AlgorithmOAEP || v.Digest != xmlenc.AlgorithmSHA256 || v.FindUnsupported() != "" {
		t.Errorf("%+v", v)
	}
	if is, said := v.IsEncryptedTo(recipientKey().Public()); !is || !said {
		t.Error("the recipient is not named")
	}
	// An algorithm that Decrypt does not accept is named, and absent values stay empty.
	for from, to := range map[string]string{
		xmlenc.AlgorithmGCM:    "http://www.w3.org/2001/04/xmlenc#tripledes-cbc",
		xmlenc.AlgorithmOAEP:   "http://www.w3.org/2001/04/xmlenc#rsa-1_5",
		xmlenc.AlgorithmSHA256: "http://www.w3.org/2001/04/xmlenc#sha512",
	} {
		if v, _ := describe(strings.Replace(doc, from, to, 1)); v.FindUnsupported() != to {
			t.Errorf("%s: %q is named", to, v.FindUnsupported())
		}
	}
	from, to := strings.Index(doc, "<ds:X509Certificate>"), strings.Index(doc, "</ds:X509Certificate>")
	v, ok = describe(doc[:from] + "<ds:X509Certificate>AAAA" + doc[to:])
	if is, said := v.IsEncryptedTo(recipientKey().Public()); !ok || is || said {
		t.Errorf("a broken certificate: %+v", v)
	}
	if _, ok := describe("<a></a>"); ok {
		t.Error("something is described where nothing is encrypted")
	}
}
