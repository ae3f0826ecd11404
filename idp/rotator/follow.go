package rotator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/keyring"
	"vernal/idp/rotation"
)

// loadFaults returns the years that are closed because of their key. The map never changes.
// It is read without the lock of a step.
func (s *Service) loadFaults() map[idp.Year]rotation.KeyFault {
	if faults := s.faults.Load(); faults != nil {
		return *faults
	}
	return nil
}

// showHistory makes the recorded history visible to requests. made are new keys of steps. The
// error is about keys that could not be opened or destroyed. Every year that ended is
// closed in any case.
func (s *Service) showHistory(ctx context.Context, h rotation.History, made ...*certs.Key) error {
	s.closeEnded(h, made)
	return errors.Join(s.openYears(ctx, h), s.destroyEndedKeys(ctx))
}

// closeEnded makes the history visible with the keys in memory only, so it cannot fail. After
// it, no request is answered or signed for a year that ended.
func (s *Service) closeEnded(h rotation.History, made []*certs.Key) {
	keys := slices.DeleteFunc(slices.Clone(s.keys), func(old *certs.Key) bool { return certs.FindKey(made, old.Year) != nil })
	s.setRing(h, append(keys, made...), nil)
}

// setRing sets the Ring, and records which years are closed because of their key.
func (s *Service) setRing(h rotation.History, keys []*certs.Key, damaged []certs.DamagedYear) {
	faults := keyring.FindFaults(h, keys, damaged)
	s.faults.Store(&faults)
	s.shownHistory = h.WithFaults(faults)
	s.keys = keyring.SelectUsable(s.shownHistory, keys)
	_ = s.Ring.SetHistory(s.shownHistory, s.keys) // checkSigning reports it once every possible year is open
}

// openYears reads the folder if a recorded year cannot sign with the keys in memory, to find a
// key made by another server or restored from a backup. A recorded key in memory keeps its
// pointer, regardless of the folder. An error that matches keyring.ErrNoSigner means that
// the preferred year cannot sign.
func (s *Service) openYears(ctx context.Context, h rotation.History) error {
	before := s.loadFaults()
	if !slices.ContainsFunc(h.Records, func(r rotation.Record) bool { return !s.isLoaded(r) }) {
		return nil
	}
	keys, err := s.Dir.Load()
	damaged := findDamagedYears(err)
	if err != nil && damaged == nil {
		return s.checkSigning(err)
	}
	s.setRing(h, s.mergeKeys(keys, damaged), damaged)
	for y := range before {
		if s.loadFaults()[y] == "" {
			s.Log.LogAttrs(ctx, slog.LevelInfo, "rotation: the recorded key of a year is loaded", slog.String("year", string(y)))
		}
	}
	return s.checkSigning(err)
}

// isLoaded reports whether memory has all that the recorded year needs. A year that is over
// keeps its certificate.
func (s *Service) isLoaded(r rotation.Record) bool {
	k := certs.FindKey(s.keys, r.Year)
	return s.loadFaults()[r.Year] == "" && k != nil && (k.Cert != nil || r.CertEndAt.IsZero())
}

// mergeKeys returns the keys in memory of the years that can sign, and the keys in the
// folder of the others.
func (s *Service) mergeKeys(folder []*certs.Key, damaged []certs.DamagedYear) []*certs.Key {
	keys := slices.DeleteFunc(slices.Clone(s.keys), func(k *certs.Key) bool {
		r, recorded := s.shownHistory.Record(k.Year)
		return recorded && !s.isLoaded(r)
	})
	for _, d := range damaged {
		if d.Cert != nil { // integrators can still load the recorded one
			folder = append(folder, &certs.Key{Year: d.Year, Cert: d.Cert})
		}
	}
	for _, k := range folder {
		if certs.FindKey(keys, k.Year) == nil {
			keys = append(keys, k)
		}
	}
	return keys
}

// findDamagedYears returns the damaged years in an error of Keys, nil for any other error.
func findDamagedYears(err error) []certs.DamagedYear {
	if damaged, ok := errors.AsType[*certs.DamagedError](err); ok {
		return damaged.Years
	}
	return nil
}

// checkSigning returns why the preferred year cannot sign, or nil if it can or no year is
// preferred. cause is an error of reading the folder.
func (s *Service) checkSigning(cause error) error {
	r, _ := s.shownHistory.Record(s.shownHistory.Preferred)
	if s.shownHistory.Preferred == "" || r.KeyFault == "" {
		return nil
	}
	err := error(&keyring.UnusableKeyError{Year: r.Year, Fault: r.KeyFault})
	if cause != nil {
		err = fmt.Errorf("%w (%w)", err, cause)
	}
	return err
}

// listUndestroyed returns the years whose key must still be destroyed.
func (s *Service) listUndestroyed() (years []idp.Year) {
	for _, r := range s.shownHistory.Records {
		if !r.KeyDestroyedAt.IsZero() && !s.destroyedYears[r.Year] {
			years = append(years, r.Year)
		}
	}
	return years
}

// destroyEndedKeys destroys the keys whose end is recorded. The next call tries the failed ones again.
func (s *Service) destroyEndedKeys(ctx context.Context) error {
	var errs []error
	for _, y := range s.listUndestroyed() {
		if err := s.Dir.Destroy(y); err != nil {
			errs = append(errs, err)
			continue
		}
		s.destroyedYears[y] = true
		s.Log.LogAttrs(ctx, slog.LevelInfo, "rotation: the key of a year is destroyed", slog.String("year", string(y)))
	}
	return errors.Join(errs...)
}

// catchUp returns the history and time for a step. Before that, requests see other servers'
// steps and keys restored to the folder.
func (s *Service) catchUp(ctx context.Context) (rotation.History, time.Time, error) {
	h, err := s.readHistory(ctx)
	if err != nil {
		return h, time.Time{}, err
	}
	if s.isStale(h) || len(s.loadFaults()) > 0 {
		if err := s.showHistory(ctx, h); err != nil {
			s.Log.LogAttrs(ctx, slog.LevelWarn, "rotation", slog.String("error", err.Error()))
		}
	}
	return s.readNow(ctx)
}

// isStale reports whether requests see another state than h.
func (s *Service) isStale(h rotation.History) bool {
	return h.Preferred != s.shownHistory.Preferred || !reflect.DeepEqual(stripUses(h), stripUses(s.shownHistory))
}

// stripUses returns the records without the fields that change every minute.
func stripUses(h rotation.History) []rotation.Record {
	records := slices.Clone(h.Records)
	for i := range records {
		records[i].UsedAt, records[i].QuietReading, records[i].KeyFault = time.Time{}, 0, ""
	}
	return records
}
