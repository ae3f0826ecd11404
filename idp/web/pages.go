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

// Pages renders pages. It is the one place where an error becomes a page.
type Pages struct {
	Set *templates.Set
	// Langs are the languages to choose from, the default one first; empty for
	// all of Set.
	Langs []templates.Lang
	// HasLinkSwitcher makes the language switcher of links, for a listener without POST.
	HasLinkSwitcher bool
	// Brand is the name of the service in titles and headers.
	Brand string
	// Branding is the look that the operator configured; nil for Vernal's own.
	Branding *templates.Brand
	// BaseURL is base_url, for the URLs on a retired year's page.
	BaseURL string
	// HelpURL and DevelopersURL are the indexes of the guides that pages link to; "" for
	// no links.
	HelpURL, DevelopersURL string
	// Years are our years, for the 404 of an endpoint URL without one of them; nil lists
	// none.
	Years *keyring.Ring
	// Refusals records refusals and their reasons; nil to record nothing.
	Refusals *audit.Refusals
	// SessionUser returns the user of the browser's session, "" without one; optional. The
	// records of previews name the user.
	SessionUser func(*http.Request) idp.UserID
}

// Base returns the common part of every page.
func (p *Pages) Base(r *http.Request, spName string) templates.Base {
	base := p.BareBase(r, spName)
	base.Languages = p.Languages(p.pageURL(r))
	base.HelpURL, base.DevelopersURL = p.HelpURL, p.DevelopersURL
	return base
}

// SenderBase returns the common part of a page in a sign-in for a service provider.
func (p *Pages) SenderBase(r *http.Request, s Sender) templates.Base {
	base := p.Base(r, s.SPName)
	base.SPLogo = s.SPLogo
	return base
}

// BareBase returns a Base without the language switcher and our guides, for a page that leads
// to another site.
func (p *Pages) BareBase(r *http.Request, spName string) templates.Base {
	lang := p.Lang(r)
	b := p.Branding.Branding(lang)
	return templates.Base{Lang: lang, SPName: spName, Brand: cmp.Or(b.Name, p.Brand), Branding: b}
}

// Render renders a page to memory before it writes status and body, so that a failing template
// leaves no partial page.
func (p *Pages) Render(w http.ResponseWriter, status int, page templates.Page) error {
	var b bytes.Buffer
	if err := p.Set.WriteHTML(&b, page); err != nil {
		return err
	}
	return WritePage(w, status, b.Bytes())
}

// WritePage writes a rendered page. The error is always nil, because a disconnected peer is
// not a failure.
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

// Fail answers with the page for err. The page contains only details that the user may know. The
// log contains the rest, linked to the page by the error ID.
func (p *Pages) Fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		w.WriteHeader(499) // the peer has gone, so the status is only for the log
		return
	}
	e := EventOf(r)
	f := p.noteFailure(r, err)
	if err := p.showFailure(w, r, f); err != nil {
		e.Note(slog.String("page_error", err.Error()))
		e.Raise(slog.LevelError)
		http.Error(w, "Something went wrong. Error ID: "+f.errorID, f.Status)
	}
}

// Note logs a failure that is answered without a page, and returns the error ID for the
// answer.
func (p *Pages) Note(r *http.Request, err error) string { return p.noteFailure(r, err).errorID }

// noteFailure logs a failure and adds a refusal to the audit trail. The error ID is thus
// recorded before the page shows it.
func (p *Pages) noteFailure(r *http.Request, err error) failure {
	e := EventOf(r)
	f := classifyError(err)
	f.errorID = newID()
	e.Note(slog.String("error_id", f.errorID), slog.String("error", err.Error()))
	if f.Status >= 500 {
		e.Raise(slog.LevelError)
	} else if f.refusal != nil {
		e.refusalCode = f.refusal.Code
		e.Note(slog.String("refused", string(f.refusal.Code)))
		e.Raise(slog.LevelWarn)
	}
	p.recordFailure(r, e, &f)
	return f
}

// busyRetryAfter is when a client may try again after a refusal because of too many waiting
// changes.
const busyRetryAfter = 5 * time.Second

// writeRetryAfter is when a client may try again after the disk took no change. An operator must
// free space first.
const writeRetryAfter = time.Minute

// failure is an error with the data for its page.
type failure struct {
	Error    // its Status and Key are set
	refusal  *idp.Refusal
	goneYear *GoneYear
	errorID  string
	isBusy   bool // no further change can be written now
	// retryAfter is the value of the header; 0 for none.
	retryAfter time.Duration
}

func classifyError(err error) failure {
	var f failure
	status, key := http.StatusInternalServerError, "internal"
	if errors.As(err, &f.refusal) {
		status = http.StatusBadRequest
	}
	if errors.As(err, &f.goneYear) {
		status = http.StatusGone
	}
	if _, isClosed := errors.AsType[*ClosedYear](err); isClosed {
		status, key, f.retryAfter = http.StatusServiceUnavailable, "unavailable", closedRetryAfter
	}
	if f.isBusy = errors.Is(err, idp.ErrBusy); f.isBusy {
		status, key, f.retryAfter = http.StatusServiceUnavailable, "unavailable", busyRetryAfter
	}
	if e, ok := errors.AsType[*Error](err); ok {
		f.Error = *e
	}
	f.Status, f.Key = cmp.Or(f.Status, status), cmp.Or(f.Key, key)
	// The client is not at fault, and the request may succeed once the store or
	// the token works again.
	if errors.Is(err, idp.ErrTampered) || errors.Is(err, idp.ErrDamaged) || errors.Is(err, idp.ErrKeyUnavailable) {
		f.Status, f.Key, f.retryAfter = http.StatusServiceUnavailable, "unavailable", closedRetryAfter
	}
	if errors.Is(err, idp.ErrNotWritten) {
		f.Status, f.Key, f.retryAfter = http.StatusServiceUnavailable, "not_written", writeRetryAfter
	}
	if isBodyTooLarge(err) {
		f.Status, f.Key = http.StatusRequestEntityTooLarge, "too_large"
	}
	return f
}

// showFailure writes the failure's page in the format that the client requests.
func (p *Pages) showFailure(w http.ResponseWriter, r *http.Request, f failure) error {
	if f.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(f.retryAfter.Seconds())))
	}
	page, fallback := p.choosePage(r, f)
	if f.Plain {
		return p.writeText(w, f.Status, page)
	}
	w.Header().Add("Vary", "Accept")
	return p.writeFormat(w, chooseFormat(r, fallback), f.Status, page)
}

func (p *Pages) writeFormat(w http.ResponseWriter, f format, status int, page templates.Page) error {
	switch f {
	case formatJSON:
		return p.writeJSON(w, status, page)
	case formatText:
		return p.writeText(w, status, page)
	}
	return p.Render(w, status, page)
}

// AnswerForm answers a form that must be sent again later: with the page of the form or, for a
// client that requests text or JSON, with the failure of that key. The caller records it.
func (p *Pages) AnswerForm(w http.ResponseWriter, r *http.Request, status int, key string, page func() error) error {
	w.Header().Add("Vary", "Accept")
	f := chooseFormat(r, formatHTML)
	if f == formatHTML {
		return page()
	}
	return p.writeFormat(w, f, status, newErrorPage(p.Base(r, ""), &failure{Error: Error{Status: status, Key: key}}))
}

// choosePage returns the page of a failure, and the format for a client that requests none. For an
// unknown or retired year that is text, because those clients are mostly programs that fetch
// metadata.
func (p *Pages) choosePage(r *http.Request, f failure) (templates.Page, format) {
	base := p.SenderBase(r, f.Sender)
	switch {
	case f.goneYear != nil:
		return p.newRetiredPage(base, f), formatText
	case f.Obstacle != nil:
		return templates.LackPage{
			Base: base, Lacks: string(f.Obstacle.Lack), Have: f.Obstacle.Factors, LeaveURL: f.LeaveURL, RecoverURL: f.RecoverURL,
			Refusal: f.refusal, ErrorID: f.errorID, BaseURL: p.BaseURL,
		}, formatHTML
	case f.refusal != nil:
		page := templates.RefusalPage{
			Base: base, Refusal: f.refusal, ErrorID: f.errorID, StartURL: f.StartURL, SignInURL: f.SignInURL, BaseURL: p.BaseURL,
		}
		if isUserCaused(f.refusal.Code) && !p.HasLinkSwitcher {
			page.AccountURL = "/"
		}
		return page, formatHTML
	case f.Status == http.StatusNotFound:
		return p.newNotFoundPage(r, base), formatText
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

// newNotFoundPage returns the same page for all unknown URLs, so its language switcher leads to
// an existing one.
func (p *Pages) newNotFoundPage(r *http.Request, base templates.Base) templates.Page {
	if page, ok := p.newNoYearPage(r, base); ok {
		return page
	}
	if !p.HasLinkSwitcher {
		base.Languages = p.Languages("/")
	}
	return templates.NotFoundPage{Base: base, HomeURL: "/"}
}

// isUserCaused reports whether users cause such a refusal themselves: by waiting, by using
// another browser or by going back. Their page offers a way to continue.
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
