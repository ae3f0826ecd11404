package sso

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/saml"
	"vernal/idp/web"
	"vernal/idp/xmldsig"
	"vernal/idp/xmlenc"
	"vernal/templates"
)

// postResponse writes the page that sends the Response to the ACS URL through the browser
// (saml-bindings §3.5.4).
func (h *Handler) postResponse(w http.ResponseWriter, r *http.Request, a *acceptedRequest, b *buffer) (err error) {
	page := templates.ResponsePage{
		// No switcher: another language would need another Response.
		Base: h.Pages.BareBase(r, a.provider.Name), ACSURL: a.request.ACSURL, XML: b.xml,
		RelayState: a.request.RelayState, HasRelay: a.request.HasRelay,
	}
	page.Nonce = web.AllowPost(w, a.provider.FormAction(a.request.ACSURL))
	if b.page, err = h.Pages.Set.AppendResponse(b.page, page); err != nil {
		return fmt.Errorf("write response page: %w", err)
	}
	return web.WritePage(w, http.StatusOK, b.page)
}

// refusePassive answers a request that forbids asking the user anything, although the user must be
// asked. This is the only failure that is reported to the service provider (saml-core §3.2.2.2,
// NoPassive).
//
// Anyone can cause that answer any number of times, so it is recorded within a budget, in one write
// that spends the message ID. Beyond the budget it is only counted, because a second NoPassive
// discloses nothing new. Such answers also take only a part of the processors.
func (h *Handler) refusePassive(w http.ResponseWriter, r *http.Request, a *acceptedRequest) error {
	buffer := takeBuffer()
	defer buffer.release()
	if err := h.signPassive(w, r, a, buffer); errors.Is(err, idp.ErrYearEnded) {
		return h.Access.CheckEnded(a.request.Year)
	} else if err != nil {
		return err
	}
	web.EventOf(r).Note(slog.String("outcome", "no_passive"))
	return h.postResponse(w, r, a, buffer)
}

// signPassive records and signs the answer. An unauthenticated sender waits for a place in the
// limiter and frees it before the page is written, because a client can read as slowly as it
// likes.
func (h *Handler) signPassive(w http.ResponseWriter, r *http.Request, a *acceptedRequest, b *buffer) error {
	if web.EventOf(r).User == "" {
		release, err := h.senderLimiter.acquire(r.Context())
		if err != nil {
			return err
		}
		defer release()
	}
	if err := h.recordPassive(w, r, a); err != nil {
		return err
	}
	response := h.newResponse(a, h.Clock.Now())
	return h.signResponse(r, a, func(signer *xmldsig.Signer) (err error) {
		b.xml, err = response.WriteStatus(b.xml, saml.Status{Code: saml.StatusResponder, Detail: saml.StatusNoPassive}, signer)
		return err
	})
}

// recordPassive makes the single write of a NoPassive, if the sender has the budget for it. A
// request that waited in the store is always answered there.
func (h *Handler) recordPassive(w http.ResponseWriter, r *http.Request, a *acceptedRequest) error {
	if !a.isInStore && !a.isInBrowser {
		_, err := h.Store.LoginRequest(r.Context(), idp.RequestKey{SP: a.request.SP, MessageID: a.request.MessageID})
		if err == nil {
			return idp.ErrReplayed
		}
		if !errors.Is(err, idp.ErrNotFound) {
			return fmt.Errorf("find earlier request: %w", err)
		}
	}
	group, e := audit.UnknownSenders, web.EventOf(r)
	switch {
	case e.User != "":
		group = audit.User
	case a.request.CertSHA256 != "":
		group = audit.PassiveProvider
	}
	event := web.AuditEvent(r, audit.NoPassive, e.User)
	event.Actor, event.SP, event.Year = "sp:"+string(a.request.SP), a.request.SP, a.request.Year
	events := h.Pages.TakeRecord(group, event)
	if len(events) == 0 && !a.isInStore {
		return nil
	}
	request, err := h.loadRecordedRequest(r.Context(), a)
	if err != nil {
		return err
	}
	var cookie *http.Cookie
	if !a.isInStore && request == a.request {
		cookie = h.Sessions.TieRequest(a.request)
		record := *a.request // kept only to recognize its ID
		record.RelayState, record.ClassRefs, record.SubjectHash = "", nil, nil
		request = &record
	}
	if err := h.Signing.CheckKey(a.request.Year, h.Clock.Now()); err != nil {
		return err
	}
	err = h.Store.AnswerLoginRequest(r.Context(), request, h.Clock.Now(), h.Signing.Check(a.request.Year, a.provider), events...)
	if errors.Is(err, idp.ErrBusy) && !a.isInStore {
		h.Pages.CountRecord(group, event)
		return nil
	}
	if errors.Is(err, idp.ErrProviderChanged) {
		_, _ = h.Registry.Reload(r.Context(), a.request.SP) // for the next decision
	}
	if err != nil {
		return fmt.Errorf("record the NoPassive answer: %w", err)
	}
	if event.User != "" { // an unauthenticated sender gets its budget back when the request expires
		h.releaseBudget(r, a, request)
	}
	if cookie != nil {
		http.SetCookie(w, cookie)
	}
	return nil
}

// buffer is the memory of one Response and its page. It is reused after the page is written,
// because the two are most of the allocations of a sign-in.
type buffer struct{ xml, page []byte }

var buffers = sync.Pool{New: func() any {
	return &buffer{xml: make([]byte, 0, 12<<10), page: make([]byte, 0, 24<<10)}
}}

func takeBuffer() *buffer { return buffers.Get().(*buffer) }

func (b *buffer) release() {
	b.xml, b.page = b.xml[:0], b.page[:0]
	buffers.Put(b)
}

// newEncrypter returns the encrypter to the certificate for that time, or nil if the assertion
// is sent in the clear.
func (a *acceptedRequest) newEncrypter(now time.Time) (*xmlenc.Encrypter, error) {
	cert, err := a.provider.ChooseRecipient(a.cert, now)
	if cert == nil || err != nil {
		return nil, err
	}
	e, err := xmlenc.New(cert, a.provider.Encryption, a.provider.EncryptionDigest)
	if err != nil {
		return nil, fmt.Errorf("encrypt to %q: %w", a.request.SP, err)
	}
	return e, nil
}
