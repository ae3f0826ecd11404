package usermail

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/templates"
)

// changes are the kinds of audit record of which a user gets a notice.
var changes = map[idp.AuditKind]bool{
	idp.AuditUserSetPassword:   true,
	idp.AuditUserAddTOTP:       true,
	idp.AuditUserResetMFA:      true,
	idp.AuditUserLock:          true,
	idp.AuditUserUnlock:        true,
	idp.AuditUserVerify:        true,
	idp.AuditUserRecoveryCodes: true,
	idp.AuditUserForgetDevice:  false, // the user's own small change
}

const (
	trailPage  = 1000
	trailPages = 100 // in a round
)

// trailMark is the key of the position that was reached in the audit trail.
const trailMark = "trail"

// readTrail queues the notices of the changes that were recorded since the last round.
func (s *Service) readTrail(ctx context.Context) error {
	if err := s.beginTrail(ctx); err != nil {
		return err
	}
	start := s.trail
	for range trailPages {
		records, err := audit.Records(ctx, s.Store, s.trail, trailPage)
		if err != nil {
			return fmt.Errorf("read the audit trail: %w", err)
		}
		var mails []Mail
		for _, r := range records {
			some, err := s.noticesOf(ctx, r)
			if err != nil {
				return err
			}
			mails = append(mails, some...)
		}
		if len(mails) > 0 {
			if err := s.Queue(ctx, mails...); err != nil {
				return err
			}
		}
		if len(records) > 0 {
			s.trail = records[len(records)-1].Seq
		}
		if len(records) < trailPage {
			break
		}
	}
	if s.trail == start {
		return nil
	}
	return s.saveMark(ctx)
}

// beginTrail finds the position to begin at: the position that the last server saved or, the first
// time, the end of the trail.
func (s *Service) beginTrail(ctx context.Context) error {
	if s.hasBegun {
		return nil
	}
	mark, err := s.marks().Get(ctx, trailMark)
	switch {
	case err == nil:
		s.trail = *mark
	case errors.Is(err, idp.ErrNotFound):
		page, err := s.Store.AuditPage(ctx, idp.AuditQuery{After: math.MaxInt64})
		if err != nil {
			return fmt.Errorf("find the end of the audit trail: %w", err)
		}
		s.trail = page.Head.Seq
		if err := s.saveMark(ctx); err != nil {
			return err
		}
	default:
		return fmt.Errorf("read how far the audit trail was read: %w", err)
	}
	s.hasBegun = true
	return nil
}

func (s *Service) marks() idp.Records[uint64] {
	return idp.Records[uint64]{Store: s.Store, Kind: MarkKind, Clock: s.Clock}
}

// saveMark moves the stored position forward, and never back.
func (s *Service) saveMark(ctx context.Context) error {
	return s.marks().Update(ctx, []string{trailMark}, func(r *idp.Record[uint64]) error {
		if r.Value == nil || *r.Value < s.trail {
			at := s.trail
			r.Value = &at
		}
		return nil
	})
}

// noticesOf returns the notices of an audit record, one to each confirmed email address of the
// user. A mail that cannot be delivered to one of them still reaches the others.
func (s *Service) noticesOf(ctx context.Context, r idp.AuditRecord) ([]Mail, error) {
	kind := kindOf(r)
	if kind == "" {
		return nil, nil
	}
	u, err := s.Store.User(ctx, r.User)
	if errors.Is(err, idp.ErrNotFound) {
		return nil, nil // deleted since
	}
	if err != nil {
		return nil, fmt.Errorf("read the user of a change: %w", err)
	}
	var mails []Mail
	for i, e := range u.Emails {
		if e.ConfirmedAt.IsZero() {
			continue
		}
		mails = append(mails, Mail{
			ID: fmt.Sprintf("audit/%d/%d", r.Seq, i), Kind: kind, To: e.Address, Lang: templates.Lang(u.Lang),
			Args: Args{
				Change: r.Kind, By: originOf(r.Actor), At: r.At,
				Browser: r.Detail["browser"], System: r.Detail["system"],
			},
		})
	}
	return mails, nil
}

// kindOf returns the kind of the notice of an audit record, "" for none.
func kindOf(r idp.AuditRecord) Kind {
	switch {
	case r.User == "" || r.Outcome != "ok":
		return ""
	case r.Kind == idp.AuditAuthn && r.Detail["new_device"] == "yes":
		return NewDevice
	case changes[r.Kind]:
		return Changed
	}
	return ""
}

// originOf returns who made a change: the user, the server, or staff.
func originOf(actor string) string {
	switch {
	case strings.HasPrefix(actor, "user:"):
		return "user"
	case actor == "server":
		return "server"
	}
	return "staff"
}
