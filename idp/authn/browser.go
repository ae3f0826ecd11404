package authn

import (
	"net/http"

	"vernal/idp/account"
)

// browser is the browser of a sign-in, with the cookie by which it is known in future if it was not
// known to the user.
type browser struct {
	use    account.BrowserUse
	cookie *http.Cookie
}

func (h *Handler) newBrowser(r *http.Request) *browser {
	cookie, hash := h.Sessions.NewBrowser(r)
	return &browser{account.BrowserUse{Hashes: h.Sessions.BrowserHashes(r), NewHash: hash}, cookie}
}

// describeBrowser adds to the details of a sign-in the browser that the user has not used before, of
// which the user gets a mail (package usermail).
func (h *Handler) describeBrowser(r *http.Request, b *browser, detail map[string]string) {
	if b.use.IsNotable {
		d := h.Sessions.DescribeDevice(r)
		detail["new_device"], detail["browser"], detail["system"] = "yes", d.Browser, d.System
	}
}

// keepBrowser sets the cookie by which the browser is known in future.
func (h *Handler) keepBrowser(w http.ResponseWriter, r *http.Request, b *browser) {
	cookie := b.cookie
	if hash := b.use.KnownHash; hash != nil {
		cookie = h.Sessions.RenewBrowser(r, hash)
	}
	http.SetCookie(w, cookie)
}
