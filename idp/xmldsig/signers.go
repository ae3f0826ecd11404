package xmldsig

import (
	"crypto"
	"crypto/x509"
	"sync"
)

// Signers keeps one Signer for each certificate, so that the check of the pair
// and the rendering of its KeyInfo are done once. The zero value is ready; it
// is safe for concurrent use. It grows by one entry a year.
type Signers struct {
	byCert sync.Map // *x509.Certificate -> *Signer
}

// For returns the Signer of a key and its certificate. Certificates are told
// apart by pointer: the caller passes the same one as long as it means the same.
func (c *Signers) For(key crypto.Signer, cert *x509.Certificate) (*Signer, error) {
	if s, ok := c.byCert.Load(cert); ok {
		return s.(*Signer), nil
	}
	s, err := NewSigner(key, cert)
	if err != nil {
		return nil, err
	}
	kept, _ := c.byCert.LoadOrStore(cert, s)
	return kept.(*Signer), nil
}
