package partnercert

import (
	"crypto/x509"
	"time"
)

// Choose returns the certificate to use at a time, from a partner's certificates for one purpose,
// or nil for an empty list. In this order:
//
//  1. The valid certificate that began last. A partner that publishes a new certificate
//     has its key.
//  2. If none is valid, the expired certificate that ended last. The partner had its key
//     until then, and has not replaced it.
//  3. If all begin in the future, the certificate that begins first.
//
// Of equal certificates, it returns the first in the list.
func Choose(list []*x509.Certificate, now time.Time) *x509.Certificate {
	var best *x509.Certificate
	for _, c := range list {
		if best == nil || isBetter(c, best, now) {
			best = c
		}
	}
	return best
}

func isBetter(a, b *x509.Certificate, now time.Time) bool {
	switch x, y := judgeDates(a, now), judgeDates(b, now); {
	case x != y:
		return x < y
	case x == stateValid && !a.NotBefore.Equal(b.NotBefore):
		return a.NotBefore.After(b.NotBefore)
	case x == stateEarly:
		return a.NotBefore.Before(b.NotBefore)
	}
	return a.NotAfter.After(b.NotAfter)
}

const (
	stateValid = iota
	stateEnded
	stateEarly
)

// judgeDates compares a time with a certificate's dates. A certificate with reversed dates counts
// as expired.
func judgeDates(c *x509.Certificate, now time.Time) int {
	switch {
	case now.After(c.NotAfter):
		return stateEnded
	case now.Before(c.NotBefore):
		return stateEarly
	}
	return stateValid
}
