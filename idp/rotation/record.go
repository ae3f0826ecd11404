package rotation

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"time"

	"vernal/certs"
	"vernal/idp"
)

// read is the history in the store; empty before the first start.
func (s *Service) read(ctx context.Context) (certs.History, error) {
	doc, err := s.Store.Rotation(ctx)
	if err != nil {
		return certs.History{}, fmt.Errorf("read the rotation: %w", err)
	}
	h, err := decode(doc)
	return h.WithFaults(s.faults.all()), err
}

func decode(doc []byte) (h certs.History, err error) {
	if doc == nil {
		return h, nil
	}
	if err := json.Unmarshal(doc, &h); err != nil {
		return h, fmt.Errorf("the rotation's history in the store is damaged: %w", err)
	}
	return h, nil
}

// EndedYears are the years that are retired or revoked by the rotation's
// document in the store, oldest first; none for a nil document.
func EndedYears(doc []byte) (years []idp.Year, err error) {
	h, err := decode(doc)
	if err != nil {
		return nil, err
	}
	for _, r := range h.Records {
		if !r.RetiredAt.IsZero() || !r.RevokedAt.IsZero() {
			years = append(years, r.Year)
		}
	}
	return years, nil
}

// update changes the history in one transaction and returns it. An error of
// change is returned as it is.
func (s *Service) update(ctx context.Context, change func(certs.History) (certs.History, error), events ...idp.AuditEvent) (h certs.History, err error) {
	noted := s.uses.pending()
	err = s.Store.UpdateRotation(ctx, func(old []byte) ([]byte, error) {
		h, err = decode(old)
		if err != nil {
			return nil, err
		}
		if h, err = change(noted.apply(h.WithFaults(s.faults.all()))); err != nil {
			return nil, err
		}
		// Faults are of this process and its folder, not of the installation.
		return json.Marshal(h.WithFaults(nil))
	}, events...)
	if err == nil {
		s.uses.written(noted)
	}
	return h, err
}

// lastUses is the last use of each year.
type lastUses map[idp.Year]time.Time

func (l lastUses) apply(h certs.History) certs.History {
	for y, at := range l {
		h = h.Use(y, at)
	}
	return h
}

// uses are those that are not written yet.
type uses struct {
	mu   sync.Mutex
	last lastUses
}

func (u *uses) add(y idp.Year, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last == nil {
		u.last = lastUses{}
	}
	if at.After(u.last[y]) {
		u.last[y] = at
	}
}

func (u *uses) pending() lastUses {
	u.mu.Lock()
	defer u.mu.Unlock()
	return maps.Clone(u.last)
}

func (u *uses) apply(h certs.History) certs.History { return u.pending().apply(h) }

// written forgets what was written, but not what came meanwhile.
func (u *uses) written(l lastUses) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for y, at := range l {
		if u.last[y].Equal(at) {
			delete(u.last, y)
		}
	}
}

// event is what a step tells the audit trail.
func event(step certs.Step, actor string) idp.AuditEvent {
	detail := map[string]string{}
	for name, value := range map[string]string{
		"reason": step.Reason, "why": step.Why,
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

// addIdentity adds which certificate an event is about or, while a key waits for
// its certificate, which public key.
func addIdentity(detail map[string]string, certSHA256, publicKeySHA256 string) {
	switch {
	case certSHA256 != "":
		detail["certificate_sha256"] = certSHA256
	case publicKeySHA256 != "":
		detail["public_key_sha256"] = publicKeySHA256
	}
}

// moment is a time for the audit trail; "" for the zero one.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
