package rotator

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/keyring"
	"vernal/idp/rotation"
)

// ErrNoHistory is returned by Start if the store records no year. It matches
// keyring.ErrNoSigner.
var ErrNoHistory = fmt.Errorf("no year is recorded: %w", keyring.ErrNoSigner)

// Start completes interrupted steps and sets the Ring. If years are recorded and none is
// preferred, it takes the steps of a first start, in manual mode too. With external keys it
// does not, because importing the first key takes them.
//
// Without a recorded year it returns ErrNoHistory, unless keys are external: keys and dates
// do not prove which certificate service providers trust.
//
// If the error matches keyring.ErrNoSigner, the preferred year cannot sign, or no year is
// preferred. Then nothing can be served, but steps can be taken.
func (s *Service) Start(ctx context.Context) error { return s.start(ctx, false) }

// Begin is Start for a new installation whose keys were just made. It records them
// (rotation.Policy.Begin). If a year is recorded already, it is the same as Start.
func (s *Service) Begin(ctx context.Context) error { return s.start(ctx, true) }

func (s *Service) start(ctx context.Context, first bool) error {
	s.stepLock.Lock()
	defer s.stepLock.Unlock()
	now := s.Clock.Now()
	s.countedTime, s.destroyedYears = s.readUptime(), map[idp.Year]bool{}
	h, err := s.readHistory(ctx)
	if err != nil {
		return err
	}
	if len(h.Records) == 0 && !first && s.Policy.KeySource != rotation.SourceImport {
		s.setRing(h, nil, nil)
		return fmt.Errorf("start the rotation: %w", ErrNoHistory)
	}
	keys, folderErr := s.Dir.Load()
	damaged := findDamagedYears(folderErr)
	if folderErr != nil && (damaged == nil || len(h.Records) == 0) {
		// Without a record, a damaged year could be the preferred one.
		return fmt.Errorf("start the rotation: %w; restore keys/ from a backup, or move the files of that year away", folderErr)
	}
	if keys, err = s.completeKeys(h, keys, now); err != nil {
		return err
	}
	if len(keys)+len(h.Records) > 0 || h.Clock != (rotation.Clock{}) {
		if h, err = s.adoptKeys(ctx, h, keys, now); err != nil {
			return err
		}
	}
	s.findDestroyed(h, keys, damaged)
	s.setRing(h, s.mergeKeys(keys, damaged), damaged)
	s.reportFaults(ctx, damaged)
	if err := s.destroyEndedKeys(ctx); err != nil {
		s.Log.LogAttrs(ctx, slog.LevelError, "rotation: a key is not destroyed yet and will be tried again", slog.String("error", err.Error()))
	}
	if h.Preferred == "" && s.Policy.KeySource != rotation.SourceImport {
		policy := s.Policy
		policy.Manual = false
		if _, err := s.takeDueSteps(ctx, policy, now); err != nil {
			return err
		}
		h = s.shownHistory
	}
	if h.Preferred == "" {
		return fmt.Errorf("start the rotation: no year is preferred: %w", keyring.ErrNoSigner)
	}
	if err := s.checkSigning(folderErr); err != nil {
		return fmt.Errorf("start the rotation: %w", err)
	}
	return nil
}

// findDestroyed finds the years whose end is recorded and whose key is gone.
func (s *Service) findDestroyed(h rotation.History, keys []*certs.Key, damaged []certs.DamagedYear) {
	for _, r := range h.Records {
		k := certs.FindKey(keys, r.Year)
		unread := slices.ContainsFunc(damaged, func(d certs.DamagedYear) bool { return d.Year == r.Year })
		s.destroyedYears[r.Year] = !r.KeyDestroyedAt.IsZero() && !unread && (k == nil || k.Signer == nil)
	}
}

// reportFaults logs the faults in the folder.
func (s *Service) reportFaults(ctx context.Context, damaged []certs.DamagedYear) {
	for _, d := range damaged {
		s.Log.LogAttrs(ctx, slog.LevelError, "rotation: the key files of a year are damaged", slog.String("year", string(d.Year)),
			slog.String("error", d.Err.Error()))
	}
	for y, f := range s.loadFaults() {
		s.Log.LogAttrs(ctx, slog.LevelError, "rotation: a year is closed", slog.String("year", string(y)),
			slog.String("fault", string(f)))
	}
}

// completeKeys makes the certificates of private keys whose create was interrupted. A key that
// is recorded without a certificate waits for an external one. If keys are external, every
// key does.
func (s *Service) completeKeys(h rotation.History, keys []*certs.Key, now time.Time) ([]*certs.Key, error) {
	if s.Policy.KeySource == rotation.SourceImport {
		return keys, nil
	}
	for i, k := range keys {
		if _, known := h.Record(k.Year); known || k.Cert != nil || k.External {
			continue
		}
		step := s.Policy.CreateStep(h, k.Year, now)
		if !step.CertEndAt.After(now) {
			continue // its time has passed, so it stays unused
		}
		var err error
		if keys[i], err = s.makeKey(step, now); err != nil {
			return nil, err
		}
		s.Log.LogAttrs(context.Background(), slog.LevelWarn, "rotation: the create of a year was interrupted, and is completed now",
			slog.String("year", string(k.Year)))
	}
	return keys, nil
}

// adoptKeys updates the history from the keys in the folder.
func (s *Service) adoptKeys(ctx context.Context, before rotation.History, keys []*certs.Key, now time.Time) (rotation.History, error) {
	made := make([]rotation.MadeKey, len(keys))
	for i, k := range keys {
		made[i] = keyring.DescribeKey(k)
	}
	change := func(h rotation.History) rotation.History {
		if len(h.Records) == 0 && s.Policy.KeySource != rotation.SourceImport { // only reached from Begin
			return s.Policy.Begin(made, now)
		}
		return s.Policy.Adopt(h, made, now)
	}
	h, err := s.updateHistory(ctx, func(h rotation.History) (rotation.History, error) { return change(h), nil }, listAdoptEvents(before, change(before), now)...)
	if err != nil {
		return h, fmt.Errorf("write the rotation: %w", err)
	}
	return h, nil
}

// listAdoptEvents returns the audit events of an adoption.
func listAdoptEvents(before, after rotation.History, now time.Time) (events []idp.AuditEvent) {
	for _, r := range after.Records {
		was, known := before.Record(r.Year)
		e := idp.AuditEvent{Outcome: "ok", Actor: "server", Year: r.Year}
		switch {
		case !known:
			e.Kind, e.Detail = idp.AuditRotationAdopt, map[string]string{"state": string(after.State(r.Year, now))}
			addIdentity(e.Detail, r.CertificateSHA256, r.PublicKeySHA256)
		case was.KeyDestroyedAt.IsZero() && !r.KeyDestroyedAt.IsZero():
			e.Kind, e.Detail = idp.AuditRotationDestroy, map[string]string{"why": string(rotation.WhyKeyFoundGone)}
		default:
			continue
		}
		events = append(events, e)
	}
	return events
}
