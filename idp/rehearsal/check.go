package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	crewjam "github.com/crewjam/saml"

	"vernal/idp"
	"vernal/idp/saml"
	"vernal/idp/xmltree"
)

// maxClockGap is the tolerated difference between the clocks of a Response and this machine.
const maxClockGap = 60 * time.Second

// readByLibrary gives every Response to crewjam/saml, which decrypts and
// verifies it with the metadata alone.
func (w *Walk) readByLibrary(context.Context) (string, error) {
	if w.isMissing(errNoAnswers) {
		return "", errNoAnswers
	}
	for i := range w.answers {
		a, err := &w.answers[i], error(nil)
		a.assertion, err = w.newSP().ParseXMLResponse(a.response, []string{a.request.ID}, acs)
		if invalid, ok := errors.AsType[*crewjam.InvalidResponseError](err); ok {
			err = invalid.PrivateErr
		}
		if err != nil {
			return "", fmt.Errorf("by %s: %w", a.binding, err)
		}
	}
	return "crewjam/saml accepts every Response with the year's metadata", nil
}

// checkEncryption checks that no part of the assertion is in clear text.
func (w *Walk) checkEncryption(context.Context) (string, error) {
	for _, a := range w.answers {
		root, err := xmltree.Parse(a.response, xmltree.MessageLimits())
		if err != nil {
			return "", err
		}
		if root.Child(saml.NamespaceAssertion, "Assertion") != nil || root.Child(saml.NamespaceAssertion, "EncryptedAssertion") == nil {
			return "", fmt.Errorf("by %s: the assertion is not encrypted", a.binding)
		}
		if a.assertion == nil {
			return "", errNoAssertion
		}
	}
	return "the assertion is encrypted, and decrypts with the service provider's key", nil
}

// checkAssertions checks the assertions with our own code.
func (w *Walk) checkAssertions(context.Context) (string, error) {
	name := ""
	for _, a := range w.answers {
		if a.assertion == nil {
			return "", errNoAssertion
		}
		if err := w.checkAssertion(a); err != nil {
			return "", fmt.Errorf("by %s: %w", a.binding, err)
		}
		if got := a.assertion.Subject.NameID.Value; name != "" && got != name {
			return "", errors.New("two Responses name the user differently")
		}
		name = a.assertion.Subject.NameID.Value
	}
	return "NameID, audience, recipient, InResponseTo and validity are right", nil
}

func (w *Walk) checkAssertion(a answer) error {
	s := a.assertion
	if s.Issuer.Value != w.buildURL("/api/saml") {
		return fmt.Errorf("the Issuer is %q", s.Issuer.Value)
	}
	if s.Subject == nil || s.Subject.NameID == nil || s.Subject.NameID.Value == "" || s.Subject.NameID.Format != saml.NameIDFormatPersistent {
		return errors.New("the persistent NameID is missing")
	}
	if len(s.Subject.SubjectConfirmations) != 1 || s.Subject.SubjectConfirmations[0].SubjectConfirmationData == nil {
		return errors.New("it does not have exactly one SubjectConfirmation")
	}
	now, data := w.Clock.Now(), s.Subject.SubjectConfirmations[0].SubjectConfirmationData
	switch {
	case data.Recipient != acsURL:
		return fmt.Errorf("the Recipient is %q", data.Recipient)
	case data.InResponseTo != a.request.ID:
		return fmt.Errorf("InResponseTo is %q, not the request's ID", data.InResponseTo)
	case !now.Before(data.NotOnOrAfter):
		return fmt.Errorf("it could only be presented until %s", data.NotOnOrAfter.Format(time.RFC3339))
	case s.Conditions == nil || len(s.Conditions.AudienceRestrictions) != 1 ||
		s.Conditions.AudienceRestrictions[0].Audience.Value != string(idp.RehearsalSP):
		return errors.New("the audience is not the service provider")
	case !now.Before(s.Conditions.NotOnOrAfter) || now.Add(maxClockGap).Before(s.Conditions.NotBefore):
		return errors.New("it is not valid now")
	}
	return nil
}

// replay repeats an answered request, which must be refused.
func (w *Walk) replay(ctx context.Context) (string, error) {
	i := slices.IndexFunc(w.answers, func(a answer) bool { return a.url != "" })
	if i < 0 {
		return "", errNoAnswers
	}
	p, err := w.get(ctx, http.StatusBadRequest, w.answers[i].url, w.Terms.newCookie())
	return "the same request again is refused", checkRefused(p, err, "a request that was answered before")
}

// sendOtherYear sends a request to this year's URL with the Destination of another year.
func (w *Walk) sendOtherYear(ctx context.Context) (string, error) {
	r, err := w.newRequest("2001", saml.BindingURIRedirect)
	if err != nil {
		return "", err
	}
	url, err := w.buildRedirectURL(r)
	if err != nil {
		return "", err
	}
	p, err := w.get(ctx, http.StatusBadRequest, url, w.Terms.newCookie())
	return "a request whose Destination is another year's is refused", checkRefused(p, err, "a Destination of another year")
}

// checkRefused returns an error unless the page is a 400 without a Response.
func checkRefused(p page, err error, what string) error {
	if findField(formResponse, p.body) != "" {
		return fmt.Errorf("%s was answered with a Response", what)
	}
	return err
}

func (w *Walk) checkClock(context.Context) (string, error) {
	if !w.Terms.ClockTrusted {
		return "", &RefusedError{"the server's clock is not trusted after a jump or drift: if the time is correct, confirm it",
			[]idp.Suggestion{idp.Suggest(idp.DoRotationConfirmClock)}}
	}
	worst := w.Clock.Now().Sub(w.Terms.At) - Lifetime // allows for the duration of a rehearsal
	for _, a := range w.answers {
		if a.assertion != nil {
			worst = max(worst, a.assertion.IssueInstant.Sub(a.request.IssueInstant).Abs())
		}
	}
	if worst > maxClockGap {
		return "", fmt.Errorf("the server's clock and this machine's are %s apart", worst.Round(time.Second))
	}
	return "the server's clock is trusted, and agrees with this machine's", nil
}
