package sso

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/assurance"
	"vernal/idp/consent"
	"vernal/idp/saml"
	"vernal/idp/web"
	"vernal/templates"
)

// question is what a user is asked before an assertion: why, and about which attributes. The zero
// value asks nothing.
type question struct {
	reason consent.Reason
	names  []string
}

// agreement is a user's answer to a question. The zero value is the answer of a user who is not
// asked.
type agreement struct {
	question
	// mark is the mark of the page on which the user agreed; see computeMark.
	mark string
}

func (g *agreement) isGiven() bool { return g.reason != consent.NotNeeded }

// newConsent returns the consent to record; nil for a user who was not asked.
func (g *agreement) newConsent(now time.Time) *idp.Consent {
	if !g.isGiven() {
		return nil
	}
	return &idp.Consent{Attributes: g.names, At: now}
}

// addConsent makes the consent the next step, if the request lacks nothing else.
func (h *Handler) addConsent(a *acceptedRequest, next step, user *idp.User, now time.Time) step {
	if next.kind != stepIssue {
		return next
	}
	q := h.findQuestion(a, user, now)
	switch {
	case q.reason == consent.NotNeeded:
		return next
	case a.request.IsPassive:
		return step{kind: stepPassive}
	}
	return step{kind: stepConsent, question: q}
}

// findQuestion returns the question that the user must answer before the assertion, according to the
// user's record. It unseals nothing.
func (h *Handler) findQuestion(a *acceptedRequest, user *idp.User, now time.Time) question {
	if a.request.SP == idp.RehearsalSP {
		return question{} // its user has no record, and no data
	}
	d := a.findDisclosure(user)
	policy := consent.Policy{IsOff: h.NoConsent, Provider: a.provider.Consent}
	reason := consent.FindReason(policy, user.Service(a.request.SP), d, now)
	if reason == consent.NotNeeded {
		return question{}
	}
	return question{reason: reason, names: d.Names}
}

// findDisclosure returns what the assertion discloses about the user.
func (a *acceptedRequest) findDisclosure(user *idp.User) consent.Disclosure {
	attributes := a.need.FindDisclosure(&a.provider.ServiceProvider, user.ActiveProofing())
	d := consent.Disclosure{Names: attributes.Names}
	if a.request.NameIDFormat == saml.NameIDFormatEmail && !slices.Contains(d.Names, "email") {
		d.Names = slices.Insert(d.Names, 0, "email")
	}
	if attributes.IsProofed {
		d.VerifiedAt = user.ActiveProofing().VerifiedAt
	}
	return d
}

// recheckUser returns the check of the user's record within the write: the record still has the
// answer to the question, and the assertion discloses what was decided about. The user may have
// withdrawn the consent meanwhile, or chosen another email address.
func (h *Handler) recheckUser(a *acceptedRequest, user *idp.User, asked question, now time.Time) func(*idp.User) error {
	return func(current *idp.User) error {
		q := h.findQuestion(a, current, now)
		if q.reason != asked.reason || !slices.Equal(q.names, asked.names) ||
			!current.ActiveProofing().Equal(user.ActiveProofing()) || a.chooseEmail(current) != a.chooseEmail(user) {
			return errUserChanged
		}
		return nil
	}
}

// errOtherAgreement reports that the user agreed on a page that shows something else than would be
// disclosed now.
var errOtherAgreement = errors.New("the user agreed to something else")

func makeConsentURL(req *idp.LoginRequest) string {
	return ConsentPath + "?request=" + url.QueryEscape(string(req.Handle))
}

// showConsent serves GET /sign-in/consent.
func (h *Handler) showConsent(w http.ResponseWriter, r *http.Request, a *acceptedRequest) error {
	if err := h.loadRequest(r, a, r.URL.Query().Get(templates.FieldRequest)); err != nil {
		return err
	}
	return h.askConsent(w, r, a, false)
}

// takeConsent serves POST /sign-in/consent: it answers the request, if the user agreed to exactly
// what is disclosed.
func (h *Handler) takeConsent(w http.ResponseWriter, r *http.Request, a *acceptedRequest) error {
	if err := r.ParseForm(); err != nil {
		return &web.Error{Status: http.StatusBadRequest, Key: "bad_form", Err: fmt.Errorf("read form: %w", err)}
	}
	if err := h.loadRequest(r, a, r.PostForm.Get(templates.FieldRequest)); err != nil {
		return err
	}
	s, user, err := h.loadSession(r, a.request)
	if err != nil {
		return err
	}
	next, err := h.decideStep(r.Context(), a, s, user)
	if err != nil {
		return err
	}
	if next.kind != stepConsent {
		return redirectTo(w, r, makeContinueURL(a.request))
	}
	err = h.issueAssertion(w, r, a, s, user, agreement{question: next.question, mark: r.PostForm.Get(templates.FieldShown)})
	if errors.Is(err, errOtherAgreement) {
		return h.askConsent(w, r, a, true)
	}
	return h.finishStep(w, r, a, err)
}

// askConsent writes the page, if consent is the next step. Otherwise the continue URL decides.
func (h *Handler) askConsent(w http.ResponseWriter, r *http.Request, a *acceptedRequest, isChanged bool) error {
	s, user, err := h.loadSession(r, a.request)
	if err != nil {
		return err
	}
	next, err := h.decideStep(r.Context(), a, s, user)
	if err != nil {
		return err
	}
	if next.kind != stepConsent {
		return redirectTo(w, r, makeContinueURL(a.request))
	}
	profile, err := h.loadProfile(r, a, user)
	if errors.Is(err, errUserChanged) {
		return redirectTo(w, r, makeContinueURL(a.request))
	}
	if err != nil {
		return err
	}
	if r.Method != http.MethodHead {
		// Reading takes time, which must not end the session.
		if err := h.Sessions.Touch(r.Context(), s); err != nil {
			return err
		}
	}
	page, err := h.newConsentPage(r, a, next.question, user, profile)
	if err != nil {
		return err
	}
	page.IsChanged = isChanged
	return h.Pages.Render(w, http.StatusOK, page)
}

func (h *Handler) newConsentPage(r *http.Request, a *acceptedRequest, q question, user *idp.User, profile *idp.Profile) (templates.ConsentPage, error) {
	page := templates.ConsentPage{
		Base: h.Pages.SenderBase(r, a.describeSender()), Action: ConsentPath, Request: string(a.request.Handle),
		Shown: h.computeMark(r, a, q, user, profile), Reason: string(q.reason),
		Email: findSignInEmail(user), SignInURL: h.makeSignInURL(a.request), AccountURL: h.AccountPath,
		IsKnownByEmail: a.request.NameIDFormat == saml.NameIDFormatEmail,
		Items:          templates.NewConsentItems(a.listValues(r, h, q, user, profile)),
	}
	page.ReturnURL = a.provider.ReturnToSPURL
	if q.reason == consent.Grown {
		page.MarkNew(consent.FindNew(user.Service(a.request.SP), q.names))
	}
	agency, ok := a.provider.NameIDScope.Agency()
	if !ok {
		return page, nil
	}
	page.Agency = agency
	all, err := h.Registry.All(r.Context())
	if err != nil {
		return page, fmt.Errorf("list the services of the agency: %w", err)
	}
	for _, p := range all {
		if p.NameIDScope == a.provider.NameIDScope && p.EntityID != a.provider.EntityID && p.Active {
			page.SharedWith = append(page.SharedWith, p.Name)
		}
	}
	slices.SortFunc(page.SharedWith, func(a, b string) int {
		return cmp.Or(strings.Compare(strings.ToLower(a), strings.ToLower(b)), strings.Compare(a, b))
	})
	return page, nil
}

// listValues returns the values of the attributes in the question, as the assertion would disclose
// them.
func (a *acceptedRequest) listValues(r *http.Request, h *Handler, q question, user *idp.User, profile *idp.Profile) []templates.ConsentValue {
	attributes := a.listAttributes(user, profile, "", string(h.Pages.Lang(r)))
	values := make([]templates.ConsentValue, 0, len(q.names))
	for _, name := range q.names {
		v := templates.ConsentValue{Name: name}
		i := slices.IndexFunc(attributes, func(attribute assurance.Attribute) bool { return attribute.FriendlyName == name })
		if i >= 0 {
			v.Values = attributes[i].Values
		} else if name == "email" {
			v.Values = []string{a.chooseEmail(user)} // only as the NameID
		}
		values = append(values, v)
	}
	return values
}

// computeMark identifies what a page shows: the request, the user, the reason and each value. The
// form sends it back, so that a user agrees to what they saw and to nothing else.
func (h *Handler) computeMark(r *http.Request, a *acceptedRequest, q question, user *idp.User, profile *idp.Profile) string {
	shown, _ := json.Marshal([]any{a.request.Handle, user.ID, q.reason, a.listValues(r, h, q, user, profile)}) // strings always encode
	sum := sha256.Sum256(shown)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
