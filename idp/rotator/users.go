package rotator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/rotation"
)

// lastUses is the last use of each year.
type lastUses map[idp.Year]time.Time

func (l lastUses) apply(h rotation.History) rotation.History {
	for y, at := range l {
		h = h.Use(y, at)
	}
	return h
}

// errUsesUnknown is returned instead of retiring a year.
var errUsesUnknown = errors.New("the last uses cannot be read, so no year is retired")

// lastUses reads the ledger of uses. The error matches errUsesUnknown.
func (s *Service) lastUses(ctx context.Context) (lastUses, error) {
	last, err := s.Uses.LastUses(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUsesUnknown, err)
	}
	return last, nil
}

// retires reports whether a year is retired between two histories. Revoking is
// not retiring.
func retires(before, after rotation.History) bool {
	return slices.ContainsFunc(after.Records, func(r rotation.Record) bool {
		was, _ := before.Record(r.Year)
		return was.RetiredAt.IsZero() && !r.RetiredAt.IsZero() && r.RevokedAt.IsZero()
	})
}

// unmoved counts the service providers that have still to move from each year; nil
// if that is unknown, or makes no difference now.
func (s *Service) unmoved(ctx context.Context, h rotation.History, now time.Time) rotation.Counts {
	if s.Moves == nil || !h.NeedsCounts(now) {
		return nil
	}
	counts, err := s.Moves.Unmoved(ctx)
	if err != nil {
		s.Log.LogAttrs(ctx, slog.LevelError, "rotation: count the service providers that have not moved", slog.String("error", err.Error()))
		return nil
	}
	return counts
}

// usersOf are the service providers that keep a year from being retired; nil if
// that cannot be told. The server may have stood still since the last use, so
// whoever used it last is among them.
func (s *Service) usersOf(ctx context.Context, h rotation.History, y idp.Year, now time.Time) []idp.EntityID {
	since := now.Add(-rotation.QuietTime)
	if r, _ := h.Record(y); !r.UsedAt.IsZero() && r.UsedAt.Before(since) {
		since = r.UsedAt
	}
	users, err := s.Uses.Users(ctx, y, since)
	if err != nil {
		s.Log.LogAttrs(ctx, slog.LevelError, "rotation: who uses a year", slog.String("year", string(y)), slog.String("error", err.Error()))
		return nil
	}
	return users
}

// nameUsers adds to a refusal because of use who it is.
func (s *Service) nameUsers(ctx context.Context, err error, h rotation.History, now time.Time) error {
	var refused *rotation.RefusedError
	if errors.As(err, &refused) && refused.Because.IsUse() {
		refused.Because.Args.SPs = s.usersOf(ctx, h, refused.Year, now)
	}
	return err
}

// nameHeld adds to what needs attention who keeps a year from being retired.
func (s *Service) nameHeld(ctx context.Context, st rotation.Status, h rotation.History) rotation.Status {
	for i, a := range st.Attention {
		if a.IsUse() {
			st.Attention[i] = a.WithUsers(s.usersOf(ctx, h, a.Year, st.At))
		}
	}
	return st
}

// maxRecorded is how many service providers an audit record names.
const maxRecorded = 20

// recordUsers adds to the record of a forced retirement whom it cuts off: how
// many service providers, and who. A force that was not needed cuts off nobody.
func (s *Service) recordUsers(ctx context.Context, e *idp.AuditEvent, step rotation.Step, now time.Time) {
	h, _, err := s.now(ctx)
	if err != nil {
		return // the step will not be written either
	}
	step.Force = false
	var refused *rotation.RefusedError
	if err := s.nameUsers(ctx, s.Policy.CheckStep(step, h, now), h, now); !errors.As(err, &refused) || len(refused.Because.Args.SPs) == 0 {
		return
	}
	users := refused.Because.Args.SPs
	names := make([]string, 0, maxRecorded)
	for _, id := range users[:min(len(users), maxRecorded)] {
		names = append(names, string(id))
	}
	e.Detail["users"] = strconv.Itoa(len(users))
	e.Detail["used_by"] = strings.Join(names, ", ")
}
