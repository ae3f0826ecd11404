package rotator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/keyring"
	"vernal/idp/rotation"
)

// faults are the years closed because of their key. They can be read without holding
// Service.steps.
type faults struct {
	mu    sync.Mutex
	years map[idp.Year]rotation.KeyFault // replaced as a whole, never changed
}

func (f *faults) all() map[idp.Year]rotation.KeyFault {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.years
}

func (f *faults) set(years map[idp.Year]rotation.KeyFault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.years = years
}

// follow makes the recorded history visible to requests. made are new keys of steps. The
// error is about keys that could not be opened or destroyed. Every year that ended is
// closed in any case.
func (s *Service) follow(ctx context.Context, h rotation.History, made ...*certs.Key) error {
	s.close(h, made)
	return errors.Join(s.open(ctx, h), s.destroyEnded(ctx))
}

// close makes the history visible with the keys in memory only, so it cannot fail. After
// it, no request is answered or signed for a year that ended.
func (s *Service) close(h rotation.History, made []*certs.Key) {
	for _, r := range h.Records {
		if was, _ := s.shown.Record(r.Year); !r.KeyDestroyedAt.IsZero() && was.KeyDestroyedAt.IsZero() {
			s.mustDestroy(r.Year)
		}
	}
	s.show(h, s.withMade(made), nil)
}

// withMade returns the keys in memory and the new keys of steps.
func (s *Service) withMade(made []*certs.Key) []*certs.Key {
	keys := slices.Clone(s.keys)
	for _, k := range made {
		keys = slices.DeleteFunc(keys, func(old *certs.Key) bool { return old.Year == k.Year })
		keys = append(keys, k)
	}
	return keys
}

// show sets the Ring, and records which years are closed because of their key.
func (s *Service) show(h rotation.History, keys []*certs.Key, damaged []certs.DamagedYear) {
	h = h.WithFaults(keyring.Faults(h, keys, damaged))
	s.faults.set(faultsOf(h))
	s.keys, s.shown = keyring.Usable(h, keys), h
	_ = s.Ring.SetHistory(h, s.keys) // unable reports it once all possible keys are open
}

func faultsOf(h rotation.History) map[idp.Year]rotation.KeyFault {
	years := map[idp.Year]rotation.KeyFault{}
	for _, r := range h.Records {
		if r.KeyFault != "" {
			years[r.Year] = r.KeyFault
		}
	}
	return years
}

// open reads the folder if a recorded year cannot sign with the keys in memory, to find a
// key made by another server or restored from a backup. A recorded key in memory keeps its
// pointer, regardless of the folder. An error that matches keyring.ErrNoSigner means that
// the preferred year cannot sign.
func (s *Service) open(ctx context.Context, h rotation.History) error {
	before := s.faults.all()
	if !slices.ContainsFunc(h.Records, func(r rotation.Record) bool { return !s.isLoaded(r) }) {
		return nil
	}
	keys, err := s.Dir.Load()
	var damaged *certs.DamagedError
	if err != nil && !errors.As(err, &damaged) {
		return s.unable(err)
	}
	s.show(h, s.openable(keys, damaged), damagedYears(damaged))
	for y := range before {
		if _, closed := s.faults.all()[y]; !closed {
			s.Log.LogAttrs(ctx, slog.LevelInfo, "rotation: the recorded key of a year is loaded", slog.String("year", string(y)))
		}
	}
	return s.unable(err)
}

// isLoaded reports whether memory has all that the recorded year needs. A year that is over
// keeps its certificate.
func (s *Service) isLoaded(r rotation.Record) bool {
	_, closed := s.faults.all()[r.Year]
	k := find(s.keys, r.Year)
	return !closed && k != nil && (k.Cert != nil || r.CertEndAt.IsZero())
}

// openable returns the keys in memory of years that can sign, and the keys in the folder of
// the others.
func (s *Service) openable(folder []*certs.Key, damaged *certs.DamagedError) []*certs.Key {
	var keys []*certs.Key
	for _, k := range s.keys {
		if r, recorded := s.shown.Record(k.Year); !recorded || s.isLoaded(r) {
			keys = append(keys, k)
		}
	}
	add := func(k *certs.Key) {
		if !slices.ContainsFunc(keys, func(old *certs.Key) bool { return old.Year == k.Year }) {
			keys = append(keys, k)
		}
	}
	for _, k := range folder {
		add(k)
	}
	for _, d := range damagedYears(damaged) {
		if d.Cert != nil { // integrators can still load the recorded one
			add(&certs.Key{Year: d.Year, Cert: d.Cert})
		}
	}
	return keys
}

func damagedYears(err *certs.DamagedError) []certs.DamagedYear {
	if err == nil {
		return nil
	}
	return err.Years
}

// unable returns why the preferred year cannot sign, or nil if it can or there is none.
// cause is an error of reading the folder.
func (s *Service) unable(cause error) error {
	r, _ := s.shown.Record(s.shown.Preferred)
	if s.shown.Preferred == "" || r.KeyFault == "" {
		return nil
	}
	err := error(&keyring.UnusableKeyError{Year: r.Year, Fault: r.KeyFault})
	if cause != nil {
		err = fmt.Errorf("%w (%w)", err, cause)
	}
	return err
}

func (s *Service) mustDestroy(y idp.Year) {
	if s.undestroyed == nil {
		s.undestroyed = map[idp.Year]bool{}
	}
	s.undestroyed[y] = true
}

// destroyEnded destroys the keys whose end is recorded. The next call repeats what fails.
func (s *Service) destroyEnded(ctx context.Context) error {
	var errs []error
	for y := range s.undestroyed {
		if err := s.Dir.Destroy(y); err != nil {
			errs = append(errs, err)
			continue
		}
		delete(s.undestroyed, y)
		s.Log.LogAttrs(ctx, slog.LevelInfo, "rotation: the key of a year is destroyed", slog.String("year", string(y)))
	}
	return errors.Join(errs...)
}

// current returns the history and time for a step. Before that, requests see other servers'
// steps and keys restored to the folder.
func (s *Service) current(ctx context.Context) (rotation.History, time.Time, error) {
	h, err := s.read(ctx)
	if err != nil {
		return h, time.Time{}, err
	}
	if s.stale(h) || len(s.faults.all()) > 0 {
		if err := s.follow(ctx, h); err != nil {
			s.Log.LogAttrs(ctx, slog.LevelWarn, "rotation", slog.String("error", err.Error()))
		}
	}
	return s.now(ctx)
}

// stale reports whether requests see another state than h.
func (s *Service) stale(h rotation.History) bool {
	return h.Preferred != s.shown.Preferred || !reflect.DeepEqual(lives(h), lives(s.shown))
}

// lives returns the records without the fields that change every minute.
func lives(h rotation.History) []rotation.Record {
	records := slices.Clone(h.Records)
	for i := range records {
		records[i].UsedAt, records[i].QuietFrom, records[i].KeyFault = time.Time{}, 0, ""
	}
	return records
}
