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

// read returns the stored history, empty before the first start.
func (s *Service) read(ctx context.Context) (rotation.History, error) {
	h, err := s.history().Get(ctx, idp.RotationKey)
	switch {
	case errors.Is(err, idp.ErrNotFound):
		return rotation.History{}, nil
	case err != nil:
		return rotation.History{}, fmt.Errorf("read the rotation: %w", err)
	}
	return h.WithFaults(s.closedYears()), nil
}

// history returns the records of idp.RotationKind, which has only one.
func (s *Service) history() idp.Records[rotation.History] {
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

// update changes the history in one transaction and returns it. change gets the history
// with all uses until now, so that it decides a step by every use before the record. While
// the uses are unknown, it returns an error instead of retiring a year. It returns an error
// of change unchanged.
func (s *Service) update(ctx context.Context, change func(rotation.History) (rotation.History, error), events ...idp.AuditEvent) (rotation.History, error) {
	uses, unknown := s.lastUses(ctx)
	return s.write(ctx, func(h rotation.History) (rotation.History, error) {
		before := uses.apply(h)
		after, err := change(before)
		if err == nil && unknown != nil && retiresYear(before, after) {
			return before, unknown
		}
		return after, err
	}, events...)
}

// write changes the history in one transaction and returns it.
func (s *Service) write(ctx context.Context, change func(rotation.History) (rotation.History, error), events ...idp.AuditEvent) (h rotation.History, err error) {
	err = s.history().Update(ctx, []string{idp.RotationKey}, func(r *idp.Record[rotation.History]) error {
		if h, err = change(cmp.Or(r.Value, new(rotation.History)).WithFaults(s.closedYears())); err != nil {
			return err
		}
		// Faults belong to this process and its folder, not to the installation.
		stored := h.WithFaults(nil)
		r.Value = &stored
		return nil
	}, events...)
	return h, err
}

// event returns the audit event of a step.
func event(step rotation.Step, actor string) idp.AuditEvent {
	detail := map[string]string{}
	for name, value := range map[string]string{
		"reason": step.Reason, "why": string(step.Why.Code), "why_args": step.Why.Args.JSON(),
		"certificate_end_at": moment(step.CertEndAt), "until": moment(step.Until),
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

// moment formats a time for the audit trail, "" for the zero time.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
