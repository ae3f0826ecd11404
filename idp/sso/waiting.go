package sso

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"

	"vernal/idp"
	"vernal/idp/assurance"
	"vernal/idp/budget"
	"vernal/idp/saml"
	"vernal/idp/session"
	"vernal/idp/web"
)

// A request that waits for its user is the only record that an unauthenticated sender can make
// us store, so it has a budget. Beyond the budget the request waits in the browser
// (session.Manager.Hold), where it costs us nothing. No sign-in is refused for that: every
// step works the same, and the message ID is spent by the write of the answer. The same
// happens if the store has too many changes waiting (idp.ErrBusy).
//
// A signature does not prove that the service provider (SP) wants this request: its
// public sign-in link gives signed requests to anyone. So signed requests spend the
// budgets of the sender's network, of the SP and one in total. An unsigned request
// only claims its SP. It spends smaller budgets of its own and never the SP's.
//
// The budgets are in bytes, as returned by measureRequest. A request is stored for
// session.RequestLifetime, a day, which is also how long an empty budget takes to fill. The two
// totals thus bound the requests that wait in the store at any time to
//
//	2 × (signedTotal + unsignedTotal) = 20 MiB
//
// and half-full pages at most double that in the file: below 64 MB with everything that belongs to
// it, plus 5 MB of memory in the store's index of messages. An answered request frees its budget,
// because its user has then authenticated. So an agency spends its budget only on abandoned
// sign-ins: some 8,000 at once and as many a day.
const (
	signedTotal     = 8 << 20
	signedSP        = 5 << 20
	signedNetwork   = 2 << 20
	unsignedTotal   = 2 << 20
	unsignedNetwork = 256 << 10
)

// budgetScope names the requests that share a budget.
type budgetScope int

const (
	scopeAllSigned budgetScope = iota
	scopeOneSP
	scopeOneNetwork
	scopeAllUnsigned
	scopeOneNetworkUnsigned
)

// budgetKey identifies a budget of waiting requests.
type budgetKey struct {
	scope   budgetScope
	sp      idp.EntityID
	network netip.Prefix
}

// budgetSizes holds the budgets in bytes.
var budgetSizes = [...]float64{scopeAllSigned: signedTotal, scopeOneSP: signedSP, scopeOneNetwork: signedNetwork, scopeAllUnsigned: unsignedTotal, scopeOneNetworkUnsigned: unsignedNetwork}

// Allowance returns a rate that fills an empty budget within session.RequestLifetime.
func (k budgetKey) Allowance() budget.Allowance {
	return budget.Allowance{Burst: budgetSizes[k.scope], Minute: budgetSizes[k.scope] / session.RequestLifetime.Minutes()}
}

// IsShared reports whether senders cannot multiply the budget. It is false for networks,
// because a sender can use any number of them. The totals bound those.
func (k budgetKey) IsShared() bool {
	return k.scope != scopeOneNetwork && k.scope != scopeOneNetworkUnsigned
}

// listBudgetKeys returns the budgets that the request spends.
func listBudgetKeys(req *idp.LoginRequest, network netip.Prefix) []budgetKey {
	if req.CertSHA256 == "" {
		return []budgetKey{{scope: scopeOneNetworkUnsigned, network: network}, {scope: scopeAllUnsigned}}
	}
	return []budgetKey{{scope: scopeOneNetwork, network: network}, {scope: scopeOneSP, sp: req.SP}, {scope: scopeAllSigned}}
}

// measureRequest returns the maximum size of the stored request in bytes: its strings, and 512
// for its other fields, its keys and its entries in two indexes.
func measureRequest(req *idp.LoginRequest) float64 {
	n := 512 + len(req.SP) + len(req.MessageID) + len(req.ACSURL) + len(req.RelayState) + len(req.NameIDFormat) + len(req.CertSHA256) +
		len(req.SubjectHash) + len(req.MessageHash)
	for _, ref := range req.ClassRefs {
		n += len(ref)
	}
	return float64(n)
}

// keepRequest keeps the request for the next steps and redirects the browser.
//
// A request that forbids asking the user always waits in the browser, because it only waits
// for the GET that brings the session's cookie.
func (h *Handler) keepRequest(w http.ResponseWriter, r *http.Request, a *acceptedRequest) error {
	_, err := h.Store.LoginRequest(r.Context(), idp.RequestKey{SP: a.request.SP, MessageID: a.request.MessageID})
	if err == nil {
		return h.handleReplay(w, r, a)
	}
	if !errors.Is(err, idp.ErrNotFound) {
		return fmt.Errorf("find earlier request: %w", err)
	}
	first, second := h.storeRequest, h.holdRequest
	if a.request.IsPassive {
		first, second = h.holdRequest, h.storeRequest
	}
	if err = first(w, r, a); errors.Is(err, idp.ErrBusy) {
		err = second(w, r, a)
	}
	if errors.Is(err, idp.ErrReplayed) {
		return h.handleReplay(w, r, a)
	}
	if err != nil {
		return err
	}
	return redirectTo(w, r, makeContinueURL(a.request))
}

// storeRequest stores the request within the budgets, or returns idp.ErrBusy.
func (h *Handler) storeRequest(w http.ResponseWriter, r *http.Request, a *acceptedRequest) error {
	now, keys := h.Clock.Now(), listBudgetKeys(a.request, idp.FindNetwork(web.EventOf(r).Client))
	if !h.budgets.Take(now, measureRequest(a.request), keys...) {
		return fmt.Errorf("budget of waiting requests: %w", idp.ErrBusy)
	}
	cookie := h.Sessions.TieRequest(a.request)
	if err := h.Store.CreateLoginRequest(r.Context(), a.request); err != nil {
		h.budgets.GiveBack(now, measureRequest(a.request), keys...)
		return fmt.Errorf("store request: %w", err)
	}
	http.SetCookie(w, cookie)
	return nil
}

// holdRequest has the browser hold the request, or returns idp.ErrBusy if it is too long. It
// leaves out the values that change nothing, so that a sender cannot make it too large.
//
// Several browsers can hold the same message. No copy may outlive the store's record that
// another one was answered, so all copies end at the same time, counted from the earliest
// moment at which the message is accepted.
func (h *Handler) holdRequest(w http.ResponseWriter, r *http.Request, a *acceptedRequest) error {
	request := *a.request
	request.ClassRefs = assurance.SelectRecognized(request.ClassRefs)
	request.ExpiresAt = request.IssuedAt.Add(request.ExpiresAt.Sub(request.ReceivedAt) - saml.MaxSkew)
	err := h.Sessions.HoldRequest(w, &request)
	if errors.Is(err, session.ErrTooLong) {
		return fmt.Errorf("%w: %w", idp.ErrBusy, err)
	}
	if err != nil {
		return fmt.Errorf("have the browser hold the request: %w", err)
	}
	return nil
}

// loadRecordedRequest returns the request as its answer is recorded. If the request waited in the
// browser while another delivery of its message is stored, it gets the handle of that one: the
// store takes one answer there, whichever browser came first.
func (h *Handler) loadRecordedRequest(ctx context.Context, a *acceptedRequest) (*idp.LoginRequest, error) {
	if !a.isInBrowser {
		return a.request, nil
	}
	storedRequest, err := h.Store.LoginRequest(ctx, idp.RequestKey{SP: a.request.SP, MessageID: a.request.MessageID})
	if errors.Is(err, idp.ErrNotFound) || err == nil && !a.request.IsResubmitted(storedRequest) {
		return a.request, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find earlier request: %w", err)
	}
	request := *a.request
	request.Handle = storedRequest.Handle
	return &request, nil
}

// releaseBudget frees the budget of a request whose answer is written. Its stored copy, even under
// another handle, no longer waits.
func (h *Handler) releaseBudget(r *http.Request, a *acceptedRequest, request *idp.LoginRequest) {
	if a.isInStore || request.Handle != a.request.Handle {
		h.budgets.GiveBack(h.Clock.Now(), measureRequest(a.request), listBudgetKeys(a.request, idp.FindNetwork(web.EventOf(r).Client))...)
	}
}
