//go:build pkcs11 && cgo

package token

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ThalesGroup/crypto11"

	"vernal/certs"
	"vernal/idp"
)

const (
	// maxSessions is the maximum number of concurrent signatures in the token.
	maxSessions = 32
	// sessionWait is how long a signature waits for a session.
	sessionWait = 10 * time.Second
	// retryWait is the time during which a failed connection is not tried again, because
	// every request would wait for it.
	retryWait = 2 * time.Second
	// readyAge is the time for which a found key counts as ready, so that readiness checks
	// do not keep the token busy.
	readyAge = 5 * time.Second
)

// Token is a PKCS#11 token.
type Token struct {
	config Config

	mu       sync.Mutex // held while a connection is made or closed
	conn     *conn
	lastErr  error // of the last connection attempt
	failedAt time.Time
}

// Open returns the Vault that keeps its keys in the token. It connects when a key is first needed.
func Open(c Config) (certs.Vault, error) { return &Token{config: c}, nil }

// Make makes a key of the year in the token, or finds the existing one.
func (t *Token) Make(y idp.Year, bits int) (pub crypto.PublicKey, err error) {
	err = t.withConnection(func(c *conn) error {
		key, err := t.lookUp(c, y)
		if errors.Is(err, idp.ErrNotFound) {
			key, err = t.generateKey(c, y, bits)
		}
		if err != nil {
			return err
		}
		pub = key.Public()
		return c.checkSealed(key)
	})
	if err != nil {
		return nil, fmt.Errorf("make key %s in token %q: %w", y, t.config.Label, err)
	}
	return pub, nil
}

func (t *Token) generateKey(c *conn, y idp.Year, bits int) (crypto11.Signer, error) {
	publicAttrs, err := crypto11.NewAttributeSetWithIDAndLabel(t.config.keyID(y), keyLabel(y))
	if err != nil {
		return nil, err
	}
	privateAttrs := publicAttrs.Copy()
	for _, a := range []struct {
		set   crypto11.AttributeSet
		name  crypto11.AttributeType
		value bool
	}{
		{privateAttrs, crypto11.CkaToken, true}, {privateAttrs, crypto11.CkaPrivate, true},
		{privateAttrs, crypto11.CkaSensitive, true}, {privateAttrs, crypto11.CkaExtractable, false},
		{privateAttrs, crypto11.CkaSign, true}, {privateAttrs, crypto11.CkaDecrypt, false}, {privateAttrs, crypto11.CkaUnwrap, false},
		{publicAttrs, crypto11.CkaToken, true}, {publicAttrs, crypto11.CkaVerify, true}, {publicAttrs, crypto11.CkaEncrypt, false},
	} {
		if err := a.set.Set(a.name, a.value); err != nil {
			return nil, err
		}
	}
	return c.GenerateRSAKeyPairWithAttributes(publicAttrs, privateAttrs, bits)
}

// checkSealed checks that the token does not export the key. A token may ignore the
// attributes it was asked for.
func (c *conn) checkSealed(key crypto11.Signer) error {
	attrs, err := c.GetAttributes(key, []crypto11.AttributeType{crypto11.CkaSensitive, crypto11.CkaExtractable})
	if err != nil {
		return fmt.Errorf("ask the token whether it exports the key: %w", err)
	}
	isSet := func(name crypto11.AttributeType) bool {
		a := attrs[name]
		return a != nil && len(a.Value) == 1 && a.Value[0] != 0
	}
	if !isSet(crypto11.CkaSensitive) || isSet(crypto11.CkaExtractable) {
		return errors.New("the token exports the key (not CKA_SENSITIVE, or CKA_EXTRACTABLE): use a token that keeps keys inside")
	}
	return nil
}

// Sign signs a digest with a key in the token.
func (t *Token) Sign(y idp.Year, pub crypto.PublicKey, digest []byte, opts crypto.SignerOpts) (signature []byte, err error) {
	err = t.withConnection(func(c *conn) error {
		key, ok := c.keys.Load(y)
		if !ok || !certs.EqualPublic(key.(crypto11.Signer).Public(), pub) {
			signer, err := t.findKey(c, y, pub)
			if err != nil {
				return err
			}
			c.keys.Store(y, signer)
			key = signer
		}
		signature, err = key.(crypto11.Signer).Sign(rand.Reader, digest, opts)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sign with key %s in token %q: %w", y, t.config.Label, err)
	}
	return signature, nil
}

// CheckReady looks the key up in the token, unless it was found less than readyAge ago.
func (t *Token) CheckReady(y idp.Year, pub crypto.PublicKey) error {
	err := t.withConnection(func(c *conn) error {
		seen, ok := c.sightings.Load(y)
		if ok && certs.EqualPublic(seen.(sighting).pub, pub) && time.Since(seen.(sighting).foundAt) < readyAge {
			return nil
		}
		_, err := t.findKey(c, y, pub)
		if err == nil {
			c.sightings.Store(y, sighting{pub, time.Now()})
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("key %s in token %q: %w", y, t.config.Label, err)
	}
	return nil
}

// Destroy removes a key from the token.
func (t *Token) Destroy(y idp.Year, pub crypto.PublicKey) error {
	err := t.withConnection(func(c *conn) error {
		key, err := t.findKey(c, y, pub)
		if errors.Is(err, idp.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		c.keys.Delete(y)
		c.sightings.Delete(y)
		return key.Delete()
	})
	if err != nil {
		return fmt.Errorf("destroy key %s in token %q: %w", y, t.config.Label, err)
	}
	return nil
}

// findKey looks up the key whose public half is pub.
func (t *Token) findKey(c *conn, y idp.Year, pub crypto.PublicKey) (crypto11.Signer, error) {
	key, err := t.lookUp(c, y)
	if err != nil {
		return nil, err
	}
	if !certs.EqualPublic(key.Public(), pub) {
		return nil, errors.New("the token has another key of this name: check that the right token is configured")
	}
	return key, nil
}

// lookUp looks up the one key pair of the year. It returns idp.ErrNotFound for a missing one.
func (t *Token) lookUp(c *conn, y idp.Year) (crypto11.Signer, error) {
	keys, err := c.FindKeyPairs(t.config.keyID(y), keyLabel(y))
	switch {
	case err != nil:
		return nil, err
	case len(keys) > 1:
		return nil, fmt.Errorf("the token has %d keys of this name: remove all but the right one", len(keys))
	case len(keys) == 1:
		return keys[0], nil
	}
	// FindKeyPairs misses a private key without its public half. That key must not count as
	// destroyed.
	privateKeys, err := c.FindPrivateKeys(t.config.keyID(y), keyLabel(y))
	switch {
	case err != nil:
		return nil, err
	case len(privateKeys) > 0:
		return nil, errors.New("the token has the private key without the public key: restore the token from its backup")
	}
	return nil, fmt.Errorf("the token does not contain the key: %w", idp.ErrNotFound)
}

// keyLabel returns the CKA_LABEL of a year's key.
func keyLabel(y idp.Year) []byte { return []byte("vernal-" + string(y)) }

// keyID returns the CKA_ID of a year's key.
func (c Config) keyID(y idp.Year) []byte {
	sum := sha256.Sum256([]byte("vernal signing key\x00" + c.Installation + "\x00" + string(y)))
	return sum[:20]
}
