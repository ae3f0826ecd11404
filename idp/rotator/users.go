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

// lastUses has the last use of each year.
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

// retires reports whether a year is retired between two histories. Revoking does not count.
func retires(before, after rotation.History) bool {
	return slices.ContainsFunc(after.Records, func(r rotation.Record) bool {
		was, _ := before.Record(r.Year)
		return was.RetiredAt.IsZero() && !r.RetiredAt.IsZero() && r.RevokedAt.IsZero()
	})
}

// usersOf returns the service providers that prevent a year's retirement, or nil if
// unknown. The server may have been down since the last use, so the last user is included.
func (s *Service) usersOf(ctx context.Context, h rotation.History, y idp.Year, now time.Time) []idp.EntityID {
	users, _ := s.readUsers(ctx, h, y, now)
	return users
}

// readUsers is usersOf, and reports whether the ledger could be read.
func (s *Service) readUsers(ctx context.Context, h rotation.History, y idp.Year, now time.Time) (users []idp.EntityID, ok bool) {
	since := now.Add(-rotation.QuietTime)
	if r, _ := h.Record(y); !r.UsedAt.IsZero() && r.UsedAt.Before(since) {
		since = r.UsedAt
	}
	users, err := s.Uses.Users(ctx, y, since)
	if err != nil {
		s.Log.LogAttrs(ctx, slog.LevelError, "rotation: who uses a year", slog.String("year", string(y)), slog.String("error", err.Error()))
	}
	return users, err == nil
}

// nameUsers adds the users of the year to a refusal because of use.
func (s *Service) nameUsers(ctx context.Context, err error, h rotation.History, now time.Time) error {
	var refused *rotation.RefusedError
	if errors.As(err, &refused) && refused.Because.IsUse() {
		refused.Because.Args.SPs = s.usersOf(ctx, h, refused.Year, now)
	}
	return err
}

// nameHeld adds the users of a year to the attention about its held retirement.
func (s *Service) nameHeld(ctx context.Context, st rotation.Status, h rotation.History) rotation.Status {
	for i, a := range st.Attention {
		if a.IsUse() {
			st.Attention[i] = a.WithUsers(s.usersOf(ctx, h, a.Year, st.At))
		}
	}
	return st
}

// maxRecorded bounds the service providers named in an audit record.
const maxRecorded = 20

// forced is a forced retirement.
type forced struct {
	index int // of its step
	step  rotation.Step
	// users are the service providers that would prevent the retirement, or nil if unknown.
	users []idp.EntityID
}

// forced finds the forced retirement among the steps, or returns nil.
func (s *Service) forced(ctx context.Context, steps []rotation.Step, h rotation.History, now time.Time) *forced {
	i := slices.IndexFunc(steps, func(step rotation.Step) bool { return step.Kind == rotation.StepRetire && step.Force })
	if i < 0 {
		return nil
	}
	f := &forced{index: i, step: steps[i]}
	if users, ok := s.readUsers(ctx, h, f.step.Year, now); ok {
		f.users = append([]idp.EntityID{}, users...)
	}
	return f
}

// cutOff returns the service providers that the retirement cuts off under a history. It is
// empty if no force is needed, and nil if they are unknown.
func (f *forced) cutOff(p rotation.Policy, h rotation.History, now time.Time) []idp.EntityID {
	if f == nil {
		return nil
	}
	step := f.step
	step.Force = false
	if p.CheckStep(step, h, now) == nil {
		return []idp.EntityID{}
	}
	return f.users
}

// record adds the number and names of the service providers that are cut off to the audit
// event of the retirement.
func (f *forced) record(events []idp.AuditEvent, cutOff []idp.EntityID) {
	if f == nil {
		return
	}
	detail := events[f.index].Detail
	delete(detail, "users")
	delete(detail, "used_by")
	if len(cutOff) == 0 {
		return
	}
	names := make([]string, 0, maxRecorded)
	for _, id := range cutOff[:min(len(cutOff), maxRecorded)] {
		names = append(names, string(id))
	}
	detail["users"] = strconv.Itoa(len(cutOff))
	detail["used_by"] = strings.Join(names, ", ")
}
