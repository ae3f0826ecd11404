package rotation

import (
	"cmp"
	"slices"
	"time"

	"vernal/idp"
)

// Steps returns the steps that the server takes automatically now, in order. Each step is allowed
// after those before it, and no step remains after the last one. In manual mode it only destroys
// keys of years that are over.
func (p Policy) Steps(h History, now time.Time) (steps []Step) {
	now = now.UTC()
	h = h.Tick(now, 0)
	for {
		due := p.listDue(h, now)
		i := slices.IndexFunc(due, func(d DueStep) bool {
			return d.isReady(now) && !p.leavesToOperator(d.Kind)
		})
		if i < 0 {
			return steps
		}
		steps = append(steps, due[i].Step)
		h = h.Apply(due[i].Step, now)
	}
}

// Status is the rotation at one moment, for operators.
type Status struct {
	At time.Time `json:"at"`
	// Preferred is the year that signs requests without a year, or "".
	Preferred idp.Year `json:"preferred"`
	// Years are the years made and the next ones to make, in order.
	Years []YearStatus `json:"years"`
	// Steps are the automatic steps to take now.
	Steps []Step `json:"steps"`
	// DueSteps are the next steps, automatic or not.
	DueSteps []DueStep `json:"due"`
	// Attention lists the matters that need an operator's attention. The exit code is 4 if it
	// is not empty.
	Attention []Attention `json:"attention"`
	Hold      Hold        `json:"hold,omitzero"`
	Restoration  Restoration    `json:"restored,omitzero"`
	Clock     Clock       `json:"clock"`
}

// YearStatus is one year at one moment.
type YearStatus struct {
	Record
	State State `json:"state"`
	// Live: URLs and metadata answer, and answers are signed with this year's key.
	Live        bool `json:"live"`
	CertExpired bool `json:"certificate_expired"`
	// Next is the next event of the year, if known.
	Next *UpcomingStep `json:"next,omitempty"`
}

// horizon is how many years Status looks ahead for the next event.
const horizon = 4

// Counts is a number of service providers for each year, or nil if unknown.
type Counts map[idp.Year]int

// Status returns the state of every year, the next steps and the matters that need attention.
// unmoved counts the service providers that must still leave each year.
func (p Policy) Status(h History, now time.Time, unmoved Counts) Status {
	now = now.UTC()
	h = h.Tick(now, 0)
	s := Status{
		At: now, Preferred: h.Preferred, Hold: h.Hold, Restoration: h.Restoration, Clock: h.Clock,
		Steps: p.Steps(h, now), DueSteps: p.listDue(h, now), Attention: p.Attention(h, now, unmoved),
	}
	records := slices.Clone(h.Records)
	for _, d := range s.DueSteps {
		if _, made := h.Record(d.Year); !made {
			records = append(records, Record{Year: d.Year})
		}
	}
	slices.SortFunc(records, func(a, b Record) int { return cmp.Compare(a.Year, b.Year) })
	plan := p.Plan(h, now, horizon)
	for _, r := range records {
		y := YearStatus{Record: r, State: h.State(r.Year, now), Live: r.isAnswering(), CertExpired: r.hasCertEnded(now)}
		if i := slices.IndexFunc(plan, func(c UpcomingStep) bool { return c.Year == r.Year }); i >= 0 {
			y.Next = &plan[i]
		}
		s.Years = append(s.Years, y)
	}
	return s
}

// History restores the history from the status.
func (st Status) History() History {
	h := History{Preferred: st.Preferred, Hold: st.Hold, Restoration: st.Restoration, Clock: st.Clock}
	for _, y := range st.Years {
		if y.State != Planned {
			h.Records = append(h.Records, y.Record)
		}
	}
	return h
}

// Attention is a matter that needs an operator's attention.
type Attention struct {
	Code AttentionCode `json:"code"`
	Year idp.Year      `json:"year,omitzero"`
	Args Args          `json:"args,omitzero"`
	// Reasons are the reasons why a step waits, or the fault of a key.
	Reasons []Reason `json:"because,omitempty"`
	// Suggestions say how to fix it. Suggest sets them.
	Suggestions []idp.Suggestion `json:"suggestions,omitempty"`
	// Text is the rendered attention in an answer for users and programs, "" before that.
	// No decision may depend on it.
	Text string `json:"text"`
}

// IsUse reports whether the attention is about a retirement that waits because service
// providers use the year.
func (a Attention) IsUse() bool { return slices.ContainsFunc(a.Reasons, Reason.IsUse) }

// WithUsers adds the users of the year to the reasons of a copy of a.
func (a Attention) WithUsers(users []idp.EntityID) Attention {
	a.Reasons = slices.Clone(a.Reasons)
	for i := range a.Reasons {
		if a.Reasons[i].IsUse() {
			a.Reasons[i].Args.SPs = users
		}
	}
	return a
}

// AttentionCode names a reason for attention to programs. Codes never change.
type AttentionCode string

// The reasons for attention. RequestCertEnded comes from the registry of service providers,
// and never from this package.
const (
	StepOverdue      AttentionCode = "step_overdue"
	StepSoon         AttentionCode = "step_soon"
	StepHeld         AttentionCode = "step_held"
	StepFailed       AttentionCode = "step_failed"
	CertEnded        AttentionCode = "certificate_ended"
	CertEnding       AttentionCode = "certificate_ending"
	NoSigningKey     AttentionCode = "no_signing_key"
	RequestCertEnded AttentionCode = "request_certificate_ended"
	// KeyUnusable: a recorded year cannot sign because of its key. See KeyFault.
	KeyUnusable AttentionCode = "signing_key_unusable"
	// ClockUntrusted: steps wait because the clock jumped or drifted. See Clock.
	ClockUntrusted AttentionCode = "clock_untrusted"
	// BackupFailed and BackupOld come from the backups, and never from this package.
	BackupFailed AttentionCode = "backup_failed"
	BackupOld    AttentionCode = "backup_old"
	// RestoreHeld: the installation was restored from a backup, and no automatic step is
	// taken until an operator resumes them. See Restored.
	RestoreHeld AttentionCode = "restored"
)

// AttentionCodes returns all codes, most urgent first. The caller owns the slice.
func AttentionCodes() []AttentionCode {
	return []AttentionCode{
		NoSigningKey, KeyUnusable, CertEnded, CertEnding, StepFailed, RestoreHeld, ClockUntrusted, StepOverdue, StepHeld,
		BackupFailed, BackupOld, StepSoon, RequestCertEnded,
	}
}

// Attention lists the matters that need an operator's attention now, most urgent first. unmoved
// counts the service providers that must still leave each year.
func (p Policy) Attention(h History, now time.Time, unmoved Counts) (all []Attention) {
	now = now.UTC()
	h = h.Tick(now, 0)
	if h.Preferred == "" {
		all = append(all, p.explainNoSigningKey(h, now))
	}
	for _, r := range h.Records {
		if r.KeyFault != "" {
			all = append(all, Attention{Code: KeyUnusable, Year: r.Year, Reasons: []Reason{r.KeyFault.Reason(r.Year)}})
		}
	}
	for _, r := range h.Records {
		switch {
		case !r.isLive():
		case r.hasCertEnded(now):
			all = append(all, Attention{Code: CertEnded, Year: r.Year, Args: Args{At: r.CertEndAt}})
		case r.hasCertEnded(now.Add(endingTime)):
			if why := h.explainCertEnding(r, unmoved, now); !why.IsZero() {
				all = append(all, Attention{Code: CertEnding, Year: r.Year, Args: Args{At: r.CertEndAt}, Reasons: []Reason{why}})
			}
		}
	}
	due := p.listDue(h, now)
	for _, f := range h.Failures {
		if !slices.ContainsFunc(due, func(d DueStep) bool { return d.Kind == f.Kind && d.Year == f.Year }) {
			continue // another way was found in the meantime
		}
		all = append(all, Attention{Code: StepFailed, Year: f.Year, Args: Args{Step: f.Kind, At: f.At, Value: f.Error}})
	}
	if h.Restoration.Holds() {
		all = append(all, Attention{Code: RestoreHeld, Reasons: []Reason{h.Restoration.explain()}})
	}
	if !h.Clock.IsTrusted() {
		all = append(all, Attention{Code: ClockUntrusted, Reasons: []Reason{h.Clock.explain()}})
	}
	for _, d := range due {
		if a, ok := p.checkDueStep(d, now); ok {
			all = append(all, a)
		}
	}
	for i := range all {
		if all[i].Suggestions == nil {
			all[i] = all[i].Suggest()
		}
	}
	return all
}

// explainNoSigningKey returns the attention of an installation without a preferred year, with the
// step that leads to one.
func (p Policy) explainNoSigningKey(h History, now time.Time) Attention {
	a := Attention{Code: NoSigningKey}
	due := p.listDue(h, now)
	if len(due) == 0 {
		return a
	}
	first := due[0]
	a.Reasons, a.Suggestions = first.Waits, []idp.Suggestion{first.Kind.Suggest(first.Year)}
	if first.Kind == StepImport {
		a.Suggestions = suggestExternalKey(first.Year)
		if _, made := h.Record(first.Year); made {
			a.Suggestions = []idp.Suggestion{suggestImport(first.Year)}
		}
	}
	return a
}

// explainCertEnding returns why the end of r's certificate needs attention, or no reason if all
// service providers have moved. They cannot move without a newer year, while a rollback
// keeps them on r, or while the newer year is closed.
func (h History) explainCertEnding(r Record, unmoved Counts, now time.Time) Reason {
	newer := findLast(h.Records, func(o Record) bool { return o.Year > r.Year && o.isLive() })
	switch {
	case newer.Year == "":
		return newReason(WaitsNoNewerYear, Args{})
	case unmoved[r.Year] > 0:
		return newReason(EndsNotMoved, Args{Count: unmoved[r.Year]})
	case r.UsedAt.IsZero() || r.Year != h.Target(now):
		return Reason{}
	case h.Hold.IsActive(now):
		return h.Hold.explain()
	}
	return newer.KeyFault.Reason(newer.Year)
}

// checkDueStep returns why a next step needs attention, or false.
func (p Policy) checkDueStep(d DueStep, now time.Time) (Attention, bool) {
	byHand := p.IsByHand(d)
	a := Attention{Year: d.Year, Args: Args{Step: d.Kind, At: d.DueAt}}
	switch {
	case d.DueAt.After(now):
		if !p.Manual || !byHand || d.DueAt.After(now.Add(remindTime)) {
			return Attention{}, false
		}
		a.Code, a.Args.DaysLeft = StepSoon, roundUpDays(d.DueAt.Sub(now))
	case d.ByHand:
		a.Code, a.Reasons = StepOverdue, d.Waits
	case !d.isReady(now):
		a.Code, a.Reasons = StepHeld, d.Waits
	case byHand || now.Sub(d.ReadyAt) >= lateTime:
		a.Code = StepOverdue
	default:
		return Attention{}, false
	}
	return a, true
}
