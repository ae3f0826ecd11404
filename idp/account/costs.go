package account

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"vernal/idp"
)

// The kind and key of the record of the most expensive hashes that were ever stored. A server
// reads it at its start to find how long a refusal must take, without reading all users.
const (
	costsKind = "account"
	costsKey  = "password-works"
)

// maxCosts limits the list, because the hashes of an import can have many different costs.
const maxCosts = 8

// Prepare determines how long a refusal must take, unless that is already known. It measures
// the most expensive hashes in use, which takes a fraction of a second unless imported users
// have more expensive ones. CheckPassword calls it before the first attempt. A server calls it
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
	costs, err := s.addCosts(ctx, h.newParams().computeCost())
	if err != nil {
		return err
	}
	if err := h.calibrate(ctx, costs...); err != nil {
		return fmt.Errorf("measure password hashes: %w", err)
	}
	h.isPrepared.Store(true)
	return nil
}

// recordCost adds a cost to the record if a refusal does not take long enough for it, for
// example after a store was restored. Only the first refusal takes longer.
func (s *Service) recordCost(ctx context.Context, cost hashCost) {
	if !cost.isValid() || s.Hasher.pace.coversCost(cost) {
		return
	}
	costs, err := s.addCosts(ctx, cost)
	if err == nil {
		err = s.Hasher.calibrate(ctx, costs...)
	}
	if err != nil {
		s.Log.LogAttrs(ctx, slog.LevelWarn, "cost of a password hash was not recorded, the next wrong password tries again", slog.Any("err", err))
	}
}

// addCosts adds costs to the record and returns its content. It writes only if the content
// changes.
func (s *Service) addCosts(ctx context.Context, newCosts ...hashCost) ([]hashCost, error) {
	records := idp.Records[[]hashCost]{Store: s.Store, Kind: costsKind, Clock: s.Clock}
	record, err := records.Get(ctx, costsKey)
	switch {
	case errors.Is(err, idp.ErrNotFound):
	case err != nil:
		return nil, fmt.Errorf("read costs of password hashes: %w", err)
	case slices.Equal(*record, mergeCosts(*record, newCosts)):
		return *record, nil
	}
	var costs []hashCost
	err = records.Update(ctx, []string{costsKey}, func(r *idp.Record[[]hashCost]) error {
		if r.Value == nil {
			r.Value = new([]hashCost)
		}
		costs = mergeCosts(*r.Value, newCosts)
		*r.Value = costs
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("write costs of password hashes: %w", err)
	}
	return costs, nil
}

// addImportCosts records the costs of users to import. A running server measures them.
func (s *Service) addImportCosts(ctx context.Context, users []idp.ImportedUser) error {
	costs, err := s.addCosts(ctx, listCosts(users)...)
	if err == nil && s.Hasher.pace.isMeasured(s.Hasher.newParams().computeCost()) {
		err = s.Hasher.calibrate(ctx, costs...)
	}
	return err
}

// listCosts returns the costs of the hashes of users to import.
func listCosts(users []idp.ImportedUser) (costs []hashCost) {
	for i := range users {
		if p, err := parsePHC(users[i].User.PasswordHash); err == nil && !users[i].AlreadyExists {
			costs = mergeCosts(costs, []hashCost{p.computeCost()})
		}
	}
	return costs
}

// mergeCosts adds costs to a list and drops those that another one covers. If the list is too
// long, it keeps the most expensive ones.
func mergeCosts(costs, newCosts []hashCost) []hashCost {
	list := slices.Clone(costs)
	for _, cost := range newCosts {
		if slices.ContainsFunc(list, func(other hashCost) bool { return other.covers(cost) }) {
			continue
		}
		list = append(slices.DeleteFunc(list, cost.covers), cost)
	}
	slices.SortFunc(list, hashCost.compare)
	return list[:min(maxCosts, len(list))]
}
