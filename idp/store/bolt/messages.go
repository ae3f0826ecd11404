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

// decodeMessage returns the message of a stored request, which is at the beginning of the record.
// It does not decode the other fields, because Open calls it for all requests.
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
// from the bucket of requests. Its keys are random, so an index on disk would cost each sign-in
// another page, a quarter of the total cost of a sign-in. It contains only committed requests
// that were not swept, with about 150 bytes for each. Package sso limits the number of waiting
// requests.
type messages struct {
	mu      sync.RWMutex
	handles map[message]idp.RequestHandle
}

func (m *messages) findHandle(msg message) (idp.RequestHandle, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	h, ok := m.handles[msg]
	return h, ok
}

// merge adds the changes of a committed transaction. An empty handle means a removed
// request. isCleared means that the transaction removed all earlier requests.
func (m *messages) merge(changes map[message]idp.RequestHandle, isCleared bool) {
	if len(changes) == 0 && !isCleared {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if isCleared {
		m.handles = make(map[message]idp.RequestHandle)
	}
	for msg, h := range changes {
		if h == "" {
			delete(m.handles, msg)
		} else {
			m.handles[msg] = h
		}
	}
}

// load builds the index. It omits a request whose MAC does not match, because such a request
// cannot be answered.
func (m *messages) load(r *reader) error {
	m.handles = make(map[message]idp.RequestHandle)
	return r.bucket(inRequests).ForEach(func(key, value []byte) error {
		record, err := r.verifyValue(inRequests, key, value)
		if errors.Is(err, idp.ErrTampered) {
			return nil
		}
		msg, err := decodeMessage(record)
		if err != nil {
			return corruptError(inRequests, key, err)
		}
		// If two requests have the same message, the later was stored after the earlier one
		// was swept, and an attacker has put the earlier one back. Handles begin with their
		// time.
		m.handles[msg] = idp.RequestHandle(key)
		return nil
	})
}

// hasMessage reports whether the message is stored, after the earlier changes of the
// transaction.
func (w *writer) hasMessage(msg message) bool {
	if h, ok := w.messages[msg]; ok {
		return h != ""
	}
	if w.isMessagesCleared {
		return false
	}
	_, ok := w.store.messages.findHandle(msg)
	return ok
}
