package restore

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/partnercert"
	"vernal/idp/rotation"
	"vernal/idp/sp"
)

// The reasons that a restore gives in the records of the users that it locks.
const (
	LockedAfterBackup   = "restore: locked after the backup"
	PasswordAfterBackup = "restore: the password was changed after the backup; set a new one, then unlock"
)

// SinceReport reports the changes after a backup, as an exported trail showed them, and their fate.
type SinceReport struct {
	// End is the last record of the exported trail, and Records the number of those after the
	// backup. Signed says that a checkpoint of this installation proves the end.
	End     audit.Place `json:"end"`
	Records int         `json:"records"`
	Signed  bool        `json:"signed"`
	// Steps are the repeated steps of the rotation.
	Steps []Step `json:"steps,omitempty"`
	// LostYears are years whose keys were made after the backup. They are closed until the
	// key files are back in the keys folder, or the years are revoked.
	LostYears []idp.Year `json:"lost_years,omitempty"`
	// Replacement is the year that became preferred because the preferred one is lost, "" if
	// that was not needed. Service providers must move to it, unless the lost key is found.
	Replacement idp.Year `json:"replacement,omitzero"`
	// The users that the restore deleted again, locked again or locked because their password
	// had changed, and those whose second factors or proofed identity it removed again.
	Deleted         []idp.UserID `json:"deleted,omitempty"`
	Locked          []idp.UserID `json:"locked,omitempty"`
	PasswordChanged []idp.UserID `json:"password_changed,omitempty"`
	FactorsRemoved  []idp.UserID `json:"factors_removed,omitempty"`
	ProofRemoved    []idp.UserID `json:"proof_removed,omitempty"`
	// The service providers that the restore removed again or made inactive, and those whose
	// request certificates it removed again.
	SPsRemoved     []idp.EntityID `json:"sps_removed,omitempty"`
	SPsInactive    []idp.EntityID `json:"sps_inactive,omitempty"`
	SPCertsRemoved []idp.EntityID `json:"sp_certs_removed,omitempty"`
	// NewNameIDs counts, for each service provider, the users who first visited it after the
	// backup. They will have another NameID there.
	NewNameIDs map[idp.EntityID]int `json:"new_name_ids,omitempty"`
	// Lost counts the changes after the backup that are lost, by the kind of their record.
	Lost map[idp.AuditKind]int `json:"lost,omitempty"`
}

// Step is a repeated step of the rotation.
type Step struct {
	Kind rotation.StepKind `json:"step"`
	Year idp.Year          `json:"year"`
}

// apply repeats the steps, locks and removals after the backup. It skips those that are done
// already.
func (s *Service) apply(ctx context.Context, p *plan, actor string) (*SinceReport, error) {
	out := &SinceReport{End: p.end, Records: p.recordCount, Signed: p.isSigned, Lost: p.lostCounts}
	h, err := s.Rotation.Replay(ctx, p.steps, actor)
	if err != nil {
		return nil, err
	}
	out.addSteps(h, p.steps)
	if len(out.LostYears) > 0 {
		if out.Replacement, err = s.Rotation.ReplaceLost(ctx, out.LostYears, actor); err != nil {
			return nil, err
		}
	}
	for _, id := range sortKeys(p.users) {
		if err := s.applyUser(ctx, id, p.users[id], out, actor); err != nil {
			return nil, fmt.Errorf("user %s: %w", id, err)
		}
	}
	for _, id := range sortKeys(p.sps) {
		if err := s.applySP(ctx, id, p.sps[id], out, actor); err != nil {
			return nil, fmt.Errorf("service provider %s: %w", id, err)
		}
	}
	return out, s.countNewNameIDs(ctx, p, out)
}

// addSteps reports the steps that the history shows, so that the report is the same after a
// crash.
func (since *SinceReport) addSteps(h rotation.History, past []rotation.PastStep) {
	for _, s := range past {
		if !h.Reflects(s) {
			since.Lost[idp.RotationAuditKind(string(s.Kind))]++
			continue
		}
		since.Steps = append(since.Steps, Step{s.Kind, s.Year})
		r, _ := h.Record(s.Year)
		if r.CreatedAt.Equal(s.At) && !r.IsOver() && !slices.Contains(since.LostYears, s.Year) {
			since.LostYears = append(since.LostYears, s.Year)
		}
	}
}

func sortKeys[K idp.UserID | idp.EntityID, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// applyUser repeats the deletion, locks and removals of a user who is in the backup.
func (s *Service) applyUser(ctx context.Context, id idp.UserID, end *userChanges, out *SinceReport, actor string) error {
	u, err := s.Store.User(ctx, id)
	if errors.Is(err, idp.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	email := u.PrimaryEmail()
	if end.isDeleted {
		out.Deleted = append(out.Deleted, id)
		return s.Accounts.Delete(ctx, email, actor)
	}
	if end.hasLostFactors && len(u.TOTPs) > 0 {
		if _, err := s.Accounts.ResetMFA(ctx, email, actor); err != nil {
			return err
		}
	}
	if end.hasLostFactors {
		out.FactorsRemoved = append(out.FactorsRemoved, id)
	}
	end.hasLostProof = end.hasLostProof || end.hasLostFacialMatch && u.Proofing != nil && u.Proofing.Level == idp.IALFacialMatch
	if end.hasLostProof && u.Proofing != nil {
		if _, err := s.Accounts.Verify(ctx, email, nil, false, actor); err != nil {
			return err
		}
	}
	if end.hasLostProof {
		out.ProofRemoved = append(out.ProofRemoved, id)
	}
	reason := ""
	switch {
	case end.hasNewPassword:
		out.PasswordChanged, reason = append(out.PasswordChanged, id), PasswordAfterBackup
	case end.isLocked:
		out.Locked, reason = append(out.Locked, id), LockedAfterBackup
	}
	// An operator who ended a lock from before the backup ends it again, so it names the password.
	if reason == "" || u.IsLocked() && (!end.hasNewPassword || u.LockReason == reason) {
		return nil
	}
	_, err = s.Accounts.Lock(ctx, email, reason, actor)
	return err
}

// applySP repeats the removals of a service provider that is in the backup.
func (s *Service) applySP(ctx context.Context, id idp.EntityID, end *spChanges, out *SinceReport, actor string) error {
	p, err := s.Registry.Get(ctx, id)
	if errors.Is(err, idp.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if end.isRemoved {
		out.SPsRemoved = append(out.SPsRemoved, id)
		return s.Registry.Remove(ctx, id, actor)
	}
	rest, inactive := dropEndedCerts(p.Certs, end.certs), end.isInactive
	if len(rest) == 0 && len(p.Certs) > 0 {
		// A registration needs certificates. No one can use these while it is inactive.
		rest, inactive = p.Certs, true
	}
	hasEnded := len(rest) < len(p.Certs)
	if inactive {
		out.SPsInactive = append(out.SPsInactive, id)
	}
	if hasEnded {
		out.SPCertsRemoved = append(out.SPCertsRemoved, id)
	}
	if !hasEnded && (!inactive || !p.Active) {
		return nil
	}
	_, err = s.Registry.Edit(ctx, id, func(p *idp.ServiceProvider) error {
		p.Certs, p.Active = rest, p.Active && !inactive
		return nil
	}, sp.Options{AllowInsecureURL: true}, actor)
	return err
}

// dropEndedCerts returns the certificates whose fingerprints are among the known ones. If known
// is nil, it returns all.
func dropEndedCerts(pems, known []string) (rest []string) {
	if known == nil {
		return pems
	}
	for _, text := range pems {
		parsed, err := partnercert.Read([]byte(text))
		if err == nil && slices.ContainsFunc(parsed, func(c *x509.Certificate) bool { return slices.Contains(known, certs.CertSHA256(c)) }) {
			rest = append(rest, text)
		}
	}
	return rest
}

// countNewNameIDs counts the NameIDs that are lost.
func (s *Service) countNewNameIDs(ctx context.Context, p *plan, out *SinceReport) error {
	for v := range p.visits {
		provider, err := s.Registry.Get(ctx, v.sp)
		if err == nil {
			_, err = s.Store.User(ctx, v.user)
		}
		if err == nil {
			if _, err = s.Store.NameID(ctx, provider.NameIDScope, v.user); errors.Is(err, idp.ErrNotFound) {
				if out.NewNameIDs == nil {
					out.NewNameIDs = map[idp.EntityID]int{}
				}
				out.NewNameIDs[v.sp]++
			}
		}
		if err != nil && !errors.Is(err, idp.ErrNotFound) {
			return err
		}
	}
	return nil
}

// newEvent returns the audit event about the repeated changes.
func (since *SinceReport) newEvent(actor string) idp.AuditEvent {
	detail := map[string]string{"seq": strconv.FormatUint(since.End.Seq, 10), "hash": since.End.HashOrFirst()}
	lost := 0
	for _, n := range since.Lost {
		lost += n
	}
	for name, n := range map[string]int{
		"steps": len(since.Steps), "deleted": len(since.Deleted), "locked": len(since.Locked), "password_changed": len(since.PasswordChanged),
		"factors_removed": len(since.FactorsRemoved), "proof_removed": len(since.ProofRemoved), "sps_removed": len(since.SPsRemoved),
		"sps_inactive": len(since.SPsInactive), "sp_certs_removed": len(since.SPCertsRemoved), "lost": lost,
	} {
		if n > 0 {
			detail[name] = strconv.Itoa(n)
		}
	}
	return idp.AuditEvent{Kind: idp.AuditRestoredSince, Outcome: "ok", Actor: actor, Detail: detail}
}
