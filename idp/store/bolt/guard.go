package bolt

import (
	"fmt"
	"sync"

	"vernal/idp"
)

// maxReported bounds what reported remembers.
const maxReported = 1000

// reported are the records that were logged.
type reported struct {
	mu   sync.Mutex
	seen map[string]bool
}

// first reports whether the record was not reported before. Beyond maxReported no
// record is.
func (r *reported) first(b bucket, key []byte) bool {
	name := b.String() + "/" + string(key)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen[name] || len(r.seen) >= maxReported {
		return false
	}
	if r.seen == nil {
		r.seen = make(map[string]bool)
	}
	r.seen[name] = true
	return true
}

// tampered is the error for a value that this store did not write, or not there. It
// names no key, like missing. The log names it, once: it is a hash or a random ID, or
// an operator's own word.
func (s *Store) tampered(b bucket, key []byte) error {
	if s.reported.first(b, key) {
		s.log.Error("a record in the store is not authentic: someone else wrote it, or moved it here; restore the store from a backup",
			"bucket", b.String(), "key", fmt.Sprintf("%.100q", key))
	}
	return fmt.Errorf("%v: %w", b, idp.ErrTampered)
}
