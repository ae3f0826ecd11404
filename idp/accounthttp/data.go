package accounthttp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/journey"
	"vernal/idp/web"
	"vernal/templates"
)

// maxDownloadedHistory bounds the history in a download. The page has all of it.
const maxDownloadedHistory = 10_000

// showData answers GET /account/data: which data is stored, without the data itself.
func (h *Handler) showData(w http.ResponseWriter, r *http.Request, v visitor) journey.Exit {
	page := templates.DataPage{
		AccountBase: h.newFrame(r, v, journey.DataPath), Action: journey.DataPath, HasIdentity: v.user.Proofing != nil,
	}
	page.Nonce = web.AllowScript(w)
	h.scheduleWarning(w, v.session)
	return journey.ExitWithPage(h.WritePage(w, page))
}

// downloadedData is the file that a user downloads.
type downloadedData struct {
	*account.OwnData
	Sessions []downloadedSession `json:"sessions"`
	History  []downloadedEvent   `json:"history"`
	// IsHistoryShortened reports whether older entries are missing.
	IsHistoryShortened bool `json:"history_shortened,omitempty"`
}

type downloadedSession struct {
	StartedAt time.Time `json:"started_at"`
	SeenAt    time.Time `json:"seen_at"`
	EndsAt    time.Time `json:"ends_at"`
	Browser   string    `json:"browser,omitempty"`
	System    string    `json:"system,omitempty"`
	Network   string    `json:"network,omitempty"`
	Services  []string  `json:"services,omitempty"`
}

type downloadedEvent struct {
	At      time.Time     `json:"at"`
	Event   idp.AuditKind `json:"event"`
	Outcome string        `json:"outcome"`
	By      string        `json:"by,omitempty"`
	Service idp.EntityID  `json:"service,omitempty"`
	Browser string        `json:"browser,omitempty"`
	System  string        `json:"system,omitempty"`
	Network string        `json:"network,omitempty"`
}

// downloadData answers POST /account/data with everything that is stored about the user, as a file. It
// is recorded before the answer.
func (h *Handler) downloadData(w http.ResponseWriter, r *http.Request, v visitor) journey.Exit {
	data, err := h.readData(r.Context(), v, journey.NewOwnEvent(r, audit.OwnDataDownloaded, v.user.ID))
	if errors.Is(err, idp.ErrNotFound) {
		return journey.RedirectTo(w, r, journey.AccountPath) // deleted meanwhile, which that page shows
	}
	if err != nil {
		return journey.ExitWithError(err)
	}
	file, err := json.MarshalIndent(data, "", "  ")
	if err != nil {
		return journey.ExitWithError(fmt.Errorf("write own data: %w", err))
	}
	return journey.ExitWithDecision(audit.OwnDataDownloaded, v.user.ID, func() error {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Disposition", `attachment; filename="account-data.json"`)
		_, err := w.Write(append(file, '\n'))
		return err
	})
}

func (h *Handler) readData(ctx context.Context, v visitor, event idp.AuditEvent) (*downloadedData, error) {
	sessions, err := h.Sessions.ListOwnSessions(ctx, v.user.ID)
	if err != nil {
		return nil, err
	}
	data := &downloadedData{Sessions: []downloadedSession{}, History: []downloadedEvent{}}
	for _, s := range sessions {
		one := downloadedSession{
			StartedAt: s.CreatedAt, SeenAt: s.SeenAt, EndsAt: h.Sessions.EndsAt(s),
			Browser: s.Device.Browser, System: s.Device.System, Network: networkText(s.Device.Network),
		}
		for _, p := range s.Participants {
			one.Services = append(one.Services, string(p.SP))
		}
		data.Sessions = append(data.Sessions, one)
	}
	// The event is recorded with the data, so the history is read without it.
	records, err := audit.UserRecords(ctx, h.Trail, v.user.ID, 0, maxDownloadedHistory+1)
	if err != nil {
		return nil, fmt.Errorf("read the history of a user: %w", err)
	}
	if len(records) > maxDownloadedHistory {
		records, data.IsHistoryShortened = records[:maxDownloadedHistory], true
	}
	for i := range records {
		rec := &records[i]
		data.History = append(data.History, downloadedEvent{
			At: rec.At, Event: rec.Kind, Outcome: rec.Outcome, By: findOrigin(v.user.ID, rec.Actor), Service: rec.SP,
			Browser: rec.Detail["browser"], System: rec.Detail["system"], Network: formatAddress(rec.IPAddress),
		})
	}
	if data.OwnData, err = h.Accounts.ReadOwnData(ctx, v.user.ID, event); err != nil {
		return nil, err
	}
	return data, nil
}
