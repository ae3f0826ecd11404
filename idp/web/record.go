package web

import (
	"cmp"
	"log/slog"
	"maps"
	"net/http"

	"vernal/idp"
	"vernal/idp/audit"
)

// AuditEvent returns the audit event of a decision about a request: the user, the IP address
// and the service provider. user is "" if unknown.
func AuditEvent(r *http.Request, d audit.Decision, user idp.UserID) idp.AuditEvent {
	e := EventOf(r)
	ev := d.Event()
	ev.User, ev.SP, ev.Year, ev.RequestID, ev.IPAddress = user, e.SP, e.Year, e.ID, e.ClientIP
	return ev
}

// Record records a decision that leads to a page without an error ID, such as a wrong
// password, before its answer is written. It names no actor, because the sender may not be the
// user. The log line contains the same.
func (p *Pages) Record(r *http.Request, d audit.Decision, user idp.UserID, detail map[string]string) {
	rule := d.Rule()
	if rule.Writer != audit.WriterBudget {
		return
	}
	e := EventOf(r)
	ev := AuditEvent(r, d, user)
	ev.Detail = map[string]string{"route": cmp.Or(e.Route, "(unknown)")}
	maps.Copy(ev.Detail, detail)
	if rule.Kind == idp.AuditRefusal {
		e.Note(slog.String("refused", rule.Outcome))
	}
	if user != "" {
		e.noteUser(user)
	}
	p.recordRefusal(r, chooseGroup(d), ev)
}

// RecordPreview records that a request was given access to an unpublished year: by a
// registration, or by the link with that ID. A HEAD gives no access.
func (p *Pages) RecordPreview(r *http.Request, d audit.Decision, sp idp.EntityID, y idp.Year, access string) {
	if r.Method == http.MethodHead {
		return
	}
	e := EventOf(r)
	e.SP, e.Year = sp, y
	var user idp.UserID
	if p.SessionUser != nil {
		user = p.SessionUser(r)
	}
	p.Record(r, d, user, map[string]string{"preview": access})
}

// TakeDecision returns the event of a decision for the change that it makes. If the sender has
// spent the budget, it counts the event and returns none.
func (p *Pages) TakeDecision(r *http.Request, d audit.Decision, user idp.UserID) []idp.AuditEvent {
	return p.TakeRecord(chooseGroup(d), AuditEvent(r, d, user))
}

// TakeRecord does the same as TakeDecision for an event of a group.
func (p *Pages) TakeRecord(g audit.Group, ev idp.AuditEvent) []idp.AuditEvent {
	if p.Refusals == nil || !p.Refusals.Take(g, ev) {
		return nil
	}
	return []idp.AuditEvent{ev}
}

// CountRecord counts an event of a group that cannot be written.
func (p *Pages) CountRecord(g audit.Group, ev idp.AuditEvent) {
	if p.Refusals != nil {
		p.Refusals.Count(g, ev)
	}
}

// chooseGroup returns the group whose budget pays for the records of a decision. A wrong password
// proves nothing about the sender, so the user does not pay for it.
func chooseGroup(d audit.Decision) audit.Group {
	switch d {
	case audit.PasswordWrong, audit.PasswordUnknown, audit.PasswordThrottled, audit.PasswordBusy, audit.MailThrottled:
		return audit.Visitors
	case audit.PreviewOpened, audit.PreviewFetched, audit.PreviewAdmitted:
		return audit.Preview
	}
	return audit.User
}

// recordFailure records a failure, except for an unknown URL, which refuses no one. A refusal of
// a user identified by password or session spends only that user's budget.
func (p *Pages) recordFailure(r *http.Request, e *Event, f *failure) {
	outcome := f.Key
	kind, group := idp.AuditRefusal, audit.UnknownSenders
	switch {
	case f.refusal != nil:
		outcome = string(f.refusal.Code)
	case f.goneYear != nil:
		outcome = "year_retired"
	case f.Status == http.StatusNotFound:
		return
	case f.Status >= http.StatusInternalServerError:
		kind = idp.AuditFailure // caused by us
	}
	switch {
	case e.User != "":
		group = audit.User
	case e.IsVerified:
		group = audit.Provider
	}
	event := newRefusalEvent(e, outcome)
	event.Kind, event.ErrorID = kind, f.errorID
	if f.goneYear != nil {
		event.Year = f.goneYear.Year
	}
	if f.refusal != nil && f.refusal.Field != "" {
		event.Detail["field"] = f.refusal.Field
	}
	if f.refusal != nil && f.refusal.Code == idp.RefusedSignature && f.refusal.Seen != "" {
		event.Detail["seen"] = f.refusal.Seen // one of our algorithm names and a SHA-256
	}
	if f.isBusy {
		p.CountRecord(group, event) // a record would be one more waiting change
		return
	}
	p.recordRefusal(r, group, event)
}

// newRefusalEvent returns an event that contains no text of the request. It names the route instead
// of the path.
func newRefusalEvent(e *Event, outcome string) idp.AuditEvent {
	event := idp.AuditEvent{
		Kind: idp.AuditRefusal, Outcome: outcome, User: e.User, SP: e.SP, Year: e.Year,
		RequestID: e.ID, IPAddress: e.ClientIP, Detail: map[string]string{"route": cmp.Or(e.Route, "(unknown)")},
	}
	switch {
	case e.User != "":
		event.Actor = "user:" + string(e.User)
	case e.IsVerified:
		event.Actor = "sp:" + string(e.SP)
	case e.SP != "":
		event.Detail["sp"] = "claimed" // the sender only claims to be this SP
	}
	return event
}

func (p *Pages) recordRefusal(r *http.Request, g audit.Group, ev idp.AuditEvent) {
	if p.Refusals != nil {
		p.Refusals.Record(r.Context(), g, ev)
	}
}
