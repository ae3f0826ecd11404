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

// SinceReport lists the changes after a backup that an exported trail contains, and the result for each.
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
	// had changed, and those whose second factors or proofed identity it removed again. The recovery
	// codes of users who had used one are removed.
	Deleted         []idp.UserID `json:"deleted,omitempty"`
	Locked          []idp.UserID `json:"locked,omitempty"`
	PasswordChanged []idp.UserID `json:"password_changed,omitempty"`
	FactorsRemoved  []idp.UserID `json:"factors_removed,omitempty"`
	ProofRemoved    []idp.UserID `json:"proof_removed,omitempty"`
	CodesRemoved    []idp.UserID `json:"codes_removed,omitempty"`
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
	report := &SinceReport{End: p.end, Records: p.recordCount, Signed: p.isSigned, Lost: p.lostCounts}
	h, err := s.Rotation.Replay(ctx, p.steps, actor)
	if err != nil {
		return nil, err
	}
	report.addSteps(h, p.steps)
	if len(report.LostYears) > 0 {
		if report.Replacement, err = s.Rotation.ReplaceLost(ctx, report.LostYears, actor); err != nil {
			return nil, err
		}
	}
	for _, id := range sortKeys(p.users) {
		if err := s.applyUser(ctx, id, p, report, actor); err != nil {
			return nil, fmt.Errorf("user %s: %w", id, err)
		}
	}
	for _, id := range sortKeys(p.sps) {
		if err := s.applySP(ctx, id, p.sps[id], report, actor); err != nil {
			return nil, fmt.Errorf("service provider %s: %w", id, err)
		}
	}
	return report, s.countNewNameIDs(ctx, p, report)
}

// addSteps reports the steps that the history shows, so that the report is the same after a
// crash.
func (report *SinceReport) addSteps(h rotation.History, steps []rotation.PastStep) {
	for _, s := range steps {
		if !h.Reflects(s) {
			report.Lost[idp.RotationAuditKind(string(s.Kind))]++
			continue
		}
		report.Steps = append(report.Steps, Step{s.Kind, s.Year})
		r, _ := h.Record(s.Year)
		if r.CreatedAt.Equal(s.At) && !r.IsOver() && !slices.Contains(report.LostYears, s.Year) {
			report.LostYears = append(report.LostYears, s.Year)
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
func (s *Service) applyUser(ctx context.Context, id idp.UserID, p *plan, report *SinceReport, actor string) error {
	changes := p.users[id]
	u, err := s.Store.User(ctx, id)
	if errors.Is(err, idp.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	email := u.PrimaryEmail()
	if changes.isDeleted {
		report.Deleted = append(report.Deleted, id)
		if err := s.discloseEmails(ctx, u, p); err != nil {
			return err
		}
		return s.Accounts.Delete(ctx, email, actor)
	}
	for _, sp := range changes.withdrawn {
		if err := s.Accounts.RepeatWithdrawal(ctx, id, sp, actor); err != nil && !errors.Is(err, idp.ErrNotFound) {
			return err
		}
	}
	if changes.hasUsedCode && u.RecoveryCodes != nil {
		if err := s.Accounts.RemoveRecoveryCodes(ctx, id, actor); err != nil {
			return err
		}
	}
	if changes.hasUsedCode {
		report.CodesRemoved = append(report.CodesRemoved, id)
	}
	if changes.hasLostFactors && (len(u.TOTPs) > 0 || u.RecoveryCodes != nil) {
		if _, err := s.Accounts.ResetMFA(ctx, email, actor); err != nil {
			return err
		}
	}
	if changes.hasLostFactors {
		report.FactorsRemoved = append(report.FactorsRemoved, id)
	}
	changes.hasLostProof = changes.hasLostProof || changes.hasLostFacialMatch && u.Proofing != nil && u.Proofing.Level == idp.IALFacialMatch
	if changes.hasLostProof && u.Proofing != nil {
		if _, err := s.Accounts.Verify(ctx, email, nil, false, actor); err != nil {
			return err
		}
	}
	if changes.hasLostProof {
		report.ProofRemoved = append(report.ProofRemoved, id)
	}
	reason := ""
	switch {
	case changes.hasNewPassword:
		report.PasswordChanged, reason = append(report.PasswordChanged, id), PasswordAfterBackup
	case changes.isLocked:
		report.Locked, reason = append(report.Locked, id), LockedAfterBackup
	}
	// An operator who ended a lock from before the backup ends it again, so it names the password.
	if reason == "" || u.IsLocked() && (!changes.hasNewPassword || u.LockReason == reason) {
		return nil
	}
	_, err = s.Accounts.Lock(ctx, email, reason, actor)
	return err
}

// applySP repeats the removals of a service provider that is in the backup.
func (s *Service) applySP(ctx context.Context, id idp.EntityID, changes *spChanges, report *SinceReport, actor string) error {
	p, err := s.Registry.Get(ctx, id)
	if errors.Is(err, idp.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if changes.isRemoved {
		report.SPsRemoved = append(report.SPsRemoved, id)
		return s.Registry.Remove(ctx, id, actor)
	}
	certsLeft, isInactive := dropEndedCerts(p.Certs, changes.certs), changes.isInactive
	if len(certsLeft) == 0 && len(p.Certs) > 0 {
		// A registration needs certificates. No one can use these while it is inactive.
		certsLeft, isInactive = p.Certs, true
	}
	hasEnded := len(certsLeft) < len(p.Certs)
	if isInactive {
		report.SPsInactive = append(report.SPsInactive, id)
	}
	if hasEnded {
		report.SPCertsRemoved = append(report.SPCertsRemoved, id)
	}
	if !hasEnded && (!isInactive || !p.Active) {
		return nil
	}
	_, err = s.Registry.Edit(ctx, id, func(p *idp.ServiceProvider) error {
		p.Certs, p.Active = certsLeft, p.Active && !isInactive
		return nil
	}, sp.Options{AllowInsecureURL: true}, actor)
	return err
}

// dropEndedCerts returns the certificates whose fingerprints are among the known ones. If known
// is nil, it returns all.
func dropEndedCerts(pems, fingerprints []string) (certsLeft []string) {
	if fingerprints == nil {
		return pems
	}
	for _, text := range pems {
		certificates, err := partnercert.Read([]byte(text))
		if err == nil && slices.ContainsFunc(certificates, func(c *x509.Certificate) bool { return slices.Contains(fingerprints, certs.CertSHA256(c)) }) {
			certsLeft = append(certsLeft, text)
		}
	}
	return certsLeft
}

// discloseEmails records each email address of a user as disclosed to the service providers that may
// have received it as a NameID after the backup, so that it stays reserved when the user is
// deleted. The trail does not show which one they received.
func (s *Service) discloseEmails(ctx context.Context, u *idp.User, p *plan) error {
	var receivers []idp.EntityID
	for v := range p.visits {
		if v.user != u.ID {
			continue
		}
		provider, err := s.Registry.Get(ctx, v.sp)
		if err != nil && !errors.Is(err, idp.ErrNotFound) {
			return err
		}
		if err != nil || provider.AllowsNameIDFormat(idp.NameIDFormatEmail) {
			receivers = append(receivers, v.sp)
		}
	}
	if len(receivers) == 0 {
		return nil
	}
	slices.Sort(receivers)
	return s.Store.UpdateUser(ctx, u.ID, func(u *idp.User) error {
		for i := range u.Emails {
			e := &u.Emails[i]
			for _, sp := range receivers {
				if !slices.Contains(e.DisclosedTo, sp) {
					e.DisclosedTo = append(e.DisclosedTo, sp)
				}
			}
		}
		return nil
	})
}

// countNewNameIDs counts the NameIDs that are lost.
func (s *Service) countNewNameIDs(ctx context.Context, p *plan, report *SinceReport) error {
	for v := range p.visits {
		provider, err := s.Registry.Get(ctx, v.sp)
		if err == nil {
			_, err = s.Store.User(ctx, v.user)
		}
		if err == nil {
			if _, err = s.Store.NameID(ctx, provider.NameIDScope, v.user); errors.Is(err, idp.ErrNotFound) {
				if report.NewNameIDs == nil {
					report.NewNameIDs = map[idp.EntityID]int{}
				}
				report.NewNameIDs[v.sp]++
			}
		}
		if err != nil && !errors.Is(err, idp.ErrNotFound) {
			return err
		}
	}
	return nil
}

// newEvent returns the audit event about the repeated changes.
func (report *SinceReport) newEvent(actor string) idp.AuditEvent {
	detail := map[string]string{"seq": strconv.FormatUint(report.End.Seq, 10), "hash": report.End.HashOrFirst()}
	lost := 0
	for _, n := range report.Lost {
		lost += n
	}
	for name, n := range map[string]int{
		"steps": len(report.Steps), "deleted": len(report.Deleted), "locked": len(report.Locked), "password_changed": len(report.PasswordChanged),
		"factors_removed": len(report.FactorsRemoved), "proof_removed": len(report.ProofRemoved), "codes_removed": len(report.CodesRemoved), "sps_removed": len(report.SPsRemoved),
		"sps_inactive": len(report.SPsInactive), "sp_certs_removed": len(report.SPCertsRemoved), "lost": lost,
	} {
		if n > 0 {
			detail[name] = strconv.Itoa(n)
		}
	}
	return idp.AuditEvent{Kind: idp.AuditRestoredSince, Outcome: "ok", Actor: actor, Detail: detail}
}
