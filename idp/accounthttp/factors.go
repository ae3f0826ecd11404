package accounthttp

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/journey"
	"vernal/templates"
)

// URL paths of the forms about factors.
const (
	addFactorPath    = "/account/factors/add"
	renameFactorPath = "/account/factors/rename"
	removeFactorPath = "/account/factors/remove"
	cancelResetPath  = "/account/factors/cancel-reset"
)

// showFactors answers GET /account/factors.
func (h *Handler) showFactors(w http.ResponseWriter, r *http.Request, v visitor) journey.Exit {
	return journey.ExitWithPage(h.writeFactors(w, r, v, http.StatusOK, "", ""))
}

// writeFactors writes the page. wrong is the ID of the authenticator for which the user typed a name
// that it cannot have, "" for none.
func (h *Handler) writeFactors(w http.ResponseWriter, r *http.Request, v visitor, status int, wrong, typed string) func() error {
	return func() error {
		page := templates.FactorsPage{
			AccountBase: h.newFrame(r, v, journey.FactorsPath),
			IsFull:      len(v.user.TOTPs) >= account.MaxTOTPs, Max: account.MaxTOTPs,
			AddURL: addFactorPath, RenameAction: renameFactorPath, RemoveAction: removeFactorPath,
			OffersCodes: !h.Settings.NoRecoveryCodes, CodesURL: h.RecoveryCodesURL,
			ResetAt: v.user.FactorResetAt, CancelAction: cancelResetPath,
		}
		if v.user.RecoveryCodes != nil {
			page.CodesLeft = len(v.user.RecoveryCodes.Hashes)
		}
		for _, t := range v.user.TOTPs {
			f := templates.OwnFactor{ID: t.ID(), Name: t.Name, AddedAt: t.AddedAt, IsOnly: len(v.user.TOTPs) == 1, Typed: t.Name}
			if f.ID == wrong {
				f.Typed, f.Problem = typed, templates.ProblemFactorName
				page.Problems = templates.NewProblems(f.Problem)
			}
			page.Factors = append(page.Factors, f)
		}
		page.Nonce = allowLocalTimes(w)
		return h.Pages.Render(w, status, page)
	}
}

// showAddFactor answers GET /account/factors/add. Each visit proposes another secret, which is not
// stored before a code proves that the user has set it up.
func (h *Handler) showAddFactor(w http.ResponseWriter, r *http.Request, v visitor) journey.Exit {
	if len(v.user.TOTPs) >= account.MaxTOTPs {
		return journey.RedirectTo(w, r, journey.FactorsPath) // which says how many are allowed
	}
	p, err := h.Accounts.ProposeTOTP(v.user)
	if err != nil {
		return journey.ExitWithError(err)
	}
	return journey.ExitWithPage(h.writeAddFactor(w, r, v, http.StatusOK, p, "", nil))
}

func (h *Handler) writeAddFactor(w http.ResponseWriter, r *http.Request, v visitor, status int, p *account.Proposal, name string, problems templates.Problems) func() error {
	return func() error {
		page := templates.AddFactorPage{
			AccountBase: h.newFormFrame(r, v, journey.FactorsPath, templates.FormAddFactor), Action: addFactorPath,
			Sealed: p.Sealed, URL: p.URL, Name: name, Problems: problems,
		}
		for group := range slices.Chunk([]byte(p.Secret), 4) {
			page.Groups = append(page.Groups, string(group))
		}
		return h.Pages.Render(w, status, page)
	}
}

// addFactor answers POST /account/factors/add.
func (h *Handler) addFactor(w http.ResponseWriter, r *http.Request, v visitor) journey.Exit {
	if err := r.ParseForm(); err != nil {
		return journey.ExitWithError(journey.NewFormError(err))
	}
	sealed, name, code := r.PostForm.Get(templates.FieldSealed), strings.TrimSpace(r.PostForm.Get(templates.FieldName)), r.PostForm.Get(templates.FieldCode)
	p, err := h.Accounts.OpenProposal(v.user, sealed)
	if errors.Is(err, idp.ErrNotFound) {
		if p, err = h.Accounts.ProposeTOTP(v.user); err != nil {
			return journey.ExitWithError(err)
		}
		return journey.ExitWithPage(h.writeAddFactor(w, r, v, http.StatusUnprocessableEntity, p, name, templates.NewProblems(templates.ProblemFactorExpired)))
	}
	if err != nil {
		return journey.ExitWithError(err)
	}
	showAgain := func(problems ...templates.Key) func() error {
		return h.writeAddFactor(w, r, v, http.StatusUnprocessableEntity, p, name, templates.NewProblems(problems...))
	}
	if h.Pages.ChooseLanguage(w, r) {
		return journey.ExitWithPage(h.writeAddFactor(w, r, v, http.StatusOK, p, name, templates.ParseProblems(r.PostForm[templates.FieldProblem])))
	}
	var codeProblem, nameProblem templates.Key
	if strings.TrimSpace(code) == "" {
		codeProblem = templates.ProblemCodeMissing
	}
	if account.CheckTOTPName(name) != nil {
		nameProblem = templates.ProblemFactorName
	}
	if codeProblem != "" || nameProblem != "" {
		return journey.ExitWithPage(showAgain(codeProblem, nameProblem))
	}
	err = h.Accounts.AddOwnTOTP(r.Context(), h.newChange(r, v, audit.OwnFactorAdded), sealed, name, code)
	switch input, isInput := errors.AsType[*account.InputError](err); {
	case errors.Is(err, account.ErrWrong):
		// Only the user's own secret was compared, which the page shows. It is no guess.
		return journey.ExitWithPage(showAgain(templates.ProblemCodeWrong))
	case isInput && input.Problem == "too_many": // added in another tab
		return journey.RedirectTo(w, r, journey.FactorsPath)
	}
	return h.endChange(w, r, v, audit.OwnFactorAdded, err, redirectDone(w, r, journey.FactorsPath, doneFactorAdded))
}

// renameFactor answers POST /account/factors/rename.
func (h *Handler) renameFactor(w http.ResponseWriter, r *http.Request, v visitor) journey.Exit {
	if err := r.ParseForm(); err != nil {
		return journey.ExitWithError(journey.NewFormError(err))
	}
	id, name := r.PostForm.Get(templates.FieldFactor), strings.TrimSpace(r.PostForm.Get(templates.FieldName))
	err := h.Accounts.RenameTOTP(r.Context(), h.newChange(r, v, audit.FactorRenamed), id, name)
	if _, isInput := errors.AsType[*account.InputError](err); isInput && v.user.TOTP(id) != nil {
		return journey.ExitWithPage(h.writeFactors(w, r, v, http.StatusUnprocessableEntity, id, name))
	}
	if errors.Is(err, idp.ErrNotFound) { // removed in another tab
		return journey.RedirectTo(w, r, journey.FactorsPath)
	}
	return h.endChange(w, r, v, audit.FactorRenamed, err, redirectDone(w, r, journey.FactorsPath, doneFactorRenamed))
}

// removeFactor answers POST /account/factors/remove: it asks first, and then removes the
// authenticator. The only one cannot be removed, because two factors are mandatory.
func (h *Handler) removeFactor(w http.ResponseWriter, r *http.Request, v visitor) journey.Exit {
	if err := r.ParseForm(); err != nil {
		return journey.ExitWithError(journey.NewFormError(err))
	}
	id := r.PostForm.Get(templates.FieldFactor)
	t := v.user.TOTP(id)
	switch {
	case t == nil: // removed in another tab
		return journey.RedirectTo(w, r, journey.FactorsPath)
	case len(v.user.TOTPs) == 1:
		return h.refuseLastFactor(w, r)
	case r.PostForm.Get(templates.FieldSure) != "yes":
		return journey.ExitWithPage(h.WritePage(w, templates.ConfirmPage{
			Base: h.newPageBase(r, journey.FactorsPath), Title: templates.FactorRemoveTitle, Text: templates.FactorRemoveText, Button: templates.FactorRemoveButton,
			Args: []string{t.Name}, Action: removeFactorPath, CancelURL: journey.FactorsPath,
			Fields: []templates.Field{{Name: templates.FieldFactor, Value: id}, {Name: templates.FieldSure, Value: "yes"}},
		}))
	}
	err := h.Accounts.RemoveTOTP(r.Context(), h.newChange(r, v, audit.FactorRemoved), id)
	if _, isInput := errors.AsType[*account.InputError](err); isInput { // the other one was removed in another tab
		return h.refuseLastFactor(w, r)
	}
	if errors.Is(err, idp.ErrNotFound) {
		return journey.RedirectTo(w, r, journey.FactorsPath)
	}
	return h.endChange(w, r, v, audit.FactorRemoved, err, redirectDone(w, r, journey.FactorsPath, doneFactorRemoved))
}

func (h *Handler) refuseLastFactor(w http.ResponseWriter, r *http.Request) journey.Exit {
	page := templates.OutcomePage{
		Base: h.newPageBase(r, journey.FactorsPath), Title: templates.FactorLastTitle, Text: templates.FactorLastText, Link: templates.FactorAdd, URL: addFactorPath, HasSupport: true,
	}
	return journey.ExitWithPage(func() error { return h.Pages.Render(w, http.StatusUnprocessableEntity, page) })
}

// cancelReset answers POST /account/factors/cancel-reset. It needs no recent factor, because it
// keeps the account as it is.
func (h *Handler) cancelReset(w http.ResponseWriter, r *http.Request, v visitor) journey.Exit {
	redirect := redirectDone(w, r, journey.FactorsPath, doneResetCanceled)
	err := h.Accounts.CancelFactorReset(r.Context(), v.user.ID, journey.NewOwnEvent(r, audit.ResetCanceled, v.user.ID))
	if errors.Is(err, account.ErrNotPlanned) { // the form was sent twice
		return journey.ExitWithPage(redirect)
	}
	return h.endChange(w, r, v, audit.ResetCanceled, err, redirect)
}
