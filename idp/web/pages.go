package web

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/keyring"
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
	// Branding is the look that the operator configured; nil for Vernal's own.
	Branding *templates.Brand
	// BaseURL is base_url, for the addresses that a retired year's page names.
	BaseURL string
	// HelpURL and DevelopersURL are the indexes of the guides that pages link to; "" for
	// no links.
	HelpURL, DevelopersURL string
	// Years are ours, for the 404 of an endpoint URL without one of them; nil lists none.
	Years *keyring.Ring
	// Refusals records who was refused and why; nil to record nothing.
	Refusals *audit.Refusals
	// SessionUser is the user of the browser's session, "" without one; optional. The
	// records of previews name them.
	SessionUser func(*http.Request) idp.UserID
}

// Base is what every page starts from.
func (p *Pages) Base(r *http.Request, spName string) templates.Base {
	base := p.BareBase(r, spName)
	base.Languages = p.Languages(p.pageURL(r))
	base.HelpURL, base.DevelopersURL = p.HelpURL, p.DevelopersURL
	return base
}

// BareBase is Base without the languages to choose from and our guides, for a page that
// leads elsewhere.
func (p *Pages) BareBase(r *http.Request, spName string) templates.Base {
	lang := p.Lang(r)
	b := p.Branding.In(lang)
	return templates.Base{Lang: lang, SPName: spName, Brand: cmp.Or(b.Name, p.Brand), Branding: b}
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

// showFailure writes the failure's page in the format that the client asks for.
func (p *Pages) showFailure(w http.ResponseWriter, r *http.Request, f failure) error {
	if f.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(f.retryAfter.Seconds())))
	}
	page, usual := p.pageOf(r, f)
	if f.Plain {
		return p.writeText(w, f.Status, page)
	}
	w.Header().Add("Vary", "Accept")
	return p.writeAs(w, chooseFormat(r, usual), f.Status, page)
}

func (p *Pages) writeAs(w http.ResponseWriter, f format, status int, page templates.Page) error {
	switch f {
	case formatJSON:
		return p.writeJSON(w, status, page)
	case formatText:
		return p.writeText(w, status, page)
	}
	return p.Render(w, status, page)
}

// AnswerForm answers a form that has to wait, with the page that shows it again or, to a client
// that asks for text or JSON, with the failure of that key. The caller records it.
func (p *Pages) AnswerForm(w http.ResponseWriter, r *http.Request, status int, key string, page func() error) error {
	w.Header().Add("Vary", "Accept")
	f := chooseFormat(r, formatHTML)
	if f == formatHTML {
		return page()
	}
	return p.writeAs(w, f, status, newErrorPage(p.Base(r, ""), &failure{Error: Error{Status: status, Key: key}}))
}

// pageOf returns the page of a failure, and its format for a client that asks for none. Where
// an unknown or retired year is, that is text: those clients are mostly programs that fetch
// metadata.
func (p *Pages) pageOf(r *http.Request, f failure) (templates.Page, format) {
	base := p.Base(r, f.SPName)
	switch {
	case f.gone != nil:
		return p.retiredPage(base, f), formatText
	case f.Obstacle != nil:
		return templates.LackPage{
			Base: base, Lacks: string(f.Obstacle.Lacks), Have: f.Obstacle.Have, LeaveURL: f.LeaveURL,
			Refusal: f.refusal, ErrorID: f.errorID, BaseURL: p.BaseURL,
		}, formatHTML
	case f.refusal != nil:
		page := templates.RefusalPage{
			Base: base, Refusal: f.refusal, ErrorID: f.errorID, StartURL: f.StartURL, SignInURL: f.SignInURL, BaseURL: p.BaseURL,
		}
		if isUserCaused(f.refusal.Code) && !p.Linked {
			page.AccountURL = "/"
		}
		return page, formatHTML
	case f.Status == http.StatusNotFound:
		return p.notFoundPage(r, base), formatText
	}
	return newErrorPage(base, &f), formatHTML
}

func newErrorPage(base templates.Base, f *failure) templates.ErrorPage {
	return templates.ErrorPage{
		Base: base, Status: f.Status, Code: f.Key, ErrorID: f.errorID, StartURL: f.StartURL,
		Title: templates.Key("error." + f.Key + ".title"), Text: templates.Key("error." + f.Key + ".text"),
		Args: f.Args,
	}
}

// notFoundPage is the same for all URLs that we do not have, so its switcher of languages leads
// to one that we have.
func (p *Pages) notFoundPage(r *http.Request, base templates.Base) templates.Page {
	if page, ok := p.noYearPage(r, base); ok {
		return page
	}
	if !p.Linked {
		base.Languages = p.Languages("/")
	}
	return templates.NotFoundPage{Base: base, HomeURL: "/"}
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

func (p *Pages) writeJSON(w http.ResponseWriter, status int, page templates.Page) error {
	var b bytes.Buffer
	if err := p.Set.WriteJSON(&b, page); err != nil {
		return err
	}
	return write(w, status, "application/json", b.Bytes())
}
