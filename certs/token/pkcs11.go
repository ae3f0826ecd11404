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
	"github.com/miekg/pkcs11"

	"vernal/certs"
	"vernal/idp"
)

const (
	// maxSessions is how many signatures the token makes at once at most.
	maxSessions = 32
	// sessionWait is how long a signature waits for a session.
	sessionWait = 10 * time.Second
	// retryAfter is how long a connection that failed is not tried again: every
	// request would wait for it.
	retryAfter = 2 * time.Second
)

// Token is a PKCS#11 token.
type Token struct {
	config Config

	mu       sync.Mutex // held while a connection is made or closed
	conn     *conn
	failed   error // why the last connection was not made
	failedAt time.Time
}

// conn is a connection: the module is loaded, the user is logged in.
type conn struct {
	*crypto11.Context
	keys sync.Map // idp.Year -> crypto11.Signer
}

// Open names the token. It is connected to when a key in it is first needed.
func Open(c Config) (certs.Vault, error) { return &Token{config: c}, nil }

// Make makes a key of the year in the token, or finds the one that is there.
func (t *Token) Make(y idp.Year, bits int) (pub crypto.PublicKey, err error) {
	err = t.with(func(c *conn) error {
		key, err := t.lookUp(c, y)
		if errors.Is(err, idp.ErrNotFound) {
			key, err = t.generate(c, y, bits)
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

func (t *Token) generate(c *conn, y idp.Year, bits int) (crypto11.Signer, error) {
	public, err := crypto11.NewAttributeSetWithIDAndLabel(t.config.id(y), label(y))
	if err != nil {
		return nil, err
	}
	private := public.Copy()
	for _, a := range []struct {
		set   crypto11.AttributeSet
		name  crypto11.AttributeType
		value bool
	}{
		{private, crypto11.CkaToken, true}, {private, crypto11.CkaPrivate, true},
		{private, crypto11.CkaSensitive, true}, {private, crypto11.CkaExtractable, false},
		{private, crypto11.CkaSign, true}, {private, crypto11.CkaDecrypt, false}, {private, crypto11.CkaUnwrap, false},
		{public, crypto11.CkaToken, true}, {public, crypto11.CkaVerify, true}, {public, crypto11.CkaEncrypt, false},
	} {
		if err := a.set.Set(a.name, a.value); err != nil {
			return nil, err
		}
	}
	return c.GenerateRSAKeyPairWithAttributes(public, private, bits)
}

// checkSealed makes sure that the token keeps the key to itself: what it was
// asked for and what it did can be two things.
func (c *conn) checkSealed(key crypto11.Signer) error {
	attrs, err := c.GetAttributes(key, []crypto11.AttributeType{crypto11.CkaSensitive, crypto11.CkaExtractable})
	if err != nil {
		return fmt.Errorf("ask whether the key can be taken out: %w", err)
	}
	is := func(name crypto11.AttributeType) bool {
		a := attrs[name]
		return a != nil && len(a.Value) == 1 && a.Value[0] != 0
	}
	if !is(crypto11.CkaSensitive) || is(crypto11.CkaExtractable) {
		return errors.New("the key in the token can be taken out of it (not CKA_SENSITIVE, or CKA_EXTRACTABLE)")
	}
	return nil
}

// Sign signs a digest with a key in the token.
func (t *Token) Sign(y idp.Year, pub crypto.PublicKey, digest []byte, opts crypto.SignerOpts) (signature []byte, err error) {
	err = t.with(func(c *conn) error {
		key, ok := c.keys.Load(y)
		if !ok {
			found, err := t.find(c, y, pub)
			if err != nil {
				return err
			}
			key, _ = c.keys.LoadOrStore(y, found)
		}
		signature, err = key.(crypto11.Signer).Sign(rand.Reader, digest, opts)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sign with key %s in token %q: %w", y, t.config.Label, err)
	}
	return signature, nil
}

// Ready looks the key up in the token.
func (t *Token) Ready(y idp.Year, pub crypto.PublicKey) error {
	err := t.with(func(c *conn) error {
		_, err := t.find(c, y, pub)
		return err
	})
	if err != nil {
		return fmt.Errorf("key %s in token %q: %w", y, t.config.Label, err)
	}
	return nil
}

// Destroy removes a key from the token.
func (t *Token) Destroy(y idp.Year, pub crypto.PublicKey) error {
	err := t.with(func(c *conn) error {
		key, err := t.find(c, y, pub)
		if errors.Is(err, idp.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		c.keys.Delete(y)
		return key.Delete()
	})
	if err != nil {
		return fmt.Errorf("destroy key %s in token %q: %w", y, t.config.Label, err)
	}
	return nil
}

// find looks the key up whose public half is pub.
func (t *Token) find(c *conn, y idp.Year, pub crypto.PublicKey) (crypto11.Signer, error) {
	key, err := t.lookUp(c, y)
	if err != nil {
		return nil, err
	}
	if same, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !same.Equal(pub) {
		return nil, errors.New("what is there is another key")
	}
	return key, nil
}

// lookUp looks up the one key pair of the year; idp.ErrNotFound if there is none.
func (t *Token) lookUp(c *conn, y idp.Year) (crypto11.Signer, error) {
	keys, err := c.FindKeyPairs(t.config.id(y), label(y))
	switch {
	case err != nil:
		return nil, err
	case len(keys) > 1:
		return nil, fmt.Errorf("%d keys have its name", len(keys))
	case len(keys) == 1:
		return keys[0], nil
	}
	// Pairs without a public half are not found above; such a key is no key that
	// is gone.
	alone, err := c.FindPrivateKeys(t.config.id(y), label(y))
	switch {
	case err != nil:
		return nil, err
	case len(alone) > 0:
		return nil, errors.New("its private key is there, and the public half that belongs to it is not")
	}
	return nil, fmt.Errorf("it is not there: %w", idp.ErrNotFound)
}

// with does something with the token, and once more on a new connection if the
// one that there is was lost.
func (t *Token) with(do func(*conn) error) error {
	for again := true; ; again = false {
		c, err := t.connect()
		if err != nil {
			return err
		}
		err = do(c)
		if err == nil || !again || !t.lost(c, err) {
			return err
		}
		t.drop(c)
	}
}

// connect is the connection; it is made if there is none.
func (t *Token) connect() (*conn, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn != nil {
		return t.conn, nil
	}
	// The process's own clock: it only spaces attempts.
	if t.failed != nil && (errors.Is(t.failed, ErrPIN) || time.Since(t.failedAt) < retryAfter) {
		return nil, t.failed
	}
	ctx, err := crypto11.Configure(&crypto11.Config{
		Path: t.config.Module, TokenLabel: t.config.Label, Pin: t.config.PIN,
		MaxSessions: maxSessions, PoolWaitTimeout: sessionWait,
	})
	if err != nil {
		t.failed, t.failedAt = fmt.Errorf("connect to it: %w", pinError(err)), time.Now()
		return nil, t.failed
	}
	t.conn, t.failed = &conn{Context: ctx}, nil
	return t.conn, nil
}

// drop closes a connection, once what is under way on it has ended. The module
// must be unloaded before it is loaded again: that is what makes it look for the
// token anew.
func (t *Token) drop(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn != c {
		return
	}
	t.conn = nil
	_ = c.Close() // it is lost, whatever this says
}

// lost reports whether an error says that the connection is of no use any more:
// by itself, or because another request dropped it meanwhile.
func (t *Token) lost(c *conn, err error) bool {
	t.mu.Lock()
	dropped := t.conn != c
	t.mu.Unlock()
	var code pkcs11.Error
	if !errors.As(err, &code) {
		return dropped
	}
	switch code {
	case pkcs11.CKR_SESSION_HANDLE_INVALID, pkcs11.CKR_SESSION_CLOSED, pkcs11.CKR_USER_NOT_LOGGED_IN,
		pkcs11.CKR_DEVICE_ERROR, pkcs11.CKR_DEVICE_REMOVED, pkcs11.CKR_TOKEN_NOT_PRESENT, pkcs11.CKR_TOKEN_NOT_RECOGNIZED,
		pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED, pkcs11.CKR_OBJECT_HANDLE_INVALID, pkcs11.CKR_KEY_HANDLE_INVALID,
		pkcs11.CKR_GENERAL_ERROR, pkcs11.CKR_FUNCTION_FAILED:
		return true
	}
	return dropped
}

// pinError makes what a token says of a wrong PIN an ErrPIN.
func pinError(err error) error {
	var code pkcs11.Error
	if errors.As(err, &code) {
		switch code {
		case pkcs11.CKR_PIN_INCORRECT, pkcs11.CKR_PIN_INVALID, pkcs11.CKR_PIN_LEN_RANGE, pkcs11.CKR_PIN_EXPIRED, pkcs11.CKR_PIN_LOCKED:
			return fmt.Errorf("%w (%s)", ErrPIN, code)
		}
	}
	return err
}

// label is the CKA_LABEL of a year's key.
func label(y idp.Year) []byte { return []byte("vernal-" + string(y)) }

// id is its CKA_ID.
func (c Config) id(y idp.Year) []byte {
	sum := sha256.Sum256([]byte("vernal signing key\x00" + c.Installation + "\x00" + string(y)))
	return sum[:20]
}
