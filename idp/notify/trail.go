package notify

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/rotation"
)

// Steps are found in the audit trail, because it is written in the same transaction as the
// rotation, names the actor, and includes steps that a command took while no server ran.

const (
	trailPage  = 1000
	trailPages = 100 // in a round
)

// readTrail notifies operators of the steps that were recorded since the last round.
func (s *Service) readTrail(ctx context.Context, now time.Time) error {
	// Record the beginning even if the server is stopped at once: then the next server
	// notifies operators of the records made while none ran.
	if err := s.beginTrail(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	start := s.round.trailSeq
	for range trailPages {
		records, err := audit.Records(ctx, s.Store, s.round.trailSeq, trailPage)
		if err != nil {
			return fmt.Errorf("read the audit trail: %w", err)
		}
		for _, r := range records {
			if err := s.notifyStep(ctx, r, now); err != nil {
				return err
			}
			s.round.trailSeq = r.Seq
		}
		if len(records) < trailPage {
			break
		}
	}
	if s.round.trailSeq == start {
		return nil
	}
	return s.saveMark(ctx, trailMark, s.round.trailSeq)
}

// beginTrail finds the position to begin at: the position that the last server saved or, the first
// time, the end of the trail, because operators need no notice of old steps. Then the first notice
// shows that notices arrive.
func (s *Service) beginTrail(ctx context.Context) error {
	if s.round.hasBegun {
		return nil
	}
	end, exists, err := s.readMark(ctx, trailMark)
	if err == nil && !exists {
		if end, err = s.findTrailEnd(ctx); err == nil {
			err = s.notify(ctx, operatorData{Notice: Notice{ID: "began", At: s.Clock.Now(), Kind: NoticesStarted}}, nil)
		}
		if err == nil {
			err = s.saveMark(ctx, trailMark, end)
		}
	}
	if err != nil {
		return fmt.Errorf("find the end of the audit trail: %w", err)
	}
	s.round.trailSeq, s.round.hasBegun = end, true
	return nil
}

// findTrailEnd returns the Seq of the last record, or 0 for an empty trail.
func (s *Service) findTrailEnd(ctx context.Context) (uint64, error) {
	page, err := s.Store.AuditPage(ctx, idp.AuditQuery{After: math.MaxInt64})
	if err != nil {
		return 0, err
	}
	if !page.IsHeadAuthentic && page.RecordCount > 0 {
		return 0, errors.New("the head of the audit trail is not authentic: run vernal audit verify")
	}
	return page.Head.Seq, nil
}

// notifyStep notifies operators of the recorded step, if they need a notice of it.
func (s *Service) notifyStep(ctx context.Context, r idp.AuditRecord, now time.Time) error {
	name, ok := strings.CutPrefix(string(r.Kind), "rotation.")
	step := rotation.StepKind(name)
	isRevoke := step == rotation.StepRevoke
	if !ok || r.Outcome != "ok" || !isRevoke && (r.Actor != "server" || !step.IsAutomatic()) {
		return nil
	}
	data := operatorData{
		Notice: Notice{ID: fmt.Sprintf("audit/%d", r.Seq), At: now, Kind: StepTaken, Year: r.Year, Step: step, DueAt: r.At},
		Cause:  cleanText(s.loadPhrases().Reason(rotation.ReadReason(r.Detail))), Reason: cleanText(r.Detail["reason"]),
	}
	if !isRevoke {
		return s.notify(ctx, data, nil)
	}
	b, err := s.Board.Board(ctx)
	if err != nil {
		return fmt.Errorf("read the migration board: %w", err)
	}
	data.Kind = Revoked
	return s.notify(ctx, data, b.ListUnmoved(r.Year))
}
