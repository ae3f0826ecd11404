package rotator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"vernal/idp"
	"vernal/idp/keyring"
	"vernal/idp/rotation"
)

// RestoreDocument returns a rotation document of the store after a restore: automatic steps are
// held until an operator resumes them.
func RestoreDocument(doc []byte, backupAt, now time.Time) ([]byte, error) {
	var h rotation.History
	if err := json.Unmarshal(doc, &h); err != nil {
		return nil, fmt.Errorf("the rotation's history in the store is damaged: %w", err)
	}
	return json.Marshal(h.Restore(backupAt, now))
}

// ReadPastStep returns the step that an audit record of another time is about. ok is false for
// other records, and for a refused step.
func ReadPastStep(rec *idp.AuditRecord) (s rotation.PastStep, ok bool) {
	if rec.Outcome != "ok" {
		return s, false
	}
	detail := rec.Detail
	s.At, s.Year, s.Reason, s.Force = rec.At, rec.Year, detail["reason"], detail["force"] == "true"
	s.CertificateSHA256, s.PublicKeySHA256 = detail["certificate_sha256"], detail["public_key_sha256"]
	s.CertEndAt, s.HoldEndAt = parseTime(detail["certificate_end_at"]), parseTime(detail["until"])
	if rec.Kind == idp.AuditRotationAdopt {
		s.Kind = rotation.StepCreate
		return s, true
	}
	for _, kind := range rotation.StepKinds() {
		if rec.Kind == idp.RotationAuditKind(string(kind)) {
			s.Kind = kind
			return s, true
		}
	}
	return s, false
}

// parseTime reads a time in the format of moment. It returns the zero time for other text.
func parseTime(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// Replay repeats steps that an exported audit trail has and the restored store lacks, before
// Start, and returns the history. Each step that changed something is recorded again with the
// time at which it was taken. Start removes the keys whose end is recorded. See
// rotation.Replay.
func (s *Service) Replay(ctx context.Context, past []rotation.PastStep, actor string) (rotation.History, error) {
	s.stepLock.Lock()
	defer s.stepLock.Unlock()
	h, err := s.readHistory(ctx)
	if err != nil {
		return h, err
	}
	_, applied := h.Replay(past)
	if len(applied) == 0 {
		return h, nil
	}
	events := make([]idp.AuditEvent, len(applied))
	for i, step := range applied {
		events[i] = newEvent(step.Step, actor)
		events[i].Detail = maps.Clone(events[i].Detail)
		if events[i].Detail == nil {
			events[i].Detail = map[string]string{}
		}
		events[i].Detail["taken_at"] = formatTime(step.At)
	}
	h, err = s.writeHistory(ctx, func(h rotation.History) (rotation.History, error) {
		after, _ := h.Replay(past)
		return after, nil
	}, events...)
	if err != nil {
		return h, fmt.Errorf("replay the rotation: %w", err)
	}
	return h, nil
}

// ReplaceLost makes another year preferred if the preferred one is among the lost ones, whose
// keys are missing, so that a restored installation can sign. It is called instead of Start and
// returns the new preferred year, "" if none was needed or none can be made.
func (s *Service) ReplaceLost(ctx context.Context, lost []idp.Year, actor string) (idp.Year, error) {
	if err := s.Start(ctx); !errors.Is(err, keyring.ErrNoSigner) {
		return "", err
	}
	s.stepLock.Lock()
	defer s.stepLock.Unlock()
	h, now, err := s.catchUp(ctx)
	if err != nil || !slices.Contains(lost, h.Preferred) {
		return "", err
	}
	steps := s.Policy.ReplaceSteps(h, now)
	if len(steps) == 0 {
		return "", nil
	}
	if _, err := s.takeBatch(ctx, h, &stepBatch{policy: s.Policy, steps: steps, actor: actor, now: now}, false); err != nil {
		return "", fmt.Errorf("replace the year %s, whose key is lost: %w", h.Preferred, err)
	}
	return steps[0].Year, nil
}
