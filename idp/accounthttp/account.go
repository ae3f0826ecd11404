package accounthttp

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/journey"
	"vernal/idp/web"
	"vernal/templates"
)

// showHome answers GET /, for a browser that no service provider sent here.
func (h *Handler) showHome(w http.ResponseWriter, r *http.Request) journey.Exit {
	return journey.RedirectTo(w, r, journey.AccountPath)
}

// showAccount answers GET /account, the home page of a signed-in user.
func (h *Handler) showAccount(w http.ResponseWriter, r *http.Request, v visitor) journey.Exit {
	page := templates.AccountPage{
		AccountBase: h.newFrame(r, v, journey.AccountPath), Action: journey.SignOutPath,
		Attention: h.listAttention(v.user),
		Idle:      int(h.Sessions.IdleTimeout.Minutes()), EndAt: v.session.ExpiresAt,
	}
	page.MailLangs, page.LangAction = page.Languages.Langs, langPath
	if page.MailLang = templates.Lang(v.user.Lang); !slices.Contains(page.MailLangs, page.MailLang) && len(page.MailLangs) > 0 {
		page.MailLang = page.MailLangs[0]
	}
	for _, p := range v.session.Participants {
		visit := templates.Visit{SPName: h.Registry.LookupName(r.Context(), p.SP), At: p.At}
		if provider, err := h.Registry.Lookup(r.Context(), p.SP); err == nil {
			visit.SPLogo = provider.LogoPath()
		}
		page.Visits = append(page.Visits, visit)
	}
	page.Nonce = web.AllowScript(w)
	h.scheduleWarning(w, v.session)
	return journey.ExitWithPage(h.WritePage(w, page))
}

// fewRecoveryCodes is the number of unused recovery codes at which the user is asked to get new
// ones.
const fewRecoveryCodes = 3

// listAttention returns what the user should do something about, the most urgent first. It omits
// what no page of ours can change.
func (h *Handler) listAttention(u *idp.User) (all []templates.Attention) {
	if !u.DeletionAt.IsZero() && h.hasPart(journey.DeletePath) {
		all = append(all, templates.Attention{Text: templates.AttentionDeletion, At: u.DeletionAt, Action: keepPath, Link: templates.AttentionKeep})
	}
	if !h.hasPart(journey.FactorsPath) {
		return all
	}
	if !u.FactorResetAt.IsZero() {
		all = append(all, templates.Attention{Text: templates.AttentionReset, At: u.FactorResetAt, URL: journey.FactorsPath, Link: templates.AttentionResetLink})
	}
	if h.Settings.NoRecoveryCodes {
		return all
	}
	count := 0
	if u.RecoveryCodes != nil {
		count = len(u.RecoveryCodes.Hashes)
	}
	switch {
	case count == 0:
		all = append(all, templates.Attention{Text: templates.AttentionNoCodes, URL: journey.FactorsPath, Link: templates.AttentionCodesLink})
	case count <= fewRecoveryCodes:
		all = append(all, templates.Attention{Text: templates.AttentionFewCodes, Count: count, URL: journey.FactorsPath, Link: templates.AttentionCodesLink})
	}
	return all
}

// chooseLang answers POST /account/language: it chooses the language of mails. Pages follow the
// language switcher.
func (h *Handler) chooseLang(w http.ResponseWriter, r *http.Request, v visitor) journey.Exit {
	if err := r.ParseForm(); err != nil {
		return journey.ExitWithError(journey.NewFormError(err))
	}
	lang := r.PostForm.Get(templates.FieldMailLang)
	if !slices.Contains(h.Pages.Languages(journey.AccountPath).Langs, templates.Lang(lang)) {
		return journey.ExitWithError(journey.NewFormError(fmt.Errorf("field %s has no language of ours", templates.FieldMailLang)))
	}
	isChanged, err := h.Accounts.SetLang(r.Context(), h.newChange(r, v, audit.LangChosen), lang)
	redirect := redirectDone(w, r, journey.AccountPath, doneLang)
	if err == nil && !isChanged {
		return journey.ExitWithPage(redirect)
	}
	return h.endChange(w, r, v, audit.LangChosen, err, redirect)
}

// signOut answers POST /account/sign-out. It ends the session here and does not notify service
// providers.
func (h *Handler) signOut(w http.ResponseWriter, r *http.Request) journey.Exit {
	s, err := h.CurrentSession(r)
	decision, user := audit.NothingDecided, idp.UserID("")
	switch {
	case err == nil:
		decision, user = audit.SignedOut, s.User
		err = h.Sessions.End(w, r, journey.NewOwnEvent(r, audit.SignedOut, s.User))
	case errors.Is(err, idp.ErrNotFound):
		err = h.Sessions.End(w, r) // removes the rest of an earlier session
	}
	if err != nil {
		return journey.ExitWithError(err) // the page must not claim that a live session has ended
	}
	page := templates.SignedOutPage{Base: h.Pages.Base(r, ""), SignInURL: journey.SignInPath}
	return journey.ExitWithDecision(decision, user, h.WritePage(w, page))
}
