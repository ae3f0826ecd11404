package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/rotation"
)

// The audit trail is where steps are found: it is written in the same step as
// the rotation, says who took it, and misses none that a command took while no
// server ran.

const (
	trailState = statePrefix + "trail"
	trailPage  = 1000
	// trailPages bounds a round, trailSave is after how many records their end
	// is written down when nothing in them is told.
	trailPages = 100
	trailSave  = 20_000
)

// readTrail tells of the steps that were recorded since the last round.
func (s *Service) readTrail(ctx context.Context, now time.Time) error {
	if err := s.beginTrail(ctx); err != nil {
		return err
	}
	from := s.round.trail
	told := false
	for range trailPages {
		records, err := audit.Records(ctx, s.Store, s.round.trail, trailPage)
		if err != nil {
			return fmt.Errorf("read the audit trail: %w", err)
		}
		for _, r := range records {
			n, ok, err := s.ofRecord(ctx, r, now)
			if err == nil && ok {
				told = true
				err = s.post(ctx, n)
			}
			if err != nil {
				return err
			}
			s.round.trail = r.Seq
		}
		if len(records) < trailPage {
			break
		}
	}
	if told || s.round.trail-from >= trailSave {
		return s.saveTrail(ctx, s.round.trail)
	}
	return nil
}

// beginTrail finds where to begin: where any server left off or, the first time,
// at the end. Nobody wants to be told of years ago.
func (s *Service) beginTrail(ctx context.Context) error {
	if s.round.began {
		return nil
	}
	doc, err := idp.LookupDocument(ctx, s.Store, documents, trailState)
	switch {
	case errors.Is(err, idp.ErrNotFound):
		err = s.firstTime(ctx)
	case err == nil:
		err = json.Unmarshal(doc, &s.round.trail)
	}
	if err != nil {
		return fmt.Errorf("find the end of the audit trail: %w", err)
	}
	s.round.began = true
	return nil
}

// firstTime begins at the end of the trail, and says hello.
func (s *Service) firstTime(ctx context.Context) (err error) {
	if s.round.trail, err = s.endOfTrail(ctx); err != nil {
		return err
	}
	n, err := s.operators(Notice{ID: "began", At: s.Clock.Now(), Kind: Began}, "operator_began.txt", operatorData{}, nil)
	if err == nil {
		err = s.post(ctx, n)
	}
	if err != nil {
		return err
	}
	return s.saveTrail(ctx, s.round.trail)
}

// endOfTrail is the Seq of the last record, found by halving.
func (s *Service) endOfTrail(ctx context.Context) (uint64, error) {
	low, high := uint64(0), uint64(math.MaxInt64)
	for low < high {
		middle := low + (high-low)/2
		after, err := audit.Records(ctx, s.Store, middle, 1)
		if err != nil {
			return 0, err
		}
		if len(after) == 0 {
			high = middle
		} else {
			low = after[0].Seq
		}
	}
	return low, nil
}

// saveTrail moves the mark on; never back, should another server be ahead.
func (s *Service) saveTrail(ctx context.Context, seq uint64) error {
	return s.Store.UpdateDocuments(ctx, documents, []string{trailState}, idp.ChangeData(func(_ string, old []byte) ([]byte, error) {
		var was uint64
		if old != nil {
			if err := json.Unmarshal(old, &was); err != nil {
				return nil, err
			}
		}
		return json.Marshal(max(was, seq))
	}))
}

// ofRecord is the notice of a record; false if nobody is told of it.
func (s *Service) ofRecord(ctx context.Context, r idp.AuditRecord, now time.Time) (Notice, bool, error) {
	name, ok := strings.CutPrefix(string(r.Kind), "rotation.")
	step := rotation.StepKind(name)
	n := Notice{ID: fmt.Sprintf("audit/%d", r.Seq), At: now, Kind: StepTaken, Year: r.Year, Step: step, DueAt: r.At}
	if !ok || r.Outcome != "ok" {
		return n, false, nil
	}
	phrases := s.phrases()
	d := operatorData{At: r.At, Step: string(step), Year: r.Year, Why: plain(phrases.Reason(rotation.ReadReason(r.Detail))), Reason: plain(r.Detail["reason"])}
	switch {
	case isRevocation(step):
		n.Kind = Revoked
		b, err := s.Board.Board(ctx)
		if err != nil {
			return n, false, fmt.Errorf("read the board: %w", err)
		}
		n, err = s.operators(n, "operator_revoked.txt", d, b.UnmovedFrom(r.Year))
		return n, true, err
	case r.Actor != "server" || !step.IsAutomatic():
		return n, false, nil
	}
	n, err := s.operators(n, "operator_step.txt", d, nil)
	return n, true, err
}
