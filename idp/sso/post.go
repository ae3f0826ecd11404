package sso

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"vernal/idp"
	"vernal/idp/saml"
	"vernal/idp/web"
	"vernal/idp/xmldsig"
	"vernal/idp/xmlenc"
	"vernal/templates"
)

// post writes the page that hands the Response to the ACS through the browser
// (saml-bindings §3.5.4). Its policy lets the form go to the ACS and to where
// the provider says that a post may lead on, as Chromium applies form-action
// to the whole chain of redirects; and it lets the one script run.
func (h *Handler) post(w http.ResponseWriter, r *http.Request, a *accepted, b *buffer) (err error) {
	var raw [16]byte
	rand.Read(raw[:])
	nonce := base64.RawStdEncoding.EncodeToString(raw[:])
	page := templates.ResponsePage{
		// No switcher: another language would want another Response.
		Base: templates.Base{Lang: h.Pages.Lang(r), SPName: a.provider.Name, Brand: h.Pages.Brand}, ACSURL: a.request.ACSURL, XML: b.xml,
		RelayState: a.request.RelayState, HasRelay: a.request.HasRelay,
	}
	page.Nonce = nonce
	if b.page, err = h.Pages.Set.AppendResponse(b.page, page); err != nil {
		return fmt.Errorf("write response page: %w", err)
	}
	header := w.Header()
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; "+
		"script-src 'nonce-"+nonce+"'; form-action "+a.provider.FormAction(a.request.ACSURL)+
		"; frame-ancestors 'none'; base-uri 'none'")
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(len(b.page)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(b.page)
	return nil
}

// refusePassive answers a request that forbids to ask the person anything, and
// for which they would have to be asked: the one failure that is told to the
// service provider (saml-core §3.2.2.2, NoPassive).
func (h *Handler) refusePassive(w http.ResponseWriter, r *http.Request, a *accepted) error {
	now := h.Clock.Now()
	if _, err := h.opened(r, a); err != nil {
		return err
	}
	e := web.EventOf(r)
	err := h.Store.AnswerLoginRequest(r.Context(), a.request.Handle, now, h.Signing.Check(a.request.Year, a.provider), idp.AuditEvent{
		Kind: "sign_in", Outcome: "no_passive", Actor: "sp:" + string(a.request.SP), User: e.User,
		SP: a.request.SP, Year: a.request.Year, RequestID: e.ID, Address: e.Address,
	})
	switch {
	case errors.Is(err, idp.ErrYearEnded):
		return web.EndedYear(h.Years, a.request.Year, now)
	case errors.Is(err, idp.ErrAnswered):
		return fail(a.provider, idp.Refuse(idp.RefusedAnswered, "AuthnRequest", a.request.MessageID).With(err))
	case outdated(err):
		_, _ = h.Registry.Reload(r.Context(), a.request.SP) // for the next decision
		return redirect(w, r, continueURL(a.request))
	case err != nil:
		return fail(a.provider, err)
	}
	response := saml.Response{
		ID: "_" + uuid.NewString(), IssueInstant: now, Issuer: string(h.IdP.EntityID()),
		Destination: a.request.ACSURL, InResponseTo: a.request.MessageID,
	}
	buffer := takeBuffer()
	defer buffer.release()
	err = h.sign(r, a, func(signer *xmldsig.Signer) (err error) {
		buffer.xml, err = response.WriteStatus(buffer.xml, saml.Status{Code: saml.StatusResponder, Detail: saml.StatusNoPassive}, signer)
		return err
	})
	if err != nil {
		return fail(a.provider, err)
	}
	e.Note(slog.String("outcome", "no_passive"))
	return h.post(w, r, a, buffer)
}

// buffer is the memory of one Response and its page. It is used again once the
// page is written: the two are most of what a sign-in allocates.
type buffer struct{ xml, page []byte }

var buffers = sync.Pool{New: func() any {
	return &buffer{xml: make([]byte, 0, 12<<10), page: make([]byte, 0, 24<<10)}
}}

func takeBuffer() *buffer { return buffers.Get().(*buffer) }

func (b *buffer) release() {
	b.xml, b.page = b.xml[:0], b.page[:0]
	buffers.Put(b)
}

// encrypter encrypts the assertion; nil if it is sent in the clear.
func (a *accepted) encrypter(now time.Time) (*xmlenc.Encrypter, error) {
	to, err := a.recipient(now)
	if to == nil || err != nil {
		return nil, err
	}
	e, err := xmlenc.New(to, a.provider.Encryption, a.provider.EncryptionDigest)
	if err != nil {
		return nil, fmt.Errorf("encrypt to %q: %w", a.request.SP, err)
	}
	return e, nil
}
