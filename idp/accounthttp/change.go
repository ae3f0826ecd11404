package accounthttp

import (
	"errors"
	"net/http"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/journey"
	"vernal/idp/web"
	"vernal/templates"
)

// newChange returns the change that the user of a session makes.
func (h *Handler) newChange(r *http.Request, v visitor, d audit.Decision) account.OwnChange {
	return account.OwnChange{User: v.user.ID, Keep: v.session.ID, Event: journey.NewOwnEvent(r, d, v.user.ID)}
}

// endChange ends a form that made a change, with its decision, or with the error of the change. done
// answers after a change.
func (h *Handler) endChange(w http.ResponseWriter, r *http.Request, v visitor, d audit.Decision, err error, done func() error) journey.Exit {
	switch {
	case err == nil:
		return journey.ExitWithDecision(d, v.user.ID, done)
	case errors.Is(err, account.ErrLocked):
		return journey.ExitWithError(idp.Refuse(idp.RefusedAccountLocked, "account", "").WithCause(err))
	case errors.Is(err, idp.ErrSessionEnded), errors.Is(err, idp.ErrNotFound): // the session ended or the user was deleted meanwhile, which the overview shows
		return journey.RedirectTo(w, r, journey.AccountPath)
	}
	return journey.ExitWithError(err)
}

// newFormFrame returns the frame of a page whose form carries the language switcher, so that the
// input is kept.
func (h *Handler) newFormFrame(r *http.Request, v visitor, path, form string) templates.AccountBase {
	frame := h.newFrame(r, v, path)
	if len(frame.Languages.Langs) > 0 {
		frame.Languages.Form = form
	}
	return frame
}

// newPageBase returns the base of the answer to a form that has no page of its own URL: a change of
// language leads to the page with the path.
func (h *Handler) newPageBase(r *http.Request, path string) templates.Base {
	base := h.Pages.Base(r, "")
	base.Languages = h.Pages.Languages(path)
	return base
}

// allowLocalTimes allows the script that shows times in the user's time zone.
func allowLocalTimes(w http.ResponseWriter) (nonce string) { return web.AllowScript(w) }
