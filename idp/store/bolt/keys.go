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
	// OldNumber and To are the IDs of the two.
	OldID  string           `json:"from"`
	NewID    string           `json:"to"`
	Phase seal.MasterPhase `json:"phase"`
	// OldKey is From, wrapped by To, and ToKey the reverse: with either one configured, new
	// keys are wrapped by both. Both fields are empty in PhaseFinish.
	OldKey []byte `json:"from_key,omitempty"`
	NewKey   []byte `json:"to_key,omitempty"`
	// KeptID is the ID of the one that stays, in PhaseFinish.
	KeptID string `json:"keep,omitempty"`
	// RenewAll says that the other keys are renewed when the change is finished.
	RenewAll bool `json:"renew_all,omitempty"`
}

// renewal is stored while records of the generation before are accepted.
type renewal struct {
	OldNumber byte `json:"from"`
}

func generationKey(number byte, purpose string) []byte {
	return fmt.Appendf(nil, "%d/%s", number, purpose)
}

// putGeneration notes the keys of a generation, wrapped by the master keys given.
func (w *writer) putGeneration(g *seal.Generation, masters *seal.Masters) {
	for purpose, key := range g.Wrap(masters) {
		w.put(inRingKeys, generationKey(g.Number, purpose), key)
	}
}

// deleteGenerations notes the removal of all ring keys but those to keep.
func (w *writer) deleteGenerations(keep ...*seal.Generation) {
	for number, wrapped := range w.listWrappedGenerations() {
		if slices.ContainsFunc(keep, func(g *seal.Generation) bool { return g.Number == number }) {
			continue
		}
		for purpose := range wrapped {
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

// loadRing opens the newest generation that opens, and the one before if the newest says that it
// is still accepted. Other generations are ignored.
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

// loadOlder adds the generation that is being renewed.
func (r *reader) loadOlder(newest *seal.Generation, all map[byte]map[string][]byte) error {
	before, err := r.readRenewal()
	if err != nil || before == nil {
		return err
	}
	old, err := seal.OpenGeneration(before.OldNumber, all[before.OldNumber], r.store.masters)
	if err != nil {
		return corruptError(inRingKeys, generationKey(before.OldNumber, ""), err)
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

// loadMasters adds the other master key while one is changed for another.
func (r *reader) loadMasters() error {
	c, err := r.readMasterChange()
	if c == nil || err != nil || c.Phase == seal.PhaseFinish {
		return err
	}
	configured, id, wrapped := r.store.masters.Configured(), c.NewID, c.NewKey
	if configured.ID() == c.NewID {
		id, wrapped = c.OldID, c.OldKey
	}
	if c.Phase == seal.PhaseBegin && configured.ID() != c.OldID {
		return r.store.tamperedError(inMeta, mastersKey) // the other one opens nothing yet: the record was put back
	}
	other, err := configured.UnwrapMaster(id, wrapped)
	if err != nil {
		return corruptError(inMeta, mastersKey, err)
	}
	if c.Phase == seal.PhaseBoth && !r.canOpenRing(other) {
		return r.store.tamperedError(inMeta, mastersKey) // it had ended
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

// KeyState reports the keys in force and the change under way.
func (s *Store) KeyState(ctx context.Context) (seal.KeyState, error) {
	return readValue(ctx, s, func(r *reader) (seal.KeyState, error) {
		st := seal.KeyState{Configured: s.masters.Configured().ID(), Generation: r.ring.Generations()[0].Number}
		n, renewErr := r.readRenewal()
		c, err := r.readMasterChange()
		st.IsRenewing = n != nil
		if c != nil {
			st.Phase, st.FromID, st.ToID, st.KeepID, st.RenewAll = c.Phase, c.OldID, c.NewID, c.KeptID, c.RenewAll
		}
		return st, errors.Join(renewErr, err)
	})
}

// BeginMaster begins the change from the configured master key to another one. From here on, new
// keys are wrapped by both. If this change is already under way, BeginMaster with renewAll only
// adds that. Otherwise, if a change is under way, it returns seal.ErrChangeUnderWay and changes
// nothing.
func (s *Store) BeginMaster(ctx context.Context, to *seal.Master, renewAll bool, events ...idp.AuditEvent) error {
	from := s.masters.Configured()
	begun := false
	err := s.update(ctx, events, func(w *writer) error {
		begun = false
		c, masterErr := w.readMasterChange()
		n, renewErr := w.readRenewal()
		switch {
		case masterErr != nil || renewErr != nil:
			return errors.Join(masterErr, renewErr)
		case c != nil && c.NewID == to.ID() && c.Phase != seal.PhaseFinish && renewAll:
			c.RenewAll = true
			w.putJSON(inMeta, mastersKey, c)
			return nil
		case c != nil || n != nil:
			return seal.ErrChangeUnderWay
		}
		begun = true
		w.putJSON(inMeta, mastersKey, masterChange{
			OldID: from.ID(), NewID: to.ID(), Phase: seal.PhaseBegin,
			OldKey: from.WrapFor(to), NewKey: to.WrapFor(from), RenewAll: renewAll,
		})
		return nil
	})
	if err == nil && begun {
		// Keys that were made since the commit are wrapped by one master key. They are
		// in the file before RewrapUserKeys looks.
		s.masters.Set(from, to)
	}
	return err
}

// CompleteMaster makes the other master key open the store. Call it once every key except those
// of the ring is wrapped by both. After an earlier crash only the previous master key opens the
// store, after a later one either does.
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

// FinishMaster ends the master key that is not keep: it no longer opens the store. Other keys
// that it still wraps must then be wrapped again by keep alone. FinishMaster returns
// seal.ErrNoChange unless a change is complete. An incomplete change can only be finished by
// keeping the previous key. With renewAll, the other keys are renewed if the new one stays. If
// keep was chosen before, FinishMaster only adds renewAll.
func (s *Store) FinishMaster(ctx context.Context, keep *seal.Master, renewAll bool, events ...idp.AuditEvent) error {
	chosen := false
	err := s.update(ctx, events, func(w *writer) error {
		chosen = false
		c, err := w.readMasterChange()
		switch {
		case err != nil:
			return err
		case c == nil:
			return seal.ErrNoChange
		case c.Phase == seal.PhaseFinish && c.KeptID == keep.ID():
			c.RenewAll = c.RenewAll || renewAll && c.KeptID == c.NewID
			w.putJSON(inMeta, mastersKey, c)
			return nil
		case c.Phase == seal.PhaseFinish, keep.ID() != c.OldID && (keep.ID() != c.NewID || c.Phase != seal.PhaseBoth):
			return seal.ErrNoChange
		}
		chosen = true
		c.Phase, c.KeptID, c.OldKey, c.NewKey = seal.PhaseFinish, keep.ID(), nil, nil
		c.RenewAll = (c.RenewAll || renewAll) && keep.ID() == c.NewID
		w.putJSON(inMeta, mastersKey, c)
		w.rewrapRing(seal.NewMasters(keep))
		return nil
	})
	if err == nil && chosen {
		s.masters.Set(keep)
	}
	return err
}

// EndMaster ends a change of the master key, once the other one wraps no key. If the other keys
// must be renewed, that begins in the same step.
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

// rewrapRing notes the ring keys in force, wrapped by the master keys given. It removes all other
// entries of the bucket, which are unused and must not stop a change.
func (w *writer) rewrapRing(masters *seal.Masters) {
	for _, g := range w.ring.Generations() {
		w.putGeneration(g, masters)
	}
	w.deleteGenerations(w.ring.Generations()...)
}

// RewrapUserKeys wraps the keys of up to limit users after the given one by the
// master keys in force now. It returns the last one it looked at, "" after the end.
// A key that no master key in force opens stays as it is.
func (s *Store) RewrapUserKeys(ctx context.Context, after idp.UserID, limit int) (last idp.UserID, err error) {
	return changeValue(ctx, s, nil, func(w *writer) (last idp.UserID, err error) {
		n := 0
		for key, value := range w.scanAfter(inUserKeys, []byte(after)) {
			if n++; n > limit {
				return last, nil
			}
			last = idp.UserID(key)
			number, wrapped := splitUserKey(value)
			wrapped, changed, err := s.masters.Rewrap(userKeyContext(number, last), wrapped)
			switch {
			case err != nil:
				_ = s.tamperedError(inUserKeys, key)
			case changed:
				w.put(inUserKeys, bytes.Clone(key), append([]byte{number}, wrapped...))
			}
		}
		return "", nil
	})
}

// userKeyContext returns the context of a user's wrapped key. The generation is that of the
// ring when the key was made: it shows which keys a renewal has reached.
func userKeyContext(generation byte, id idp.UserID) string {
	return fmt.Sprintf("%d/user/%s", generation, id)
}

// splitUserKey takes a value of inUserKeys apart.
func splitUserKey(value []byte) (generation byte, wrapped []byte) {
	if len(value) == 0 {
		return 0, nil
	}
	return value[0], value[1:]
}
