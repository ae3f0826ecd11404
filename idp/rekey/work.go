package rekey

import (
	"context"
	"errors"
	"fmt"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/seal"
)

// start works in the background until no work is left. It does nothing if that work is already
// under way.
func (s *Service) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.workDone != nil {
		return
	}
	done := make(chan struct{})
	ctx, stop := context.WithCancel(context.Background())
	s.workDone, s.workErr, s.stop = done, nil, stop
	go func() {
		defer stop()
		err := s.work(ctx)
		if err != nil && ctx.Err() == nil {
			s.Log.Error("a change of keys stopped. It continues when the server starts again", "error", err.Error())
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.workDone, s.workErr = nil, err
		close(done)
	}()
}

// Wait returns when no work is under way, or ctx is done.
func (s *Service) Wait(ctx context.Context) error {
	for {
		s.mu.Lock()
		workDone := s.workDone
		s.mu.Unlock()
		if workDone == nil {
			return ctx.Err()
		}
		select {
		case <-workDone:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Stop interrupts the work under way and waits until it has ended. Resume continues it.
func (s *Service) Stop() {
	s.mu.Lock()
	if s.stop != nil {
		s.stop()
	}
	s.mu.Unlock()
	s.wait()
}

func (s *Service) wait() { _ = s.Wait(context.Background()) }

// work does the work that remains according to the stored state. Every step may be repeated.
func (s *Service) work(ctx context.Context) error {
	for {
		state, err := s.Store.KeyState(ctx)
		if err != nil {
			return err
		}
		switch {
		case state.Phase == seal.PhaseBegin:
			if err = s.wrapAll(ctx); err == nil {
				err = s.Store.CompleteMaster(ctx, newEvent(idp.AuditMasterKeyBoth, serverActor, "to", state.ToID))
			}
		case state.Phase == seal.PhaseFinish:
			err = s.endMaster(ctx, state)
		case state.IsRenewing:
			err = s.renewRecords(ctx)
		default:
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *Service) endMaster(ctx context.Context, state seal.KeyState) error {
	if err := s.wrapAll(ctx); err != nil {
		return err
	}
	event := newEvent(idp.AuditMasterKeyEnd, serverActor, "keep", state.KeepID)
	if state.RenewAll {
		event.Detail["then"] = "keys.renew"
	}
	return s.Store.EndMaster(ctx, event)
}

// wrapAll wraps the keys of users and years by the master keys in force.
func (s *Service) wrapAll(ctx context.Context) error {
	for after := idp.UserID(""); ; {
		last, err := s.Store.RewrapUserKeys(ctx, after, batchSize)
		if err != nil {
			return fmt.Errorf("wrap the keys of users: %w", err)
		}
		if after = last; last == "" {
			break
		}
	}
	return s.skipDamaged(s.Years.Rewrap(ctx))
}

// renewRecords writes every record again with the new keys.
func (s *Service) renewRecords(ctx context.Context) error {
	for place := (seal.RenewPlace{}); ; {
		next, err := s.Store.Renew(ctx, place, batchSize)
		if err != nil {
			return fmt.Errorf("write records again: %w", err)
		}
		if place = next; place.IsZero() {
			break
		}
	}
	if err := s.Trail.RenewCheckpoint(ctx); err != nil {
		return err
	}
	if err := s.skipDamaged(s.Years.Reseal(ctx)); err != nil {
		return err
	}
	return s.Store.EndRenewal(ctx, newEvent(idp.AuditKeysRenewed, serverActor, "", ""))
}

// skipDamaged skips the files of years that cannot be opened: they cannot sign
// either, and a change of keys must not wait for them.
func (s *Service) skipDamaged(err error) error {
	if _, ok := errors.AsType[*certs.DamagedError](err); !ok {
		return err
	}
	s.Log.Warn("signing keys that cannot be opened stay as they are", "error", err.Error())
	return nil
}
