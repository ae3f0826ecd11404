package account

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"vernal/idp"
)

// The record of works: the cost of the most expensive hashes that are or ever were stored. It
// lets a server know at start how long a "no" must take, without reading all users.
const (
	worksKind = "account"
	worksKey  = "password-works"
)

// maxWorks limits the list, for imports whose hashes have many costs.
const maxWorks = 8

// Prepare determines how long a "no" must take, unless that is already known. It measures the
// most expensive hashes in use, which takes a fraction of a second unless imported users have
// hashes that take longer. CheckPassword calls it before the first attempt. A server calls it
// at its start, because the machine is less busy then.
func (s *Service) Prepare(ctx context.Context) error {
	h := s.Hasher
	if h.isPrepared.Load() {
		return nil
	}
	select {
	case h.prepareLock <- struct{}{}:
		defer func() { <-h.prepareLock }()
	case <-ctx.Done():
		return fmt.Errorf("measure password hashes: %w", context.Cause(ctx))
	}
	if h.isPrepared.Load() {
		return nil
	}
	works, err := s.addWorks(ctx, h.newParams().computeCost())
	if err != nil {
		return err
	}
	if err := h.calibrate(ctx, works...); err != nil {
		return fmt.Errorf("measure password hashes: %w", err)
	}
	h.isPrepared.Store(true)
	return nil
}

// learnWork records a hash that takes longer than every one in the record, for example after a
// store was restored. Only the first "no" takes longer.
func (s *Service) learnWork(ctx context.Context, w hashCost) {
	if !w.isValid() || s.Hasher.pace.coversCost(w) {
		return
	}
	works, err := s.addWorks(ctx, w)
	if err == nil {
		err = s.Hasher.calibrate(ctx, works...)
	}
	if err != nil {
		s.Log.LogAttrs(ctx, slog.LevelWarn, "cost of a password hash was not noted", slog.Any("err", err))
	}
}

// addWorks adds works to the record and returns its content. It writes only if one of them is
// new.
func (s *Service) addWorks(ctx context.Context, add ...hashCost) ([]hashCost, error) {
	records := idp.Records[[]hashCost]{Store: s.Store, Kind: worksKind, Clock: s.Clock}
	stored, err := records.Get(ctx, worksKey)
	switch {
	case errors.Is(err, idp.ErrNotFound):
	case err != nil:
		return nil, fmt.Errorf("read costs of password hashes: %w", err)
	case slices.Equal(*stored, mergeWorks(*stored, add)):
		return *stored, nil
	}
	var works []hashCost
	err = records.Update(ctx, []string{worksKey}, func(r *idp.Record[[]hashCost]) error {
		if r.Value == nil {
			r.Value = new([]hashCost)
		}
		works = mergeWorks(*r.Value, add)
		*r.Value = works
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("write costs of password hashes: %w", err)
	}
	return works, nil
}

// importWorks adds the works of users to import, and makes a running server measure them.
func (s *Service) importWorks(ctx context.Context, users []idp.ImportedUser) error {
	works, err := s.addWorks(ctx, worksOf(users)...)
	if err == nil && s.Hasher.pace.isMeasured(s.Hasher.newParams().computeCost()) {
		err = s.Hasher.calibrate(ctx, works...)
	}
	return err
}

// worksOf returns the works of the hashes of users to import.
func worksOf(users []idp.ImportedUser) (works []hashCost) {
	for i := range users {
		if p, err := parsePHC(users[i].User.PasswordHash); err == nil && !users[i].AlreadyExists {
			works = mergeWorks(works, []hashCost{p.computeCost()})
		}
	}
	return works
}

// mergeWorks adds works to a list and drops those covered by another. If the list is too long,
// it keeps the ones that take longest.
func mergeWorks(works, add []hashCost) []hashCost {
	merged := slices.Clone(works)
	for _, w := range add {
		if slices.ContainsFunc(merged, func(o hashCost) bool { return o.covers(w) }) {
			continue
		}
		merged = append(slices.DeleteFunc(merged, w.covers), w)
	}
	slices.SortFunc(merged, hashCost.compare)
	return merged[:min(maxWorks, len(merged))]
}
