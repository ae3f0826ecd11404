package bolt

import (
	"crypto/sha256"
	"errors"
	"sync"

	"vernal/idp"
)

// message identifies a message by a hash of its sender and ID, because both are external
// strings of any length.
type message [sha256.Size]byte

func hashMessage(sp idp.EntityID, id string) message {
	return sha256.Sum256(pairKey(string(sp), id))
}

// decodeMessage returns the message of a stored request, which is at the beginning of the
// record. Open reads those of all requests, so messageIn does not decode the rest.
func decodeMessage(record []byte) (message, error) {
	var r struct {
		SP        idp.EntityID
		MessageID string
	}
	if _, err := decodeFields(record, &r); err != nil {
		return message{}, err
	}
	return hashMessage(r.SP, r.MessageID), nil
}

// messages finds stored requests by message. It is the only index in memory, and Open rebuilds it
// from the bucket of requests. Its keys are random, so on disk each sign-in would change a page
// of its own in it, a quarter of the total cost of a sign-in. It contains only committed
// requests, with about 150 bytes for each one that has not been swept. Package sso has budgets
// for waiting requests, and each answered request had a user.
type messages struct {
	mu      sync.RWMutex
	handles map[message]idp.RequestHandle
}

func (m *messages) findHandle(of message) (idp.RequestHandle, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	h, ok := m.handles[of]
	return h, ok
}

// merge adds the changes of a committed transaction. An empty handle means a removed
// request. forgotten means that the transaction removed all earlier ones.
func (m *messages) merge(changed map[message]idp.RequestHandle, forgotten bool) {
	if len(changed) == 0 && !forgotten {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if forgotten {
		m.handles = make(map[message]idp.RequestHandle)
	}
	for of, h := range changed {
		if h == "" {
			delete(m.handles, of)
		} else {
			m.handles[of] = h
		}
	}
}

// load makes the index. It omits a request whose MAC does not match, because that cannot be
// answered. An attacker who can write to the file could also delete it.
func (m *messages) load(r *reader) error {
	m.handles = make(map[message]idp.RequestHandle)
	return r.bucket(inRequests).ForEach(func(key, value []byte) error {
		record, err := r.verifyValue(inRequests, key, value)
		if errors.Is(err, idp.ErrTampered) {
			return nil
		}
		of, err := decodeMessage(record)
		if err != nil {
			return corruptError(inRequests, key, err)
		}
		// If two requests have the same message, the later was stored after the earlier one
		// was swept, and an attacker has put the earlier one back. Handles begin with their
		// time.
		m.handles[of] = idp.RequestHandle(key)
		return nil
	})
}

// hasMessage reports whether the message is stored, after the earlier changes of the
// transaction.
func (w *writer) hasMessage(of message) bool {
	if h, ok := w.messages[of]; ok {
		return h != ""
	}
	if w.isMessagesCleared {
		return false
	}
	_, ok := w.store.messages.findHandle(of)
	return ok
}
