package sso

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"vernal/idp"
	"vernal/idp/assurance"
	"vernal/idp/web"
)

// receiveRequest serves GET and POST /api/saml/auth{year}.
//
// A GET is answered at once, with one write, if a live session can answer it or if it forbids
// asking the user. Every other request is kept and redirected to the continue URL with a 303.
// A POST always is, because a POST from another site carries no session cookie (SameSite) and
// the GET that follows does.
func (h *Handler) receiveRequest(w http.ResponseWriter, r *http.Request, a *acceptedRequest) error {
	now, year, e := h.Clock.Now(), web.Year(r), web.EventOf(r)
	visit, err := h.Access.Begin(r)
	if err != nil {
		return err
	}
	msg, err := web.ReadMessage(r)
	if err != nil {
		return visit.Refuse(err)
	}
	received, q, err := h.acceptRequest(r.Context(), msg, year, now)
	if received.provider != nil {
		e.Note(slog.String("sp", string(received.provider.EntityID)))
		e.SP, e.Year, e.IsVerified = received.provider.EntityID, year, received.cert != nil
	}
	received.noteNeed(e)
	entry, preview, denyErr := visit.Admit(received.provider, received.cert != nil, err)
	if denyErr != nil {
		return denyErr
	}
	*a, a.year = received, entry // from here on an error may name the sender
	e.RequestLocale(msg.Locale, now)
	if err == nil {
		err = h.readSubject(a, &q)
	}
	if err != nil {
		return err
	}
	a.request.Preview = preview
	e.Note(slog.Bool("signed", a.cert != nil))
	e.NoteMessage(a.request.RelayState, a.cert, now)
	e.NoteExpiredCert(entry, now)
	if a.cert != nil {
		h.recordUse(a.request, now)
	}
	switch r.Method {
	case http.MethodHead:
		return nil // a HEAD begins nothing
	case http.MethodGet:
		return h.answerAtOnce(w, r, a)
	}
	return h.keepRequest(w, r, a)
}

// noteNeed logs which parts of the request are ignored, even if the request is then refused, so
// that the integrator finds the cause.
func (a *acceptedRequest) noteNeed(e *web.Event) {
	if a.need == nil {
		return
	}
	if len(a.need.UnknownClassRefs) > 0 {
		e.Note(slog.Any("unknown_authn_contexts", a.need.UnknownClassRefs))
	}
	if len(a.need.DroppedAttributes) > 0 {
		e.Note(slog.String("dropped", formatDropReasons(a.need.DroppedAttributes)))
	}
}

// formatDropReasons formats for the log which requested attributes are not sent, and why.
func formatDropReasons(list []assurance.DroppedAttribute) string {
	all := make([]string, len(list))
	for i, d := range list {
		all[i] = d.Name + ":" + string(d.Reason)
	}
	return strings.Join(all, " ")
}

// answerAtOnce answers or keeps a request that came by GET, together with its cookies.
func (h *Handler) answerAtOnce(w http.ResponseWriter, r *http.Request, a *acceptedRequest) error {
	s, user, err := h.loadSession(r, a.request)
	if err != nil {
		return err
	}
	next, err := h.decideStep(r.Context(), a, s, user)
	if err != nil {
		return err
	}
	switch next.kind {
	case stepIssue:
		err = h.issueAssertion(w, r, a, s, user, agreement{})
	case stepPassive:
		h.Sessions.TrimRequestCookies(w, r) // the answer sets a cookie, and there may be many already
		err = h.refusePassive(w, r, a)
	default:
		return h.keepRequest(w, r, a)
	}
	switch {
	case errors.Is(err, idp.ErrReplayed):
		return h.handleReplay(w, r, a)
	case isOutdated(err):
		return h.keepRequest(w, r, a)
	}
	return err
}

// handleReplay answers a message whose ID was seen before. In the browser that began with it
// (a reload, the back button, a second tab) the stored request continues. From any other browser
// it is a replay. A POST from another site does not carry the cookie that distinguishes the
// two, so the GET that follows decides instead.
//
// A double click delivers a message twice before any cookie arrives. So within idp.ResubmitWindow,
// and until the message is answered, each delivery gets a request and a cookie of its own. No
// delivery can open the request of another, and all of them share one answer.
func (h *Handler) handleReplay(w http.ResponseWriter, r *http.Request, a *acceptedRequest) error {
	firstRequest, err := h.Store.LoginRequest(r.Context(), idp.RequestKey{SP: a.request.SP, MessageID: a.request.MessageID})
	if err != nil {
		return fmt.Errorf("find earlier request: %w", err)
	}
	// A request that was loaded under its own handle belongs to this browser.
	isTied := firstRequest.Handle == a.request.Handle || h.Sessions.IsTied(r, firstRequest)
	switch {
	case firstRequest.IsAnswered() && isTied:
		return idp.Refuse(idp.RefusedAnswered, "ID", firstRequest.MessageID)
	case !firstRequest.IsAnswered() && isTied:
		return redirectTo(w, r, makeContinueURL(firstRequest))
	case !firstRequest.IsAnswered() && a.request.IsResubmitted(firstRequest):
		if a.isInBrowser {
			return redirectTo(w, r, makeContinueURL(a.request)) // stored since the lookup
		}
		if err := h.holdRequest(w, r, a); err == nil {
			return redirectTo(w, r, makeContinueURL(a.request))
		} else if !errors.Is(err, idp.ErrBusy) {
			return err
		}
	}
	if r.Method == http.MethodPost {
		return redirectTo(w, r, makeContinueURL(firstRequest))
	}
	return idp.Refuse(idp.RefusedReplay, "ID", firstRequest.MessageID)
}

func makeContinueURL(req *idp.LoginRequest) string {
	return ContinuePath + "?request=" + url.QueryEscape(string(req.Handle))
}

func redirectTo(w http.ResponseWriter, r *http.Request, target string) error {
	http.Redirect(w, r, target, http.StatusSeeOther)
	return nil
}
