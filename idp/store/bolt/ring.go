package bolt

import (
	"slices"

	"go.etcd.io/bbolt"

	"vernal/idp/seal"
)

// ringVersion are the ring keys in force from a transaction on.
type ringVersion struct {
	tx   int
	ring *seal.Ring // never changed
}

// maxRings is the number of ring changes that a read under way must know: a renewal makes
// two, and before it there is one.
const maxRings = 3

// findRing returns the ring keys in force in a transaction. The data that the transaction
// reads was written with those keys. With the keys of another moment, authentic records
// would look forged.
func (s *Store) findRing(tx *bbolt.Tx) *seal.Ring {
	all := *s.rings.Load()
	for _, since := range slices.Backward(all) {
		if since.tx <= tx.ID() {
			return since.ring
		}
	}
	return all[0].ring
}

// setRing puts ring keys in force at Open.
func (s *Store) setRing(ring *seal.Ring) {
	s.ring = seal.NewRing(ring.Generations()...)
	s.rings.Store(&[]ringVersion{{ring: ring}})
}

// commitRing commits a transaction that changes the ring keys. No transaction sees them
// before the commit, and every one after it does.
func (s *Store) commitRing(tx *bbolt.Tx, ring *seal.Ring, commit func(*bbolt.Tx) error) error {
	before := s.rings.Load()
	all := append(slices.Clone(*before), ringVersion{tx: tx.ID(), ring: ring})
	all = all[max(0, len(all)-maxRings):]
	s.rings.Store(&all)
	if err := commit(tx); err != nil {
		s.rings.Store(before) // the next transaction has the same ID
		return err
	}
	s.ring.Set(ring.Generations()...)
	return nil
}
