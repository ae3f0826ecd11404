// Package rekey changes the keys of a running installation: the master key, and the keys
// below it (see package seal).
//
// A change of the master key has three phases. Each begins with one write that records which
// master keys are in force. The other writes of a phase only wrap keys again, and can be
// interrupted at any write and repeated.
//
//	Begin:  from and to are in force for new keys
//	        every user key and year key is wrapped by both
//	        the ring keys are wrapped by both, so to opens the store too
//	        (the operator configures the new master key)
//	Finish: the ring keys are wrapped by to alone, so from no longer opens the store
//	        every user key and year key is wrapped by to alone
//
// Cancel is Finish for the previous master key.
//
// A renewal replaces every other key after a leak: the ring keys first, then record by
// record the MACs, the look-up indexes and the user keys, then the year keys. Output of the
// old ring keys is accepted until the end.
//
// Service does one of these at a time, in the background. After a crash, Resume continues
// it.
package rekey

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"vernal/idp"
	"vernal/idp/seal"
)

// batchSize is the number of records that one step of the store rewrites. It is small, so that no
// sign-in waits long behind one.
const batchSize = 200

// Errors of the commands.
var (
	// ErrSameKey is returned when the new master key is the one in force.
	ErrSameKey = errors.New("the new master key is already in force: give another one")
	// ErrOldKey is returned by Finish while the new master key is not configured.
	ErrOldKey = errors.New("the new master key is not configured: configure it first")
	// ErrNewKey is returned by Cancel once the new master key is configured.
	ErrNewKey = errors.New("the new master key is configured: configure the previous one first")
)

// Store is the part of the store that a change of keys needs.
type Store interface {
	KeyState(ctx context.Context) (seal.KeyState, error)
	BeginMaster(ctx context.Context, newMaster *seal.Master, renewAll bool, events ...idp.AuditEvent) error
	CompleteMaster(ctx context.Context, events ...idp.AuditEvent) error
	FinishMaster(ctx context.Context, kept *seal.Master, renewAll bool, events ...idp.AuditEvent) error
	EndMaster(ctx context.Context, events ...idp.AuditEvent) error
	RewrapUserKeys(ctx context.Context, after idp.UserID, limit int) (last idp.UserID, err error)
	BeginRenewal(ctx context.Context, events ...idp.AuditEvent) error
	Renew(ctx context.Context, place seal.RenewPlace, limit int) (next seal.RenewPlace, err error)
	EndRenewal(ctx context.Context, events ...idp.AuditEvent) error
}

// YearKeys are the files of the private signing keys.
type YearKeys interface {
	Rewrap(ctx context.Context) error
	Reseal(ctx context.Context) error
}

// Checkpoints is the audit trail, whose checkpoint has a MAC of its own.
type Checkpoints interface {
	RenewCheckpoint(ctx context.Context) error
}

// Service changes keys. All fields are required.
type Service struct {
	Store Store
	Years YearKeys
	Trail Checkpoints
	// Master loads the master key that is configured now. It may be another one than
	// the installation was opened with.
	Master func() (*seal.Master, error)
	Log    *slog.Logger

	changeMu sync.Mutex // held by the commands, one at a time

	mu       sync.Mutex
	workDone chan struct{} // closed when the current work has ended; nil without any
	stop     func()        // interrupts the work
	workErr  error         // the reason why the last work stopped
}

// State reports which keys are in force and which change is under way.
type State struct {
	seal.KeyState
	// Working is set while keys are being wrapped or records rewritten.
	Working bool `json:"working,omitempty"`
	// Failed is the reason that this work stopped before its end, or "".
	Failed string `json:"failed,omitempty"`
}

// State returns the keys in force and the change of keys that is under way.
func (s *Service) State(ctx context.Context) (State, error) {
	keys, err := s.Store.KeyState(ctx)
	if err != nil {
		return State{}, fmt.Errorf("read the state of the keys: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	state := State{KeyState: keys, Working: s.workDone != nil}
	if s.workErr != nil {
		state.Failed = s.workErr.Error()
	}
	return state, nil
}

// Begin starts to replace the master key in force by another one. With renewAll, all other keys are
// renewed when the change is finished. Called again with the same key, it continues. Errors:
// ErrSameKey, seal.ErrChangeUnderWay.
func (s *Service) Begin(ctx context.Context, newMaster *seal.Master, renewAll bool, actor string) error {
	return s.change(ctx, func(state State) error {
		switch {
		case state.Configured == newMaster.ID() && state.Phase == "":
			return ErrSameKey
		case (state.Phase == seal.PhaseBegin || state.Phase == seal.PhaseBoth) && state.ToID == newMaster.ID() && (state.RenewAll || !renewAll):
			return nil
		}
		err := s.Store.BeginMaster(ctx, newMaster, renewAll, newEvent(idp.AuditMasterKeyBegin, actor, "to", newMaster.ID()))
		if err != nil {
			return fmt.Errorf("change the master key: %w", err)
		}
		return nil
	})
}

// change begins a change of keys, one at a time, or continues the one that has begun. It starts the
// remaining work.
func (s *Service) change(ctx context.Context, begin func(State) error) error {
	s.changeMu.Lock()
	defer s.changeMu.Unlock()
	state, err := s.State(ctx)
	if err == nil {
		err = begin(state)
	}
	if err == nil {
		s.start()
	}
	return err
}

// Finish retires the previous master key, or continues to do so. The new one must be configured,
// which needs no restart if it is in a file. Errors: ErrOldKey, seal.ErrNoChange,
// seal.ErrChangeUnderWay while Begin has not ended.
func (s *Service) Finish(ctx context.Context, renewAll bool, actor string) error {
	return s.change(ctx, func(state State) error {
		switch {
		case state.Phase == seal.PhaseBegin:
			return seal.ErrChangeUnderWay
		case state.Phase == seal.PhaseFinish && state.KeepID == state.ToID && (state.RenewAll || !renewAll):
			return nil
		case state.Phase == seal.PhaseFinish && state.KeepID == state.ToID:
		case state.Phase != seal.PhaseBoth:
			return seal.ErrNoChange
		}
		return s.finishChange(ctx, state.ToID, ErrOldKey, renewAll, idp.AuditMasterKeyFinish, actor)
	})
}

// Cancel returns to the previous master key, or continues to do so. That key must still be
// configured. Errors: ErrNewKey, seal.ErrNoChange.
func (s *Service) Cancel(ctx context.Context, actor string) error {
	return s.change(ctx, func(state State) error {
		switch {
		case state.Phase == seal.PhaseFinish && state.KeepID == state.FromID:
			return nil
		case state.Phase != seal.PhaseBegin && state.Phase != seal.PhaseBoth:
			return seal.ErrNoChange
		}
		return s.finishChange(ctx, state.FromID, ErrNewKey, false, idp.AuditMasterKeyCancel, actor)
	})
}

// finishChange keeps the configured master key. It returns otherErr if that is not the key to keep.
func (s *Service) finishChange(ctx context.Context, keepID string, otherErr error, renewAll bool, kind idp.AuditKind, actor string) error {
	master, err := s.Master()
	switch {
	case err != nil:
		return err
	case master.ID() != keepID:
		return otherErr
	}
	s.wait() // a Begin under way would wrap the same keys by both
	if err := s.Store.FinishMaster(ctx, master, renewAll, newEvent(kind, actor, "keep", keepID)); err != nil {
		return fmt.Errorf("change the master key: %w", err)
	}
	return nil
}

// RenewAll renews all keys below the master key, or continues to do so. Errors:
// seal.ErrChangeUnderWay while the master key is changed.
func (s *Service) RenewAll(ctx context.Context, actor string) error {
	return s.change(ctx, func(state State) error {
		if state.IsRenewing {
			return nil
		}
		if err := s.Store.BeginRenewal(ctx, newEvent(idp.AuditKeysRenew, actor, "", "")); err != nil {
			return fmt.Errorf("renew the keys: %w", err)
		}
		return nil
	})
}

// Resume continues interrupted work in the background.
func (s *Service) Resume() { s.start() }

// serverActor is the actor that audit records name for background work.
const serverActor = "server"

func newEvent(kind idp.AuditKind, actor, name, value string) idp.AuditEvent {
	event := idp.AuditEvent{Kind: kind, Outcome: "ok", Actor: actor}
	if name != "" {
		event.Detail = map[string]string{name: value}
	}
	return event
}
