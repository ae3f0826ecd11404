package web

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/templates"
)

// Pages renders pages, and is the one place where an error becomes one.
type Pages struct {
	Set *templates.Set
	// Langs are the languages to choose from, the default one first; empty for
	// all of Set.
	Langs []templates.Lang
	// Linked has the switcher made of links (locale), for a listener that takes
	// no POST.
	Linked bool
	// Brand is the name of the service in titles and headers.
	Brand string
	// BaseURL is base_url, for the addresses that a retired year's page names.
	BaseURL string
	// HelpURL and DevelopersURL are the indexes of the guides that pages link to; "" for
	// no links.
	HelpURL, DevelopersURL string
	// Refusals records who was refused and why; nil to record nothing.
	Refusals *audit.Refusals
	// SessionUser is the user of the browser's session, "" without one; optional. The
	// records of previews name them.
	SessionUser func(*http.Request) idp.UserID
}

// Base is what every page starts from.
func (p *Pages) Base(r *http.Request, spName string) templates.Base {
	return templates.Base{
		Lang: p.Lang(r), SPName: spName, Brand: p.Brand, Languages: p.Languages(p.pageURL(r)),
		HelpURL: p.HelpURL, DevelopersURL: p.DevelopersURL,
	}
}

// Render renders a page to memory first and only then writes status and body,
// so that a template that fails half-way leaves no half page.
func (p *Pages) Render(w http.ResponseWriter, status int, page templates.Page) error {
	var b bytes.Buffer
	if err := p.Set.WriteHTML(&b, page); err != nil {
		return err
	}
	return WritePage(w, status, b.Bytes())
}

// WritePage writes a page that was rendered. The error is always nil: a peer that has gone
// is no failure.
func WritePage(w http.ResponseWriter, status int, page []byte) error {
	return write(w, status, "text/html; charset=utf-8", page)
}

func write(w http.ResponseWriter, status int, contentType string, body []byte) error {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
	return nil
}

// Fail answers with the page for err. What the person may know is on the page;
// the rest goes to the log, joined to the page by the error id.
func (p *Pages) Fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		w.WriteHeader(499) // the peer has gone; the status is for the log alone
		return
	}
	e := EventOf(r)
	f := p.noteFailure(r, err)
	if err := p.showFailure(w, r, f); err != nil {
		e.Note(slog.String("page_error", err.Error()))
		e.Raise(slog.LevelError)
		http.Error(w, "Something went wrong. Error "+f.errorID, f.Status)
	}
}

// Note tells the log of a failure that is answered in another way than by a
// page, and returns the error id to answer with.
func (p *Pages) Note(r *http.Request, err error) string { return p.noteFailure(r, err).errorID }

// noteFailure tells the log of a failure, and the audit trail if somebody was turned
// down. The page that is shown next thus has its error id on record already.
func (p *Pages) noteFailure(r *http.Request, err error) failure {
	e := EventOf(r)
	f := classifyError(err)
	f.errorID = newID()
	e.Note(slog.String("error_id", f.errorID), slog.String("error", err.Error()))
	if f.Status >= 500 {
		e.Raise(slog.LevelError)
	} else if f.refusal != nil {
		e.refused = f.refusal.Code
		e.Note(slog.String("refused", string(f.refusal.Code)))
		e.Raise(slog.LevelWarn)
	}
	p.turnedDown(r, e, &f)
	return f
}

// busyRetryAfter is when a client may ask again that came when too much was waiting.
const busyRetryAfter = 5 * time.Second

// failure is an error as its page needs it.
type failure struct {
	Error   // its Status and Key are set
	refusal *idp.Refusal
	gone    *Gone
	errorID string
	busy    bool // nothing more can be written now
	// retryAfter goes into the header; 0 for none.
	retryAfter time.Duration
}

func classifyError(err error) failure {
	var f failure
	status, key := http.StatusInternalServerError, "internal"
	if errors.As(err, &f.refusal) {
		status = http.StatusBadRequest
	}
	if errors.As(err, &f.gone) {
		status = http.StatusGone
	}
	if _, isClosed := errors.AsType[*Closed](err); isClosed {
		status, key, f.retryAfter = http.StatusServiceUnavailable, "unavailable", closedRetryAfter
	}
	if f.busy = errors.Is(err, idp.ErrBusy); f.busy {
		status, key, f.retryAfter = http.StatusServiceUnavailable, "unavailable", busyRetryAfter
	}
	if e, ok := errors.AsType[*Error](err); ok {
		f.Error = *e
	}
	f.Status, f.Key = cmp.Or(f.Status, status), cmp.Or(f.Key, key)
	if errors.Is(err, idp.ErrTampered) {
		// It is no one's fault who asks, and it may be right again when the store is.
		f.Status, f.Key, f.retryAfter = http.StatusServiceUnavailable, "unavailable", closedRetryAfter
	}
	if bodyTooLarge(err) {
		f.Status, f.Key = http.StatusRequestEntityTooLarge, "too_large"
	}
	return f
}

// showFailure writes the failure's page. A year that is unknown or retired is told in
// plain text to a client that does not ask for HTML: those are mostly programs
// that fetch metadata.
func (p *Pages) showFailure(w http.ResponseWriter, r *http.Request, f failure) error {
	base := p.Base(r, f.SPName)
	if f.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(f.retryAfter.Seconds())))
	}
	html := strings.Contains(r.Header.Get("Accept"), "text/html")
	switch {
	case f.gone != nil:
		page := p.retiredPage(base, f)
		if !html {
			return p.writeText(w, f.Status, page)
		}
		return p.Render(w, f.Status, page)
	case f.Obstacle != nil:
		page := templates.LackPage{
			Base: base, Lacks: string(f.Obstacle.Lacks), Have: f.Obstacle.Have, LeaveURL: f.LeaveURL,
			Refusal: f.refusal, ErrorID: f.errorID,
		}
		return p.Render(w, f.Status, page)
	case f.refusal != nil:
		page := templates.RefusalPage{Base: base, Refusal: f.refusal, ErrorID: f.errorID, StartURL: f.StartURL, SignInURL: f.SignInURL}
		if isUserCaused(f.refusal.Code) && !p.Linked {
			page.AccountURL = "/"
		}
		if f.Plain {
			return p.writeText(w, f.Status, page)
		}
		return p.Render(w, f.Status, page)
	case f.Status == http.StatusNotFound && !html:
		page := templates.NotFoundPage{Base: base}
		return p.writeText(w, f.Status, page)
	case f.Status == http.StatusNotFound:
		// The page is the same for all addresses that we do not have: its switcher
		// leads to one that we have.
		if !p.Linked {
			base.Languages = p.Languages("/")
		}
		page := templates.NotFoundPage{Base: base, HomeURL: "/"}
		return p.Render(w, f.Status, page)
	default:
		page := templates.ErrorPage{
			Base: base, Status: f.Status, ErrorID: f.errorID, StartURL: f.StartURL,
			Title: templates.Key("error." + f.Key + ".title"), Text: templates.Key("error." + f.Key + ".text"),
			Args: f.Args,
		}
		return p.Render(w, f.Status, page)
	}
}

// isUserCaused reports whether users bring about such a refusal themselves: by waiting, by
// another browser or by the back button. They need a way on more than a report.
func isUserCaused(code idp.RefusalCode) bool {
	switch code {
	case idp.RefusedStale, idp.RefusedOtherBrowser, idp.RefusedAnswered, idp.RefusedReplay:
		return true
	}
	return false
}

func (p *Pages) writeText(w http.ResponseWriter, status int, page templates.Page) error {
	var b bytes.Buffer
	if err := p.Set.WriteText(&b, page); err != nil {
		return err
	}
	return write(w, status, "text/plain; charset=utf-8", b.Bytes())
}
