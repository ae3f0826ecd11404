package rotator

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"vernal/idp"
	"vernal/idp/rotation"
)

// readHistory returns the stored history, empty before the first start.
func (s *Service) readHistory(ctx context.Context) (rotation.History, error) {
	h, err := s.openRecords().Get(ctx, idp.RotationKey)
	switch {
	case errors.Is(err, idp.ErrNotFound):
		return rotation.History{}, nil
	case err != nil:
		return rotation.History{}, fmt.Errorf("read the rotation: %w", err)
	}
	return h.WithFaults(s.loadFaults()), nil
}

// openRecords returns the records of idp.RotationKind, which has only one.
func (s *Service) openRecords() idp.Records[rotation.History] {
	return idp.Records[rotation.History]{Store: s.Store, Kind: idp.RotationKind, Clock: s.Clock}
}

// EndedYears lists the retired and revoked years in a rotation document of the store,
// oldest first. A nil document has none.
func EndedYears(doc []byte) (years []idp.Year, err error) {
	if doc == nil {
		return nil, nil
	}
	var h rotation.History
	if err := json.Unmarshal(doc, &h); err != nil {
		return nil, fmt.Errorf("the rotation's history in the store is damaged: %w", err)
	}
	for _, r := range h.Records {
		if r.IsOver() {
			years = append(years, r.Year)
		}
	}
	return years, nil
}

// updateHistory changes the history in one transaction and returns it. change gets the history
// with all uses until now, so that it decides a step by every use before the record. While
// the uses are unknown, it returns an error instead of retiring a year. It returns an error
// of change unchanged.
func (s *Service) updateHistory(ctx context.Context, change func(rotation.History) (rotation.History, error), events ...idp.AuditEvent) (rotation.History, error) {
	uses, unknown := s.readUses(ctx)
	return s.writeHistory(ctx, func(h rotation.History) (rotation.History, error) {
		before := uses.apply(h)
		after, err := change(before)
		if err == nil && unknown != nil && retiresYear(before, after) {
			return before, unknown
		}
		return after, err
	}, events...)
}

// writeHistory changes the history in one transaction and returns it.
func (s *Service) writeHistory(ctx context.Context, change func(rotation.History) (rotation.History, error), events ...idp.AuditEvent) (h rotation.History, err error) {
	err = s.openRecords().Update(ctx, []string{idp.RotationKey}, func(r *idp.Record[rotation.History]) error {
		if h, err = change(cmp.Or(r.Value, new(rotation.History)).WithFaults(s.loadFaults())); err != nil {
			return err
		}
		// Faults belong to this process and its folder, not to the installation.
		stored := h.WithFaults(nil)
		r.Value = &stored
		return nil
	}, events...)
	return h, err
}

// newEvent returns the audit event of a step.
func newEvent(step rotation.Step, actor string) idp.AuditEvent {
	detail := map[string]string{}
	for name, value := range map[string]string{
		"reason": step.Reason, "why": string(step.Cause.Code), "why_args": step.Cause.Args.JSON(),
		"certificate_end_at": formatTime(step.CertEndAt), "until": formatTime(step.HoldEndAt),
	} {
		if value != "" {
			detail[name] = value
		}
	}
	addIdentity(detail, step.CertificateSHA256, step.PublicKeySHA256)
	if step.Force {
		detail["force"] = "true"
	}
	if len(detail) == 0 {
		detail = nil
	}
	return idp.AuditEvent{Kind: idp.RotationAuditKind(string(step.Kind)), Outcome: "ok", Actor: actor, Year: step.Year, Detail: detail}
}

// addIdentity adds the certificate of an event or, while a key waits for its certificate,
// the public key.
func addIdentity(detail map[string]string, certSHA256, publicKeySHA256 string) {
	switch {
	case certSHA256 != "":
		detail["certificate_sha256"] = certSHA256
	case publicKeySHA256 != "":
		detail["public_key_sha256"] = publicKeySHA256
	}
}

// formatTime formats a time for the audit trail, "" for the zero time.
func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
