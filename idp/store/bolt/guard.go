package bolt

import (
	"fmt"

	"vernal/idp"
)

// maxReports bounds how many records are logged as not authentic.
const maxReports = 1000

// tamperedError returns the error for a value that this store did not write, or not at this
// key. Like missingError, it names no key. The log names the key once: it is a hash, a
// random ID, or a name that an operator chose.
func (s *Store) tamperedError(b bucket, key []byte) error {
	if s.reportCount.Load() < maxReports {
		if _, isOld := s.reportedKeys.LoadOrStore(b.String()+"/"+string(key), true); !isOld {
			s.reportCount.Add(1)
			s.log.Error("a record in the store is not authentic: someone else wrote it, or moved it here; restore the store from a backup",
				"bucket", b.String(), "key", fmt.Sprintf("%.100q", key))
		}
	}
	return fmt.Errorf("%v: %w", b, idp.ErrTampered)
}
