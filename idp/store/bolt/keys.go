package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"vernal/idp"
	"vernal/idp/seal"
)

var (
	mastersKey = []byte("masters")
	renewalKey = []byte("renewal")
)

// readMasterChange is the stored state of a change of the master key. It is absent when one
// master key is in force and every key is wrapped by it alone.
type masterChange struct {
	// OldID and NewID are the IDs of the two master keys.
	OldID string           `json:"from"`
	NewID string           `json:"to"`
	Phase seal.MasterPhase `json:"phase"`
	// OldKey is the old master key, wrapped by the new one, and NewKey the reverse, so that new
	// keys are wrapped by both whichever of them is configured. Both fields are empty in PhaseFinish.
	OldKey []byte `json:"from_key,omitempty"`
	NewKey []byte `json:"to_key,omitempty"`
	// KeptID is the ID of the remaining master key, in PhaseFinish.
	KeptID string `json:"keep,omitempty"`
	// RenewAll is set if the other keys are renewed when the change is finished.
	RenewAll bool `json:"renew_all,omitempty"`
}

// renewal is stored while records of the previous generation are accepted.
type renewal struct {
	OldNumber byte `json:"from"`
}

func generationKey(number byte, purpose string) []byte {
	return fmt.Appendf(nil, "%d/%s", number, purpose)
}

// putGeneration queues the keys of a generation, wrapped by the master keys.
func (w *writer) putGeneration(g *seal.Generation, masters *seal.Masters) {
	for purpose, key := range g.Wrap(masters) {
		w.put(inRingKeys, generationKey(g.Number, purpose), key)
	}
}

// deleteGenerations queues the removal of the ring keys of all other generations.
func (w *writer) deleteGenerations(keptGenerations ...*seal.Generation) {
	for number, wrappedKeys := range w.listWrappedGenerations() {
		if slices.ContainsFunc(keptGenerations, func(g *seal.Generation) bool { return g.Number == number }) {
			continue
		}
		for purpose := range wrappedKeys {
			w.delete(inRingKeys, generationKey(number, purpose))
		}
	}
}

// listWrappedGenerations returns the stored wrapped ring keys by generation and purpose. It
// skips entries that are not ring keys.
func (r *reader) listWrappedGenerations() map[byte]map[string][]byte {
	all := make(map[byte]map[string][]byte)
	for key, value := range r.scan(inRingKeys, nil) {
		digits, purpose, ok := strings.Cut(string(key), "/")
		number, err := strconv.ParseUint(digits, 10, 8)
		if !ok || err != nil || number == 0 {
			continue
		}
		if all[byte(number)] == nil {
			all[byte(number)] = make(map[string][]byte)
		}
		all[byte(number)][purpose] = value
	}
	return all
}

// loadRing opens the newest generation that the master keys open, and the previous one while it is
// still accepted. It ignores other generations.
func (r *reader) loadRing() error {
	all := r.listWrappedGenerations()
	numbers := slices.Sorted(maps.Keys(all))
	slices.Reverse(numbers)
	for _, number := range numbers {
		g, err := seal.OpenGeneration(number, all[number], r.store.masters)
		if err != nil {
			continue
		}
		r.ring = seal.NewRing(g)
		if err := r.loadOlder(g, all); err != nil {
			return err
		}
		r.store.setRing(r.ring)
		return nil
	}
	return ErrMaster
}

// loadOlder adds the previous generation during a renewal.
func (r *reader) loadOlder(newest *seal.Generation, all map[byte]map[string][]byte) error {
	change, err := r.readRenewal()
	if err != nil || change == nil {
		return err
	}
	old, err := seal.OpenGeneration(change.OldNumber, all[change.OldNumber], r.store.masters)
	if err != nil {
		return corruptError(inRingKeys, generationKey(change.OldNumber, ""), err)
	}
	r.ring = seal.NewRing(newest, old)
	return nil
}

// readRenewal returns the renewal under way, nil without one.
func (r *reader) readRenewal() (*renewal, error) {
	return decodeOptional[renewal](r, inMeta, renewalKey)
}

// readMasterChange returns the change under way, nil without one.
func (r *reader) readMasterChange() (*masterChange, error) {
	return decodeOptional[masterChange](r, inMeta, mastersKey)
}

// readMasterChangeInPhase returns the change under way in the phase, or seal.ErrNoChange.
func (r *reader) readMasterChangeInPhase(phase seal.MasterPhase) (*masterChange, error) {
	c, err := r.readMasterChange()
	if err == nil && (c == nil || c.Phase != phase) {
		err = seal.ErrNoChange
	}
	return c, err
}

// loadMasters adds the other master key during a change of the master key.
func (r *reader) loadMasters() error {
	c, err := r.readMasterChange()
	if c == nil || err != nil || c.Phase == seal.PhaseFinish {
		return err
	}
	configured, id, wrappedKey := r.store.masters.Configured(), c.NewID, c.NewKey
	if configured.ID() == c.NewID {
		id, wrappedKey = c.OldID, c.OldKey
	}
	if c.Phase == seal.PhaseBegin && configured.ID() != c.OldID {
		return r.store.tamperedError(inMeta, mastersKey) // someone put back an older record
	}
	other, err := configured.UnwrapMaster(id, wrappedKey)
	if err != nil {
		return corruptError(inMeta, mastersKey, err)
	}
	if c.Phase == seal.PhaseBoth && !r.canOpenRing(other) {
		return r.store.tamperedError(inMeta, mastersKey) // someone put back a record of a change that has ended
	}
	r.store.masters.Set(configured, other)
	return nil
}

// canOpenRing reports whether a master key alone opens the newest ring keys.
func (r *reader) canOpenRing(m *seal.Master) bool {
	number := r.ring.Generations()[0].Number
	_, err := seal.OpenGeneration(number, r.listWrappedGenerations()[number], seal.NewMasters(m))
	return err == nil
}

// Ring returns the ring that protects values outside the store with the store's keys.
func (s *Store) Ring() *seal.Ring { return s.ring }

// KeyState returns the keys in force and the change under way.
func (s *Store) KeyState(ctx context.Context) (seal.KeyState, error) {
	return readValue(ctx, s, func(r *reader) (seal.KeyState, error) {
		state := seal.KeyState{Configured: s.masters.Configured().ID(), Generation: r.ring.Generations()[0].Number}
		n, renewErr := r.readRenewal()
		c, err := r.readMasterChange()
		state.IsRenewing = n != nil
		if c != nil {
			state.Phase, state.FromID, state.ToID, state.KeepID, state.RenewAll = c.Phase, c.OldID, c.NewID, c.KeptID, c.RenewAll
		}
		return state, errors.Join(renewErr, err)
	})
}

// BeginMaster begins the change from the configured master key to another one. From then on, new
// keys are wrapped by both. If this change is already under way, BeginMaster with renewAll only
// records renewAll. Otherwise, if a change is under way, it returns seal.ErrChangeUnderWay and changes
// nothing.
func (s *Store) BeginMaster(ctx context.Context, newMaster *seal.Master, renewAll bool, events ...idp.AuditEvent) error {
	oldMaster := s.masters.Configured()
	hasBegun := false
	err := s.update(ctx, events, func(w *writer) error {
		hasBegun = false
		c, masterErr := w.readMasterChange()
		n, renewErr := w.readRenewal()
		switch {
		case masterErr != nil || renewErr != nil:
			return errors.Join(masterErr, renewErr)
		case c != nil && c.NewID == newMaster.ID() && c.Phase != seal.PhaseFinish && renewAll:
			c.RenewAll = true
			w.putJSON(inMeta, mastersKey, c)
			return nil
		case c != nil || n != nil:
			return seal.ErrChangeUnderWay
		}
		hasBegun = true
		w.putJSON(inMeta, mastersKey, masterChange{
			OldID: oldMaster.ID(), NewID: newMaster.ID(), Phase: seal.PhaseBegin,
			OldKey: oldMaster.WrapFor(newMaster), NewKey: newMaster.WrapFor(oldMaster), RenewAll: renewAll,
		})
		return nil
	})
	if err == nil && hasBegun {
		// Keys made since the commit are wrapped by one master key. RewrapUserKeys finds
		// them, because they are already in the file.
		s.masters.Set(oldMaster, newMaster)
	}
	return err
}

// CompleteMaster makes the other master key open the store. Call it once every key except those
// of the ring is wrapped by both. After a crash before the commit, only the old master key opens the
// store. After a later crash, either master key does.
func (s *Store) CompleteMaster(ctx context.Context, events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(w *writer) error {
		c, err := w.readMasterChangeInPhase(seal.PhaseBegin)
		if err != nil {
			return err
		}
		c.Phase = seal.PhaseBoth
		w.putJSON(inMeta, mastersKey, c)
		w.rewrapRing(s.masters)
		return nil
	})
}

// FinishMaster makes remaining the only master key that opens the store. Keys that the other one
// still wraps must then be wrapped again by remaining alone. FinishMaster returns
// seal.ErrNoChange unless a change is complete. An incomplete change can only be finished with
// the old master key. With renewAll, the other keys are renewed if the new one remains. If
// remaining was chosen before, FinishMaster only records renewAll.
func (s *Store) FinishMaster(ctx context.Context, remaining *seal.Master, renewAll bool, events ...idp.AuditEvent) error {
	hasChosen := false
	err := s.update(ctx, events, func(w *writer) error {
		hasChosen = false
		c, err := w.readMasterChange()
		switch {
		case err != nil:
			return err
		case c == nil:
			return seal.ErrNoChange
		case c.Phase == seal.PhaseFinish && c.KeptID == remaining.ID():
			c.RenewAll = c.RenewAll || renewAll && c.KeptID == c.NewID
			w.putJSON(inMeta, mastersKey, c)
			return nil
		case c.Phase == seal.PhaseFinish, remaining.ID() != c.OldID && (remaining.ID() != c.NewID || c.Phase != seal.PhaseBoth):
			return seal.ErrNoChange
		}
		hasChosen = true
		c.Phase, c.KeptID, c.OldKey, c.NewKey = seal.PhaseFinish, remaining.ID(), nil, nil
		c.RenewAll = (c.RenewAll || renewAll) && remaining.ID() == c.NewID
		w.putJSON(inMeta, mastersKey, c)
		w.rewrapRing(seal.NewMasters(remaining))
		return nil
	})
	if err == nil && hasChosen {
		s.masters.Set(remaining)
	}
	return err
}

// EndMaster ends a change of the master key, once the removed one wraps no key. If all other keys
// must be renewed, the renewal begins in the same step.
func (s *Store) EndMaster(ctx context.Context, events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(w *writer) error {
		c, err := w.readMasterChangeInPhase(seal.PhaseFinish)
		if err != nil {
			return err
		}
		w.delete(inMeta, mastersKey)
		if c.RenewAll {
			return w.beginRenewal()
		}
		return nil
	})
}

// rewrapRing queues the ring keys in force, wrapped by the master keys. It removes all other
// entries of the bucket, which are unused and must not stop a change.
func (w *writer) rewrapRing(masters *seal.Masters) {
	for _, g := range w.ring.Generations() {
		w.putGeneration(g, masters)
	}
	w.deleteGenerations(w.ring.Generations()...)
}

// RewrapUserKeys wraps the keys of up to limit users after afterID by the master keys in force. It
// returns the last user that it read, "" after the end. A key that no master key in force opens
// stays unchanged.
func (s *Store) RewrapUserKeys(ctx context.Context, afterID idp.UserID, limit int) (last idp.UserID, err error) {
	return changeValue(ctx, s, nil, func(w *writer) (last idp.UserID, err error) {
		n := 0
		for key, value := range w.scanAfter(inUserKeys, []byte(afterID)) {
			if n++; n > limit {
				return last, nil
			}
			last = idp.UserID(key)
			number, wrappedKey := splitUserKey(value)
			wrappedKey, hasChanged, err := s.masters.Rewrap(userKeyContext(number, last), wrappedKey)
			switch {
			case err != nil:
				_ = s.tamperedError(inUserKeys, key)
			case hasChanged:
				w.put(inUserKeys, bytes.Clone(key), append([]byte{number}, wrappedKey...))
			}
		}
		return "", nil
	})
}

// userKeyContext returns the context of a user's wrapped key. The generation in which the key was
// made shows whether a renewal has reached it.
func userKeyContext(generation byte, id idp.UserID) string {
	return fmt.Sprintf("%d/user/%s", generation, id)
}

// splitUserKey splits a value of inUserKeys.
func splitUserKey(value []byte) (generation byte, wrappedKey []byte) {
	if len(value) == 0 {
		return 0, nil
	}
	return value[0], value[1:]
}
