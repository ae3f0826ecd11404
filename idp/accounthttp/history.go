package accounthttp

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/journey"
	"vernal/idp/session"
	"vernal/idp/web"
	"vernal/templates"
)

// historyPage is how many entries a page of the history has.
const historyPage = 30

// beforeParameter is the URL parameter of an older page of the history.
const beforeParameter = "before"

// showHistory answers GET /account/history: the audit records about the user in their words, the newest
// first.
func (h *Handler) showHistory(w http.ResponseWriter, r *http.Request, v visitor) journey.Exit {
	before := h.openMark(v.user.ID, r.URL.Query().Get(beforeParameter))
	records, err := audit.UserRecords(r.Context(), h.Trail, v.user.ID, before, historyPage+1)
	if err != nil {
		return journey.ExitWithError(fmt.Errorf("read the history of a user: %w", err))
	}
	page := templates.HistoryPage{AccountBase: h.newFrame(r, v, journey.HistoryPath)}
	if before > 0 {
		page.NewestURL = journey.HistoryPath
	}
	if len(records) > historyPage {
		records = records[:historyPage]
		page.OlderURL = journey.HistoryPath + "?" + beforeParameter + "=" + url.QueryEscape(h.sealMark(v.user.ID, records[historyPage-1].Seq))
	}
	for i := range records {
		page.Entries = append(page.Entries, h.newHistoryEntry(r.Context(), v.user.ID, &records[i]))
	}
	page.Nonce = web.AllowScript(w)
	h.scheduleWarning(w, v.session)
	return journey.ExitWithPage(h.WritePage(w, page))
}

func (h *Handler) newHistoryEntry(ctx context.Context, user idp.UserID, rec *idp.AuditRecord) templates.HistoryEntry {
	entry := templates.HistoryEntry{
		Text: templates.HistoryKey(rec.Kind, rec.Outcome, rec.SP != ""), At: rec.At, By: findOrigin(user, rec.Actor),
		Browser: rec.Detail["browser"], System: rec.Detail["system"], Network: formatAddress(rec.IPAddress),
	}
	if rec.SP != "" {
		entry.Service = h.Registry.LookupName(ctx, rec.SP)
	}
	return entry
}

// findOrigin returns who did something, as templates.HistoryEntry.By.
func findOrigin(user idp.UserID, actor string) string {
	switch {
	case actor == "user:"+string(user):
		return "you"
	case actor == "":
		return ""
	case actor == "server":
		return "server"
	case strings.HasPrefix(actor, "sp:"):
		return "service"
	}
	return "staff"
}

// formatAddress returns the network of an IP address, "" without one.
func formatAddress(address string) string {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	return networkText(session.DescribeDevice("", addr).Network)
}

// sealMark returns the mark of a page: a place in the audit trail. It is sealed, because the place
// would disclose how much happens in the whole installation.
func (h *Handler) sealMark(user idp.UserID, seq uint64) string {
	return base64.RawURLEncoding.EncodeToString(h.Sealer.Seal(markContext(user), binary.BigEndian.AppendUint64(nil, seq)))
}

// openMark returns the place of a mark. Anything else is the newest page.
func (h *Handler) openMark(user idp.UserID, mark string) uint64 {
	sealed, err := base64.RawURLEncoding.DecodeString(mark)
	if mark == "" || err != nil {
		return 0
	}
	place, err := h.Sealer.Open(markContext(user), sealed)
	if err != nil || len(place) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(place)
}

func markContext(user idp.UserID) string { return "history/" + string(user) }
