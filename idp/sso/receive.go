package sso

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"vernal/idp"
	"vernal/idp/web"
)

// receive is GET and POST /api/saml/auth{year}.
//
// A GET is answered at once, with one write, if a live session can answer it or if
// it forbids to ask the user. Everything else is kept and sent on to the continue URL
// with a 303; a POST always, because one that comes from another site carries no
// session cookie (SameSite) and the GET that follows it does.
func (h *Handler) receive(w http.ResponseWriter, r *http.Request) error {
	now, year := h.Clock.Now(), web.Year(r)
	visit, err := h.Access.Begin(r)
	if err != nil {
		return err
	}
	in, err := web.Inbound(r)
	if err != nil {
		return visit.Refuse(err)
	}
	a, err := h.accept(r.Context(), in, year, now)
	if a.provider != nil {
		e := web.EventOf(r)
		e.Note(slog.String("sp", string(a.provider.EntityID)))
		e.SP, e.Year, e.Verified = a.provider.EntityID, year, a.cert != nil
	}
	a.noteNeed(web.EventOf(r))
	entry, preview, denied := visit.Admit(a.provider, a.cert != nil, err)
	if denied != nil {
		return denied
	}
	web.EventOf(r).Ask(a.locale, now)
	if err == nil {
		err = h.readSubject(&a, entry)
	}
	if err != nil {
		return fail(a.provider, err)
	}
	a.request.Preview = preview
	h.note(r, &a)
	web.EventOf(r).NoteEnded(entry, now)
	if a.cert != nil {
		h.used(a.request, now)
	}
	if r.Method == http.MethodHead {
		return nil // a HEAD begins nothing
	}
	if r.Method == http.MethodGet {
		return h.answer(w, r, &a)
	}
	return h.keep(w, r, &a)
}

// noteNeed tells the log what of the request's wishes is passed over, whatever
// becomes of the request: the integrator who wonders finds it.
func (a *accepted) noteNeed(e *web.Event) {
	if a.need == nil {
		return
	}
	if len(a.need.Unknown) > 0 {
		e.Note(slog.Any("unknown_authn_contexts", a.need.Unknown))
	}
	if len(a.need.Dropped) > 0 {
		e.Note(slog.String("dropped", dropped(a.need.Dropped)))
	}
}

// note tells the log what came.
func (h *Handler) note(r *http.Request, a *accepted) {
	e := web.EventOf(r)
	e.Note(slog.Bool("signed", a.cert != nil))
	e.NoteMessage(a.request.RelayState, a.cert, h.Clock.Now())
}

// answer takes a request that came by GET: its cookies came with it.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, a *accepted) error {
	s, user, err := h.live(r, a.request)
	if err != nil {
		return fail(a.provider, err)
	}
	step, err := h.decide(r.Context(), a, s, user)
	if err != nil {
		return fail(a.provider, err)
	}
	switch step.kind {
	case stepIssue:
		err = h.issue(w, r, a, s, user)
	case stepPassive:
		h.Sessions.Trim(w, r) // it leaves a cookie, and there may be many
		err = h.refusePassive(w, r, a)
	default:
		return h.keep(w, r, a)
	}
	switch {
	case errors.Is(err, idp.ErrReplayed):
		return h.again(w, r, a)
	case outdated(err):
		return h.keep(w, r, a)
	}
	return fail(a.provider, err)
}

// again answers a message whose ID was seen before. In the browser that began with it
// (a reload, the back button, a second tab) the stored request goes on; from any other
// it is a replay. A POST from another site has not brought the cookie that tells the
// two apart, so the GET that follows is asked instead.
//
// A double click delivers a message twice before any cookie came. So within
// idp.ResubmitWindow, and until there is an answer, each delivery gets a request and a
// cookie of its own. None of them opens another one's, and all have one
// answer between them.
func (h *Handler) again(w http.ResponseWriter, r *http.Request, a *accepted) error {
	before, err := h.Store.LoginRequest(r.Context(), idp.RequestKey{SP: a.request.SP, MessageID: a.request.MessageID})
	if err != nil {
		return fail(a.provider, fmt.Errorf("find earlier request: %w", err))
	}
	// Under this request's own handle it is the browser's, which proved that to load it.
	tied := before.Handle == a.request.Handle || h.Sessions.Tied(r, before)
	switch {
	case before.Answered() && tied:
		return fail(a.provider, idp.Refuse(idp.RefusedAnswered, "ID", before.MessageID))
	case !before.Answered() && tied:
		return redirect(w, r, continueURL(before))
	case !before.Answered() && a.request.IsResubmitted(before):
		if a.inBrowser {
			return redirect(w, r, continueURL(a.request)) // stored since it was looked for
		}
		if err := h.hold(w, r, a); err == nil {
			return redirect(w, r, continueURL(a.request))
		} else if !errors.Is(err, idp.ErrBusy) {
			return fail(a.provider, err)
		}
	}
	if r.Method == http.MethodPost {
		return redirect(w, r, continueURL(before))
	}
	return fail(a.provider, idp.Refuse(idp.RefusedReplay, "ID", before.MessageID))
}

func continueURL(req *idp.LoginRequest) string {
	return ContinuePath + "?request=" + url.QueryEscape(string(req.Handle))
}

func redirect(w http.ResponseWriter, r *http.Request, to string) error {
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}
