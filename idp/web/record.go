package web

import (
	"cmp"
	"net/http"

	"vernal/idp"
	"vernal/idp/trail"
)

// Refused puts on record that a person was turned down at a page that lets them
// try again, which has no error id: a wrong password or code. user is whose it
// would have been, "" if nobody's.
func (p *Pages) Refused(r *http.Request, outcome string, user idp.UserID) {
	e := EventOf(r)
	ev := refusal(e, outcome)
	if user != "" {
		ev.User, ev.Actor = user, "" // whoever it was, it need not have been them
	}
	p.record(r, trail.People, ev)
}

// turnedDown puts a failure on record. An address that we do not have is none:
// nobody was turned down there.
func (p *Pages) turnedDown(r *http.Request, e *Event, f *failure) {
	outcome := f.key
	kind, group := "refusal", trail.Strangers
	switch {
	case f.refusal != nil:
		outcome = string(f.refusal.Code)
	case f.gone != nil:
		outcome = "year_retired"
	case f.status == http.StatusNotFound:
		return
	case f.status >= http.StatusInternalServerError:
		kind = "failure" // ours
	}
	if e.Verified {
		group = trail.Provider
	}
	ev := refusal(e, outcome)
	ev.Kind, ev.ErrorID = kind, f.errorID
	if f.gone != nil {
		ev.Year = f.gone.Year
	}
	if f.refusal != nil && f.refusal.Field != "" {
		ev.Detail["field"] = f.refusal.Field
	}
	p.record(r, group, ev)
}

// refusal holds nothing of what was sent: not what was seen, not the path, but
// the route that answered.
func refusal(e *Event, outcome string) idp.AuditEvent {
	ev := idp.AuditEvent{
		Kind: "refusal", Outcome: outcome, User: e.User, SP: e.SP, Year: e.Year,
		RequestID: e.ID, Address: e.Address, Detail: map[string]string{"route": cmp.Or(e.Route, "(unknown)")},
	}
	switch {
	case e.User != "":
		ev.Actor = "user:" + string(e.User)
	case e.Verified:
		ev.Actor = "sp:" + string(e.SP)
	case e.SP != "":
		ev.Detail["sp"] = "claimed" // its name was used; nobody knows by whom
	}
	return ev
}

func (p *Pages) record(r *http.Request, g trail.Group, ev idp.AuditEvent) {
	if p.Refusals != nil {
		p.Refusals.Record(r.Context(), g, ev)
	}
}
