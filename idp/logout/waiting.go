package logout

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"

	"vernal/idp"
	"vernal/idp/budget"
	"vernal/idp/web"
)

// A POSTed LogoutRequest is stored until its browser returns, and each delivery of it is a
// write. It cannot wait in the browser as an AuthnRequest can: it names the sessions that
// began before it was first received by any browser, and a copy in a cookie would not know
// that time. It would end newer sessions (see logoutscope.Judge).
//
// A budget therefore limits the stored requests. Beyond it the answer is 503. No sender can spend
// it for others:
//
//   - Each delivery spends the budget of the sender's network. Anyone who once saw a
//     message can repeat it while it is fresh.
//   - A message that was not seen before also spends its SP's budget. Outsiders cannot
//     spend that: a public link can make an SP sign an AuthnRequest, but only a session at
//     the SP makes it sign a LogoutRequest.
//
// The figures are bytes, as returned by measureRequest. They refill within requestLifetime, so that
// at most twice as much is stored of one SP. That is enough for some 10,000 users of one network
// who sign out at the same moment. No budget covers all SPs, because one SP must not keep another's
// users from signing out.
const (
	networkBudget = 16 << 20
	spBudget      = 16 << 20
)

// budgetKey identifies the budget of a network or of an SP.
type budgetKey struct {
	sp      idp.EntityID
	network netip.Prefix
}

// Allowance returns a rate that fills an empty budget within requestLifetime.
func (k budgetKey) Allowance() budget.Allowance {
	size := float64(networkBudget)
	if k.sp != "" {
		size = spBudget
	}
	return budget.Allowance{Burst: size, Minute: size / requestLifetime.Minutes()}
}

// IsShared reports whether senders cannot multiply the budget. It is false for networks,
// because a sender can use any number of them.
func (k budgetKey) IsShared() bool { return k.sp != "" }

// measureRequest returns the maximum size of the stored request in bytes: its strings, of which
// JSON escapes the RelayState six-fold, and 1,024 for the other fields.
func measureRequest(req *idp.LogoutRequest) float64 {
	n := 1024 + len(req.SP) + len(req.MessageID) + 6*len(req.RelayState)
	for _, index := range req.SessionIndexes {
		n += len(index)
	}
	return float64(n)
}

// storeRequest stores the request until its browser returns with its cookies, or returns
// idp.ErrBusy beyond the budget. A repeated message keeps its record, and the browser that
// brought it now continues with that record.
func (h *Handler) storeRequest(w http.ResponseWriter, r *http.Request, a *acceptedRequest) error {
	tie, hash := h.Sessions.TieHandle(a.request.Handle, requestLifetime)
	a.request.SecretHash = hash
	keys := []budgetKey{{network: idp.FindNetwork(web.EventOf(r).Client)}}
	_, err := h.Store.LogoutRequest(r.Context(), idp.RequestKey{SP: a.request.SP, MessageID: a.request.MessageID})
	if errors.Is(err, idp.ErrNotFound) {
		keys = append(keys, budgetKey{sp: a.request.SP})
	} else if err != nil {
		return fmt.Errorf("find earlier logout request: %w", err)
	}
	if !h.budgets.Take(h.Clock.Now(), measureRequest(a.request), keys...) {
		return fmt.Errorf("budget of waiting logout requests: %w", idp.ErrBusy)
	}
	first, err := h.Store.ReceiveLogout(r.Context(), a.request)
	if err != nil {
		return fmt.Errorf("store logout request: %w", err)
	}
	if first.Handle != a.request.Handle { // stored by a concurrent delivery
		h.budgets.GiveBack(h.Clock.Now(), measureRequest(a.request), keys[1:]...)
	}
	http.SetCookie(w, h.Sessions.RetieHandle(tie, first.Handle))
	http.Redirect(w, r, ContinuePath+"?request="+url.QueryEscape(string(first.Handle)), http.StatusSeeOther)
	return nil
}
