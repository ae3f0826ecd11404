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

// readUses has the last use of each year.
type yearUses map[idp.Year]time.Time

func (l yearUses) apply(h rotation.History) rotation.History {
	for y, at := range l {
		h = h.Use(y, at)
	}
	return h
}

// errUsesUnknown prevents the retirement of a year.
var errUsesUnknown = errors.New("the last uses cannot be read, so no year is retired")

// readUses reads the ledger of uses. The error matches errUsesUnknown.
func (s *Service) readUses(ctx context.Context) (yearUses, error) {
	last, err := s.Uses.LastUses(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUsesUnknown, err)
	}
	return last, nil
}

// retiresYear reports whether a year is retired between two histories. Revoking does not count.
func retiresYear(before, after rotation.History) bool {
	return slices.ContainsFunc(after.Records, func(r rotation.Record) bool {
		was, _ := before.Record(r.Year)
		return was.RetiredAt.IsZero() && !r.RetiredAt.IsZero() && r.RevokedAt.IsZero()
	})
}

// listUsers returns the service providers that keep a year from being retired. It returns
// false if the ledger cannot be read. The server may not have run since the last use, so the
// last user is included.
func (s *Service) listUsers(ctx context.Context, h rotation.History, y idp.Year, now time.Time) (users []idp.EntityID, ok bool) {
	since := now.Add(-rotation.QuietTime)
	if r, _ := h.Record(y); !r.UsedAt.IsZero() && r.UsedAt.Before(since) {
		since = r.UsedAt
	}
	users, err := s.Uses.Users(ctx, y, since)
	if err != nil {
		s.Log.LogAttrs(ctx, slog.LevelError, "rotation: the users of a year cannot be read", slog.String("year", string(y)), slog.String("error", err.Error()))
	}
	return users, err == nil
}

// nameUsers adds the users of the year to a refusal because of use.
func (s *Service) nameUsers(ctx context.Context, err error, h rotation.History, now time.Time) error {
	if refused, ok := errors.AsType[*rotation.RefusedError](err); ok && refused.Reason.IsUse() {
		refused.Reason.Args.SPs, _ = s.listUsers(ctx, h, refused.Year, now)
	}
	return err
}

// nameHeldUsers adds the users of a year to the attention about its held retirement.
func (s *Service) nameHeldUsers(ctx context.Context, st rotation.Status, h rotation.History) rotation.Status {
	for i, a := range st.Attention {
		if a.IsUse() {
			users, _ := s.listUsers(ctx, h, a.Year, st.At)
			st.Attention[i] = a.WithUsers(users)
		}
	}
	return st
}

// maxNamedSPs bounds the service providers named in an audit record.
const maxNamedSPs = 20

// recordCutOff adds to the record of a forced retirement the number and the names of the
// service providers that it cuts off.
func recordCutOff(detail map[string]string, cutOff []idp.EntityID) {
	delete(detail, "users")
	delete(detail, "used_by")
	if len(cutOff) == 0 {
		return
	}
	names := make([]string, 0, maxNamedSPs)
	for _, id := range cutOff[:min(len(cutOff), maxNamedSPs)] {
		names = append(names, string(id))
	}
	detail["users"] = strconv.Itoa(len(cutOff))
	detail["used_by"] = strings.Join(names, ", ")
}
