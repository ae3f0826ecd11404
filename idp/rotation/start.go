package rotation

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"vernal/certs"
	"vernal/idp"
)

// Start completes what a crash left, writes down what is there for the first
// time, and sets the Ring. Where no year is preferred yet it takes the steps of
// a first start, in manual mode too; but none where keys come from elsewhere, as
// whoever brings the first one takes its steps by hand.
//
// If the error is certs.ErrNoSigner, the preferred year cannot sign because its
// key is missing: nothing can be served, but steps can be taken.
func (s *Service) Start(ctx context.Context) error {
	s.steps.Lock()
	defer s.steps.Unlock()
	now := s.Clock.Now()
	h, err := s.read(ctx)
	if err != nil {
		return err
	}
	keys, err := s.complete(h, now)
	if err != nil {
		return err
	}
	if err := s.removeEnded(h, keys); err != nil {
		return err
	}
	if len(keys)+len(h.Records) > 0 {
		if h, err = s.adopt(ctx, h, keys, now); err != nil {
			return err
		}
	}
	if h.Preferred == "" && s.Policy.KeySource != certs.SourceImport {
		policy := s.Policy
		policy.Manual = false
		if _, err := s.automatic(ctx, policy, now); err != nil {
			return err
		}
		if h, err = s.read(ctx); err != nil {
			return err
		}
	}
	if err := s.show(h); err != nil {
		return fmt.Errorf("start the rotation: %w", err)
	}
	return nil
}

// complete makes the certificates of private keys whose making was cut short,
// and loads all keys. A key that is written down without a certificate waits
// for one from elsewhere, as does every key where they come from there.
func (s *Service) complete(h certs.History, now time.Time) ([]*certs.Key, error) {
	keys, err := s.Dir.Load()
	if err != nil || s.Policy.KeySource == certs.SourceImport {
		return keys, err
	}
	for i, k := range keys {
		if _, known := h.Record(k.Year); known || k.Cert != nil || k.Elsewhere {
			continue
		}
		step := s.Policy.CreateStep(h, k.Year, now)
		if !step.CertEndAt.After(now) {
			continue // its time has passed; it stays a key that nothing was done with
		}
		if keys[i], err = s.makeKey(step, now); err != nil {
			return nil, err
		}
		s.Log.LogAttrs(context.Background(), slog.LevelWarn, "rotation: the making of a year was cut short, now completed",
			slog.String("year", string(k.Year)))
	}
	return keys, nil
}

// adopt brings the history in line with the keys.
func (s *Service) adopt(ctx context.Context, before certs.History, keys []*certs.Key, now time.Time) (certs.History, error) {
	made := make([]certs.Made, len(keys))
	for i, k := range keys {
		made[i] = k.Made()
	}
	events := adoptEvents(before, s.Policy.Adopt(before, made, now), now)
	h, err := s.update(ctx, func(h certs.History) (certs.History, error) { return s.Policy.Adopt(h, made, now), nil }, events...)
	if err != nil {
		return h, fmt.Errorf("write the rotation: %w", err)
	}
	for _, r := range h.Records {
		if k := find(keys, r.Year); r.KeyDestroyedAt.IsZero() && (k == nil || k.Signer == nil) {
			s.Log.LogAttrs(ctx, slog.LevelError, "rotation: the key of a year is missing: it cannot sign", slog.String("year", string(r.Year)))
		}
	}
	return h, nil
}

// adoptEvents says what an adoption found.
func adoptEvents(before, after certs.History, now time.Time) (events []idp.AuditEvent) {
	for _, r := range after.Records {
		was, known := before.Record(r.Year)
		e := idp.AuditEvent{Outcome: "ok", Actor: "server", Year: r.Year}
		switch {
		case !known:
			e.Kind, e.Detail = "rotation.adopt", map[string]string{"state": string(after.State(r.Year, now))}
		case was.KeyDestroyedAt.IsZero() && !r.KeyDestroyedAt.IsZero():
			e.Kind, e.Detail = "rotation.destroy", map[string]string{"why": "its key was found gone"}
		default:
			continue
		}
		events = append(events, e)
	}
	return events
}
