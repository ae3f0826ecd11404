package rotation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"vernal/certs"
	"vernal/idp"
)

// usersTime is how far back service providers are named that keep a year from
// being retired: as long as a year must be unused.
const usersTime = 14 * 24 * time.Hour

// Count notes how many service providers have still to move from each year; it
// writes only what changed.
func (s *Service) Count(ctx context.Context, unmoved map[idp.Year]int) error {
	h, err := s.read(ctx)
	if err != nil {
		return err
	}
	if !recount(h, unmoved) {
		return nil
	}
	s.steps.Lock()
	defer s.steps.Unlock()
	_, err = s.update(ctx, func(h certs.History) (certs.History, error) {
		for y, n := range unmoved {
			h = h.Count(y, n)
		}
		return h, nil
	})
	if err != nil {
		return fmt.Errorf("write the rotation: %w", err)
	}
	return nil
}

// recount reports whether a count differs from what is written.
func recount(h certs.History, unmoved map[idp.Year]int) bool {
	for _, r := range h.Records {
		if n, counted := unmoved[r.Year]; counted && n != r.Unmoved {
			return true
		}
	}
	return false
}

// usersOf are the service providers that keep a year from being retired; nil if
// that cannot be told. The server may have stood still since the last use, so
// whoever used it last is among them.
func (s *Service) usersOf(ctx context.Context, h certs.History, y idp.Year, now time.Time) []idp.EntityID {
	if s.Users == nil {
		return nil
	}
	since := now.Add(-usersTime)
	if r, _ := h.Record(y); !r.UsedAt.IsZero() && r.UsedAt.Before(since) {
		since = r.UsedAt.Truncate(time.Second) // the two are not kept to the same fraction
	}
	users, err := s.Users(ctx, y, since)
	if err != nil {
		s.Log.LogAttrs(ctx, slog.LevelError, "rotation: who uses a year", slog.String("year", string(y)), slog.String("error", err.Error()))
		return nil
	}
	return users
}

// nameUsers adds to a refusal because of use who it is.
func (s *Service) nameUsers(ctx context.Context, err error, h certs.History, now time.Time) error {
	var refused *certs.RefusedError
	if errors.As(err, &refused) && refused.Because.IsUse() {
		refused.Because.Args.SPs = s.usersOf(ctx, h, refused.Year, now)
	}
	return err
}

// nameHeld adds to what needs attention who keeps a year from being retired.
func (s *Service) nameHeld(ctx context.Context, st certs.Status, h certs.History) certs.Status {
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
func (s *Service) recordUsers(ctx context.Context, e *idp.AuditEvent, step certs.Step, now time.Time) {
	h, err := s.read(ctx)
	if err != nil {
		return // the step will not be written either
	}
	h = s.uses.apply(h.Tick(now, 0))
	step.Force = false
	var refused *certs.RefusedError
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
