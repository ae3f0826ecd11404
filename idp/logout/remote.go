package logout

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"

	"vernal/idp"
	"vernal/idp/inbound"
	"vernal/idp/logoutscope"
	"vernal/idp/saml"
	"vernal/idp/web"
	"vernal/idp/xmldsig"
)

// receiveRemote is POST /api/saml/remotelogout{year}: no browser, no cookie, the SP's
// server alone. What it says is judged by the signature and by whom the SP
// knows.
func (h *Handler) receiveRemote(w http.ResponseWriter, r *http.Request) error {
	ch := &channel{h: h, w: w, r: r, soap: isSOAP(r)}
	visit, err := h.Access.BeginServer(r)
	if err != nil {
		return err // 404, 410 or 503, as text for a client that is no browser
	}
	msg, err := ch.readMessage()
	if err != nil {
		return ch.refuseMessage(visit.Refuse(err))
	}
	var a accepted
	if err := h.acceptRequest(r, &a, &visit, msg, inbound.RemoteLogoutRequest, h.Clock.Now()); err != nil {
		return ch.refuseMessage(err)
	}
	if _, err := h.recordLogout(r, &a, remoteKind, logoutscope.JudgeRemote); err != nil {
		return ch.refuseMessage(err)
	}
	return ch.answerRequest(&a)
}

// isSOAP tells an envelope from a form. SOAP 1.1, which SAML binds to, is
// text/xml; pysaml2 and others send its envelope under the type of SOAP 1.2.
func isSOAP(r *http.Request) bool {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return media == "text/xml" || media == "application/soap+xml"
}

// channel is the way back to the SP's server.
type channel struct {
	h    *Handler
	w    http.ResponseWriter
	r    *http.Request
	soap bool
}

// readMessage takes the message off the wire. A body that did not come whole is refused
// like a broken message, in the form that the sender reads.
func (c *channel) readMessage() (*saml.Message, error) {
	in, err := web.Inbound(c.r)
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		return nil, idp.Refuse(idp.RefusedRequestTooLarge, "body", "", strconv.FormatInt(tooLong.Limit, 10)).With(err)
	case err != nil:
		return nil, idp.Refuse(idp.RefusedParameterInvalid, "body", "").With(err)
	}
	if c.soap {
		return saml.ReadSOAP(in.Body)
	}
	return saml.Read(in)
}

// answerRequest writes the LogoutResponse: 200, or 400 for a person whom the SP does
// not know. By SOAP it is always 200 (saml-bindings §3.2.3.3).
func (c *channel) answerRequest(a *accepted) error {
	response := c.h.newResponse(a.request, "")
	write, status := response.Write, http.StatusOK
	if c.soap {
		write = response.WriteSOAP
	} else if a.request.Status != saml.StatusSuccess {
		status = http.StatusBadRequest
	}
	doc, err := c.h.writeResponse(c.r, a, func(s *xmldsig.Signer) ([]byte, error) { return write(nil, s) })
	if err != nil {
		return c.refuseMessage(err)
	}
	return c.sendDocument(status, doc)
}

func (c *channel) sendDocument(status int, doc []byte) error {
	c.w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	c.w.WriteHeader(status)
	_, _ = c.w.Write(doc)
	return nil
}

// refuseMessage answers a message that is not acted upon: 400 with plain text and the
// error ID or, by SOAP, 200 with a LogoutResponse that says as much.
func (c *channel) refuseMessage(err error) error {
	var refused *idp.Refusal
	if !errors.As(err, &refused) {
		return err
	}
	if !c.soap {
		return &web.Error{Plain: true, Err: err}
	}
	id := c.h.Pages.Note(c.r, err)
	response := &saml.LogoutResponse{
		ID: newID(), IssueInstant: c.h.Clock.Now(), Issuer: string(c.h.IdP.EntityID()),
		Status: saml.Status{
			Code: saml.StatusRequester, Detail: saml.StatusRequestDenied,
			Message: fmt.Sprintf("%s (%s), error %s", refused.Code, refused.Field, id),
		},
	}
	doc, err := response.WriteSOAP(nil, nil)
	if err != nil {
		return fmt.Errorf("write logout response: %w", err)
	}
	return c.sendDocument(http.StatusOK, doc)
}
