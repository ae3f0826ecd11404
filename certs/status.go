package certs

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"vernal/idp"
)

// Steps are what the server takes by itself now, in order: each is allowed once
// those before it are taken, and after the last one nothing is left to do. In
// manual mode only keys of years that are over are left to it.
func (p Policy) Steps(h History, now time.Time) (steps []Step) {
	now = now.UTC()
	h = h.Tick(now, 0)
	for {
		due := p.due(h, now)
		i := slices.IndexFunc(due, func(d Due) bool {
			return d.ready(now) && (!p.Manual || d.Kind == StepDestroy)
		})
		if i < 0 {
			return steps
		}
		steps = append(steps, due[i].Step)
		h = h.Apply(due[i].Step, now)
	}
}

// Status is the rotation at one moment, for people.
type Status struct {
	At time.Time `json:"at"`
	// Preferred is the year that signs what names no year; "" if none can.
	Preferred idp.Year `json:"preferred"`
	// Years are those that were made and those that come next, in order.
	Years []YearStatus `json:"years"`
	// Steps are what the server takes by itself now.
	Steps []Step `json:"steps"`
	// Due are the steps that come next, whoever takes them.
	Due []Due `json:"due"`
	// Attention lists what a person should see to; exit code 4 if there is any.
	Attention []Attention `json:"attention"`
	Hold      Hold        `json:"hold,omitzero"`
	Clock     Clock       `json:"clock"`
}

// YearStatus is one year at one moment.
type YearStatus struct {
	Record
	State State `json:"state"`
	// Live: addresses and metadata answer, and what comes in there is signed
	// with this year's key.
	Live bool `json:"live"`
	// CertExpired: its certificate has ended.
	CertExpired bool `json:"certificate_expired"`
	// Next is what happens to it next, if that is known.
	Next *Coming `json:"next,omitempty"`
}

// horizon is how many years Status looks ahead for what comes next.
const horizon = 4

// Status says how every year stands, what comes next and what needs attention.
func (p Policy) Status(h History, now time.Time) Status {
	now = now.UTC()
	h = h.Tick(now, 0)
	s := Status{
		At: now, Preferred: h.Preferred, Hold: h.Hold, Clock: h.Clock,
		Steps: p.Steps(h, now), Due: p.due(h, now), Attention: p.Attention(h, now),
	}
	records := slices.Clone(h.Records)
	for _, d := range s.Due {
		if _, made := h.Record(d.Year); !made {
			records = append(records, Record{Year: d.Year})
		}
	}
	slices.SortFunc(records, func(a, b Record) int { return cmp.Compare(a.Year, b.Year) })
	plan := p.Plan(h, now, horizon)
	for _, r := range records {
		y := YearStatus{Record: r, State: h.State(r.Year, now), Live: r.answers(), CertExpired: r.certEnded(now)}
		if i := slices.IndexFunc(plan, func(c Coming) bool { return c.Year == r.Year }); i >= 0 {
			y.Next = &plan[i]
		}
		s.Years = append(s.Years, y)
	}
	return s
}

// Attention is something that a person should see to.
type Attention struct {
	Code AttentionCode `json:"code"`
	Year idp.Year      `json:"year,omitzero"`
	Text string        `json:"text"`
}

// Name adds to the text who keeps the year from being retired.
func (a Attention) Name(users []idp.EntityID) Attention {
	a.Text += usedBy(users)
	return a
}

// HeldByUse reports whether the attention is about a retirement that waits
// because service providers use the year.
func (a Attention) HeldByUse(due []Due) bool {
	return a.Code == StepHeld && slices.ContainsFunc(due, func(d Due) bool {
		return d.Kind == StepRetire && d.Year == a.Year && d.Used
	})
}

// AttentionCode names a reason for attention, for programs.
type AttentionCode string

// The reasons for attention. RequestCertEnded comes from the registry of
// service providers, and is never found here.
const (
	StepOverdue      AttentionCode = "step_overdue"
	StepSoon         AttentionCode = "step_soon"
	StepHeld         AttentionCode = "step_held"
	StepFailed       AttentionCode = "step_failed"
	CertEnded        AttentionCode = "certificate_ended"
	CertEnding       AttentionCode = "certificate_ending"
	NoSigningKey     AttentionCode = "no_signing_key"
	RequestCertEnded AttentionCode = "request_certificate_ended"
	// KeyUnusable: a recorded year cannot sign because of its key; see KeyFault.
	KeyUnusable AttentionCode = "signing_key_unusable"
)

// AttentionCodes are all of them. The slice belongs to the caller.
func AttentionCodes() []AttentionCode {
	return []AttentionCode{
		NoSigningKey, KeyUnusable, CertEnded, CertEnding, StepFailed, StepOverdue, StepHeld, StepSoon, RequestCertEnded,
	}
}

// Attention lists what a person should see to now, most pressing first.
func (p Policy) Attention(h History, now time.Time) (all []Attention) {
	now = now.UTC()
	h = h.Tick(now, 0)
	if h.Preferred == "" {
		all = append(all, Attention{Code: NoSigningKey, Text: "no year is preferred: nothing can be signed"})
	}
	for _, r := range h.Records {
		if r.KeyFault != "" {
			all = append(all, Attention{Code: KeyUnusable, Year: r.Year, Text: fmt.Sprintf("our year %s is closed: %s", r.Year, r.KeyFault.Describe(r.Year))})
		}
	}
	for _, r := range h.Records {
		switch {
		case !r.live():
		case r.certEnded(now):
			all = append(all, Attention{Code: CertEnded, Year: r.Year, Text: fmt.Sprintf(
				"our signing certificate (%s) ended on %s, and its addresses still answer", r.Year, date(r.CertEndAt))})
		case r.certEnded(now.Add(endingTime)) && h.unmoved(r):
			all = append(all, Attention{Code: CertEnding, Year: r.Year, Text: fmt.Sprintf(
				"our signing certificate (%s) ends on %s, and service providers have not moved", r.Year, date(r.CertEndAt))})
		}
	}
	for _, f := range h.Failures {
		all = append(all, Attention{Code: StepFailed, Year: f.Year, Text: fmt.Sprintf("%s %s failed on %s: %s", f.Kind, f.Year, date(f.At), f.Error)})
	}
	for _, d := range p.due(h, now) {
		if code, text := p.attention(d, now); code != "" {
			all = append(all, Attention{Code: code, Year: d.Year, Text: fmt.Sprintf("%s %s %s", d.Kind, d.Year, text)})
		}
	}
	return all
}

// unmoved reports whether service providers have still to move from r: some were
// counted, or there is no newer year. The year that they move to counts none, and
// may have newer years because of a rollback: its users count then.
func (h History) unmoved(r Record) bool {
	newer := slices.ContainsFunc(h.Records, func(o Record) bool { return o.Year > r.Year && o.live() })
	return r.Unmoved > 0 || !newer || !r.UsedAt.IsZero() && r.Year == h.Target(h.Clock.SeenAt)
}

// attention is why a step that comes next needs attention; "" if it does not.
func (p Policy) attention(d Due, now time.Time) (AttentionCode, string) {
	hand := d.ByHand || p.Manual && d.Kind != StepDestroy
	switch {
	case d.DueAt.After(now):
		if p.Manual && hand && !d.DueAt.After(now.Add(remindTime)) {
			return StepSoon, fmt.Sprintf("is due on %s, in %s", date(d.DueAt), days(d.DueAt.Sub(now)))
		}
	case d.ByHand:
		return StepOverdue, fmt.Sprintf("was due on %s: %s", date(d.DueAt), d.Waits)
	case !d.ready(now):
		return StepHeld, fmt.Sprintf("was due on %s: %s", date(d.DueAt), d.Waits)
	case hand || now.Sub(d.ReadyAt) >= lateTime:
		return StepOverdue, fmt.Sprintf("was due on %s", date(d.DueAt))
	}
	return "", ""
}
