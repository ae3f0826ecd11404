package saml_test

import "testing"

// BenchmarkIn measures reading a request, from its query to its checked fields, with the
// detached signature of HTTP-Redirect and with a signature in the XML.
func BenchmarkIn(b *testing.B) {
	for _, name := range []string{"lib-python3-saml-redirect", "lib-ruby-saml-redirect"} {
		b.Run(name, func(b *testing.B) {
			var c *corpusCase
			for _, c = range readCorpus(b) {
				if c.Name == name {
					break
				}
			}
			certs := loadCerts(b, c.Certs)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.take(certs, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
