package rotation

import (
	"maps"
	"slices"
	"time"

	"vernal/idp"
)

// StepKind names a step of the rotation. Names are the same as those of the commands.
type StepKind string

const (
	// StepCreate: a key and its self-signed certificate were made.
	StepCreate StepKind = "create"
	// StepCSR: a key was made that waits for an external certificate.
	StepCSR StepKind = "csr"
	// StepImport: an external certificate was imported, with its key or for the waiting one.
	StepImport StepKind = "import"
	// StepPublish opens the URLs and the metadata.
	StepPublish StepKind = "publish"
	// StepPrefer makes the year the preferred one.
	StepPrefer StepKind = "prefer"
	// StepRetire closes the URLs.
	StepRetire StepKind = "retire"
	// StepDestroy: the private key of a year that is over was destroyed.
	StepDestroy StepKind = "destroy"
	// StepRollback returns preference to an older year.
	StepRollback StepKind = "rollback"
	// StepResume ends everything that holds automatic steps: the hold of a rollback, that of
	// a restore, and distrust of the clock.
	StepResume StepKind = "resume"
	// StepRevoke ends the year at once and, if it is preferred, replaces it by its successor.
	StepRevoke StepKind = "revoke"
	// StepConfirm is an operator's confirmation that the clock is right.
	StepConfirm StepKind = "confirm-clock"
)

// stepRule contains the properties of a kind of step, apart from the rules that refuse it.
// Each field has a method.
type stepRule struct {
	isAutomatic, isCommand, namesYear, needsReason, endsSigning, affectsSPs bool
}

// stepRules has every kind of step.
var stepRules = map[StepKind]stepRule{
	StepCreate:   {isAutomatic: true, isCommand: true, namesYear: true},
	StepCSR:      {namesYear: true},
	StepImport:   {namesYear: true},
	StepPublish:  {isAutomatic: true, isCommand: true, namesYear: true, affectsSPs: true},
	StepPrefer:   {isAutomatic: true, isCommand: true, namesYear: true, affectsSPs: true},
	StepRetire:   {isAutomatic: true, isCommand: true, namesYear: true, endsSigning: true, affectsSPs: true},
	StepDestroy:  {isAutomatic: true, namesYear: true, endsSigning: true},
	StepRollback: {isCommand: true, needsReason: true, affectsSPs: true},
	StepResume:   {isCommand: true},
	StepRevoke:   {isCommand: true, namesYear: true, endsSigning: true, affectsSPs: true},
	StepConfirm:  {isCommand: true},
}

// StepKinds returns all kinds of steps, sorted. The caller owns the slice.
func StepKinds() []StepKind { return slices.Sorted(maps.Keys(stepRules)) }

// IsAutomatic reports whether automatic mode takes the step on its date.
func (k StepKind) IsAutomatic() bool { return stepRules[k].isAutomatic }

// IsCommand reports whether an operator can request the step by its name alone.
func (k StepKind) IsCommand() bool { return stepRules[k].isCommand }

// NamesYear reports whether the operator names the year of the step.
func (k StepKind) NamesYear() bool { return stepRules[k].namesYear }

// NeedsReason reports whether an operator must always give a reason.
func (k StepKind) NeedsReason() bool { return stepRules[k].needsReason }

// EndsSigning reports whether the year signs nothing after the step.
func (k StepKind) EndsSigning() bool { return stepRules[k].endsSigning }

// AffectsSPs reports whether service providers see a difference after the step.
func (k StepKind) AffectsSPs() bool { return stepRules[k].affectsSPs }

// IsByHand reports whether an operator takes the step, always or because of the policy.
func (p Policy) IsByHand(d DueStep) bool { return d.ByHand || p.leavesToOperator(d.Kind) }

// leavesToOperator reports whether manual mode leaves the step to an operator. The key of a
// year that is over is destroyed in manual mode too.
func (p Policy) leavesToOperator(k StepKind) bool { return p.Manual && k != StepDestroy }

// Step is one change of the rotation.
type Step struct {
	Kind StepKind `json:"step"`
	// Year is the year of the step, for a rollback the older one that becomes preferred. It
	// is empty for resume and confirm-clock.
	Year idp.Year `json:"year,omitzero"`
	// CertEndAt is the expiry of the certificate of a create or an import. Steps sets it to
	// the expiry to request.
	CertEndAt time.Time `json:"certificate_end_at,omitzero"`
	// CertificateSHA256 and PublicKeySHA256 identify the certificate and key of a create or
	// an import. A csr has only PublicKeySHA256. See Record.
	CertificateSHA256 string `json:"certificate_sha256,omitzero"`
	PublicKeySHA256   string `json:"public_key_sha256,omitzero"`
	// HoldEndAt ends the hold of a rollback. If zero, it lasts until prefer or resume.
	HoldEndAt time.Time `json:"until,omitzero"`
	// Force retires a year that is still used. It needs a Reason.
	Force bool `json:"force,omitzero"`
	// Reason is the operator's reason.
	Reason string `json:"reason,omitzero"`
	// Cause is the reason of automatic mode.
	Cause Reason `json:"why,omitzero"`
}

// Apply returns the history after the step. It checks nothing: a step not checked against
// the same history (Policy.CheckStep or Policy.Take) can corrupt it.
func (h History) Apply(s Step, now time.Time) History {
	now = now.UTC()
	h = h.clear(s)
	switch s.Kind {
	case StepCreate, StepCSR, StepImport:
		h = h.add(s.Year, now).edit(s.Year, func(r *Record) {
			if !s.CertEndAt.IsZero() {
				r.CertifiedAt, r.CertEndAt = now, s.CertEndAt.UTC()
			}
			r.recordIdentity(s.CertificateSHA256, s.PublicKeySHA256)
		})
	case StepPublish:
		h = h.publish(s.Year, now)
	case StepPrefer:
		h = h.prefer(s.Year, now)
	case StepRollback:
		from := h.Preferred
		h = h.prefer(s.Year, now)
		h.Hold = Hold{BeganAt: now, EndAt: s.HoldEndAt.UTC(), FromYear: from, Reason: s.Reason}
	case StepResume:
		h.Hold, h.Restoration, h.Clock = Hold{}, Restoration{}, h.Clock.trust()
	case StepRetire:
		h = h.edit(s.Year, func(r *Record) { r.RetiredAt, r.Reason = now, s.Reason })
	case StepRevoke:
		h = h.revoke(s, now)
	case StepDestroy:
		h = h.edit(s.Year, func(r *Record) { r.KeyDestroyedAt = now })
	case StepConfirm:
		h.Clock = h.Clock.trust()
	}
	return h
}

func (h History) publish(y idp.Year, now time.Time) History {
	return h.edit(y, func(r *Record) { r.PublishedAt, r.QuietReading = now, h.Clock.RunningTime })
}

// prefer also ends a hold: an operator that prefers a year has decided, and automatic mode
// only prefers without a hold.
func (h History) prefer(y idp.Year, now time.Time) History {
	h.Preferred, h.Hold = y, Hold{}
	return h.edit(y, func(r *Record) { r.PreferredAt = now })
}

func (h History) revoke(s Step, now time.Time) History {
	if s.Year == h.Preferred {
		next, ok := h.findSuccessor(s.Year, now)
		if !ok {
			return h
		}
		if next.PublishedAt.IsZero() {
			h = h.publish(next.Year, now)
		}
		h = h.prefer(next.Year, now)
	}
	return h.edit(s.Year, func(r *Record) {
		r.RevokedAt, r.Reason = now, s.Reason
		if r.RetiredAt.IsZero() {
			r.RetiredAt = now
		}
	})
}

// findSuccessor returns the year that replaces the preferred year y when it is revoked: the next
// newer one that can sign, with a published year before one that service providers do not know.
func (h History) findSuccessor(y idp.Year, now time.Time) (Record, bool) {
	var next Record
	for _, r := range h.Records {
		if r.Year <= y || !r.canSign() || r.hasCertEnded(now) {
			continue
		}
		if r.isLive() {
			return r, true
		}
		if next.Year == "" {
			next = r
		}
	}
	return next, next.Year != ""
}
