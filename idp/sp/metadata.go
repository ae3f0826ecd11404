package sp

import (
	"crypto/x509"
	"errors"
	"time"

	"vernal/idp"
	"vernal/metadata"
)

// FromMetadata makes a registration of a provider's EntityDescriptor: Defaults,
// and what the document says. It never holds an agency, nor emailAddress among
// the NameIDFormats, nor a compat: those are an operator's to grant. ours are our own signing
// certificates, which no provider has. The warnings are sentences for the
// operator; the error is an *InvalidError.
func FromMetadata(doc []byte, now time.Time, ours []*x509.Certificate) (p *idp.ServiceProvider, warnings []string, err error) {
	prints := make([]metadata.Fingerprint, len(ours))
	for i, c := range ours {
		prints[i] = metadata.FingerprintOf(c)
	}
	d, err := metadata.ParseSP(doc, now, prints...)
	var problems metadata.Problems
	if errors.As(err, &problems) {
		invalid := new(InvalidError)
		for _, text := range problems {
			invalid.Problems = append(invalid.Problems, Problem{Field: "metadata", Text: text})
		}
		return nil, nil, invalid
	}
	if err != nil {
		return nil, nil, err
	}
	p = d.Provider()
	defaults := Defaults()
	p.State, p.Active, p.Compat = defaults.State, defaults.Active, defaults.Compat
	return p, d.Warnings, nil
}
