package sp_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/partnercert"
	"vernal/idp/seal"
	"vernal/idp/sp"
	"vernal/idp/store/bolt"
)

// testTime is the time at which the tests run.
var testTime = time.Date(2031, 5, 17, 9, 30, 0, 0, time.UTC)

func testClock() time.Time { return testTime }

// The keys are generated once, because that is slow.
var (
	rsaKey   = sync.OnceValue(func() crypto.Signer { return mustKey(rsa.GenerateKey(rand.Reader, 2048)) })
	smallKey = sync.OnceValue(func() crypto.Signer { return mustKey(rsa.GenerateKey(rand.Reader, 1024)) })
	ecKey    = sync.OnceValue(func() crypto.Signer { return mustKey(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
)

func mustKey[K crypto.Signer](k K, err error) crypto.Signer {
	if err != nil {
		panic(err)
	}
	return k
}

// newCert returns a certificate that expires at the given time.
func newCert(t *testing.T, key crypto.Signer, name string, end time.Time) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(end.Unix()), Subject: pkix.Name{CommonName: name},
		NotBefore: end.AddDate(-1, 0, 0), NotAfter: end,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// goodCert returns a certificate without problems.
func goodCert(t *testing.T) *x509.Certificate {
	return newCert(t, rsaKey(), "sp.example.gov", testTime.AddDate(0, 6, 0))
}

// newProvider returns a registration without problems.
func newProvider(t *testing.T, id idp.EntityID) *idp.ServiceProvider {
	t.Helper()
	p := sp.Defaults()
	p.EntityID = id
	p.Name = "Permits"
	p.ACSURLs = []string{"https://sp.example.gov/acs"}
	p.Certs = []string{certs.EncodePEM(goodCert(t))}
	return p
}

// newRegistry returns a registry on its own store.
func newRegistry(t *testing.T) (*sp.Registry, idp.Store) {
	t.Helper()
	return newRegistryAt(t, testClock)
}

func newRegistryAt(t *testing.T, clock idp.Clock) (*sp.Registry, idp.Store) {
	t.Helper()
	key, err := seal.NewMaster(make([]byte, seal.MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	store, err := bolt.Open(filepath.Join(t.TempDir(), "vernal.db"), bolt.Options{Masters: seal.NewMasters(key), Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	return sp.New(store, clock), store
}

// certOf returns the first certificate of a registration.
func certOf(t *testing.T, p *idp.ServiceProvider) *x509.Certificate {
	t.Helper()
	certs, err := partnercert.Read([]byte(p.Certs[0]))
	if err != nil {
		t.Fatal(err)
	}
	return certs[0]
}
