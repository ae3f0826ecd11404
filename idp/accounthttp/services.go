package accounthttp

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/journey"
	"vernal/idp/web"
	"vernal/templates"
)

// showServices answers GET /account/services: the services that the user signed in to, what each
// gets, and the ways to change that.
func (h *Handler) showServices(w http.ResponseWriter, r *http.Request, v visitor) journey.Exit {
	page := templates.ServicesPage{
		AccountBase:    h.newFrame(r, v, journey.ServicesPath),
		WithdrawAction: withdrawPath, EmailAction: serviceEmailPath,
	}
	for _, e := range v.user.Emails {
		if !e.ConfirmedAt.IsZero() {
			page.Emails = append(page.Emails, e.Address)
		}
	}
	services := slices.Clone(v.user.Services)
	slices.SortStableFunc(services, func(a, b idp.ConnectedService) int { return b.LastAt.Compare(a.LastAt) })
	for i := range services {
		item, err := h.newServiceItem(r, &services[i], page.Emails)
		if err != nil {
			return journey.ExitWithError(err)
		}
		page.Services = append(page.Services, item)
	}
	page.Nonce = web.AllowScript(w)
	h.scheduleWarning(w, v.session)
	return journey.ExitWithPage(h.WritePage(w, page))
}

func (h *Handler) newServiceItem(r *http.Request, c *idp.ConnectedService, emails []string) (templates.ServiceItem, error) {
	item := templates.ServiceItem{
		ID: string(c.SP), Name: string(c.SP), FirstAt: c.FirstAt, LastAt: c.LastAt,
		ConsentAt: c.ConsentAt, WithdrawnAt: c.WithdrawnAt, HasConsent: c.HasConsent(),
	}
	var values []templates.ConsentValue
	for _, name := range c.Attributes {
		values = append(values, templates.ConsentValue{Name: name})
	}
	for _, row := range templates.NewConsentItems(values) {
		item.Shared = append(item.Shared, row.Label)
	}
	p, err := h.Registry.Lookup(r.Context(), c.SP)
	if errors.Is(err, idp.ErrNotFound) {
		item.IsRemoved = true
		return item, nil
	}
	if err != nil {
		return item, fmt.Errorf("look up a connected service: %w", err)
	}
	item.Name, item.Logo = p.Name, p.LogoPath()
	if p.Active {
		item.URL = p.SPInitiatedLoginURL
	}
	if agency, ok := p.NameIDScope.Agency(); ok {
		item.Agency = agency
	}
	if getsEmail(&p.ServiceProvider) && len(emails) > 1 {
		item.OffersEmail = true
		// An email address that is no longer the user's does not count, as at a sign-in.
		if slices.ContainsFunc(emails, func(e string) bool { return strings.EqualFold(e, c.Email) }) {
			item.Email = c.Email
		}
	}
	return item, nil
}

// getsEmail reports whether a service provider may get one of the user's email addresses.
func getsEmail(p *idp.ServiceProvider) bool {
	return slices.Contains(p.Attributes, "email") || p.AllowsNameIDFormat(idp.NameIDFormatEmail)
}

// withdrawConsent answers POST /account/services/withdraw.
func (h *Handler) withdrawConsent(w http.ResponseWriter, r *http.Request, v visitor) journey.Exit {
	sp, err := readService(r)
	if err != nil {
		return journey.ExitWithError(err)
	}
	err = h.Accounts.WithdrawConsent(r.Context(), h.newChange(r, v, audit.ConsentWithdrawn), sp)
	redirect := redirectDone(w, r, journey.ServicesPath, doneConsent)
	if errors.Is(err, idp.ErrNotFound) {
		// Withdrawn before, or no service of this user: the page shows it.
		return journey.ExitWithPage(redirect)
	}
	return h.endChange(w, r, v, audit.ConsentWithdrawn, err, redirect)
}

// chooseServiceEmail answers POST /account/services/email: which email address a service gets.
func (h *Handler) chooseServiceEmail(w http.ResponseWriter, r *http.Request, v visitor) journey.Exit {
	sp, err := readService(r)
	if err != nil {
		return journey.ExitWithError(err)
	}
	p, err := h.Registry.Lookup(r.Context(), sp)
	if err != nil && !errors.Is(err, idp.ErrNotFound) {
		return journey.ExitWithError(fmt.Errorf("look up a connected service: %w", err))
	}
	if err != nil || !getsEmail(&p.ServiceProvider) {
		return journey.RedirectTo(w, r, journey.ServicesPath) // removed or changed since the page was shown
	}
	change := h.newChange(r, v, audit.ServiceEmailChosen)
	isChanged, err := h.Accounts.ChooseServiceEmail(r.Context(), change, sp, r.PostForm.Get(templates.FieldEmail))
	redirect := redirectDone(w, r, journey.ServicesPath, doneServiceEmail)
	_, isInput := errors.AsType[*account.InputError](err)
	switch {
	case isInput || errors.Is(err, idp.ErrNotFound):
		// The email address was removed in another tab, or the form is not ours.
		return journey.RedirectTo(w, r, journey.ServicesPath)
	case err == nil && !isChanged:
		return journey.ExitWithPage(redirect)
	}
	return h.endChange(w, r, v, audit.ServiceEmailChosen, err, redirect)
}

// readService returns the service that a form is about.
func readService(r *http.Request) (idp.EntityID, error) {
	if err := r.ParseForm(); err != nil {
		return "", journey.NewFormError(err)
	}
	sp := r.PostForm.Get(templates.FieldService)
	if sp == "" || len(sp) > idp.MaxEntityID {
		return "", journey.NewFormError(fmt.Errorf("field %s has no entity ID", templates.FieldService))
	}
	return idp.EntityID(sp), nil
}
