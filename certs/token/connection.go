//go:build pkcs11 && cgo

package token

import (
	"crypto"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ThalesGroup/crypto11"
	"github.com/miekg/pkcs11"
)

// conn is a connection to the token, with the module loaded and the user signed in.
type conn struct {
	*crypto11.Context
	keys sync.Map // idp.Year -> crypto11.Signer
	// sightings records when each key was last found in the token.
	sightings sync.Map // idp.Year -> sighting
}

type sighting struct {
	pub     crypto.PublicKey
	foundAt time.Time
}

// withConnection runs call, and runs it again on a new connection if the existing one was lost.
func (t *Token) withConnection(call func(*conn) error) error {
	for canRetry := true; ; canRetry = false {
		c, err := t.openConnection()
		if err != nil {
			return err
		}
		err = call(c)
		if err == nil || !canRetry || !t.isConnectionLost(c, err) {
			return err
		}
		t.dropConnection(c)
	}
}

// openConnection returns the existing connection, or opens one.
func (t *Token) openConnection() (*conn, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn != nil {
		return t.conn, nil
	}
	// This uses the process's own clock, because it only spaces attempts.
	if t.lastErr != nil && (errors.Is(t.lastErr, ErrPIN) || time.Since(t.failedAt) < retryWait) {
		return nil, t.lastErr
	}
	ctx, err := crypto11.Configure(&crypto11.Config{
		Path: t.config.Module, TokenLabel: t.config.Label, Pin: t.config.PIN,
		MaxSessions: maxSessions, PoolWaitTimeout: sessionWait,
	})
	if err != nil {
		t.lastErr, t.failedAt = fmt.Errorf("connect to it: %w", convertPINError(err)), time.Now()
		return nil, t.lastErr
	}
	t.conn, t.lastErr = &conn{Context: ctx}, nil
	return t.conn, nil
}

// dropConnection closes a connection once the calls on it have ended. The module must be
// unloaded before it is loaded again: only a reload makes it look for the token again.
func (t *Token) dropConnection(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn != c {
		return
	}
	t.conn = nil
	_ = c.Close() // the connection is lost in any case
}

// isConnectionLost reports whether an error means that the connection can no longer be used,
// because it failed or because another request has dropped it.
func (t *Token) isConnectionLost(c *conn, err error) bool {
	t.mu.Lock()
	isDropped := t.conn != c
	t.mu.Unlock()
	var code pkcs11.Error
	if !errors.As(err, &code) {
		return isDropped
	}
	switch code {
	case pkcs11.CKR_SESSION_HANDLE_INVALID, pkcs11.CKR_SESSION_CLOSED, pkcs11.CKR_USER_NOT_LOGGED_IN,
		pkcs11.CKR_DEVICE_ERROR, pkcs11.CKR_DEVICE_REMOVED, pkcs11.CKR_TOKEN_NOT_PRESENT, pkcs11.CKR_TOKEN_NOT_RECOGNIZED,
		pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED, pkcs11.CKR_OBJECT_HANDLE_INVALID, pkcs11.CKR_KEY_HANDLE_INVALID,
		pkcs11.CKR_GENERAL_ERROR, pkcs11.CKR_FUNCTION_FAILED:
		return true
	}
	return isDropped
}

// convertPINError converts a token's error about a wrong PIN to ErrPIN.
func convertPINError(err error) error {
	var code pkcs11.Error
	if errors.As(err, &code) {
		switch code {
		case pkcs11.CKR_PIN_INCORRECT, pkcs11.CKR_PIN_INVALID, pkcs11.CKR_PIN_LEN_RANGE, pkcs11.CKR_PIN_EXPIRED, pkcs11.CKR_PIN_LOCKED:
			return fmt.Errorf("%w (%s)", ErrPIN, code)
		}
	}
	return err
}
