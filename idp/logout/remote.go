package logout

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"

	"vernal/idp"
	"vernal/idp/inbound"
	"vernal/idp/logoutscope"
	"vernal/idp/saml"
	"vernal/idp/web"
	"vernal/idp/xmldsig"
)

// receiveRemote serves POST /api/saml/remotelogout{year}, which the SP's server calls without
// a browser or cookie. The decision depends only on the signature and on the users that were
// disclosed to the SP.
func (handler *Handler) receiveRemote(w http.ResponseWriter, r *http.Request) error {
	exchange := &channel{handler: handler, w: w, r: r, soap: isSOAP(r)}
	visit, err := handler.Access.BeginServer(r)
	if err != nil {
		return err // 404, 410 or 503, as text because the client is not a browser
	}
	msg, err := exchange.readMessage()
	if err != nil {
		return exchange.refuseMessage(visit.Refuse(err))
	}
	var a acceptedRequest
	if err := handler.acceptRequest(r, &a, &visit, msg, inbound.RemoteLogoutRequest, handler.Clock.Now()); err != nil {
		return exchange.refuseMessage(err)
	}
	if _, err := handler.recordLogout(r, &a, remoteKind, logoutscope.JudgeRemote); err != nil {
		return exchange.refuseMessage(err)
	}
	return exchange.answerRequest(&a)
}

// isSOAP reports whether the body is an envelope and not a form. SOAP 1.1, to which SAML
// binds, uses text/xml. pysaml2 and others send its envelope with the media type of SOAP 1.2.
func isSOAP(r *http.Request) bool {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return media == "text/xml" || media == "application/soap+xml"
}

// channel is the HTTP exchange with the SP's server.
type channel struct {
	handler *Handler
	w       http.ResponseWriter
	r       *http.Request
	soap    bool
}

// readMessage reads the message. An incomplete body is refused like a broken message, in the
// format that the sender reads.
func (c *channel) readMessage() (*saml.Message, error) {
	message, err := web.Inbound(c.r)
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		return nil, idp.Refuse(idp.RefusedRequestTooLarge, "body", "", strconv.FormatInt(tooLong.Limit, 10)).WithCause(err)
	case err != nil:
		seen := c.r.Header.Get("Content-Type")
		if escape, ok := errors.AsType[url.EscapeError](err); ok {
			seen = string(escape)
		}
		return nil, idp.Refuse(idp.RefusedParameterInvalid, "body", seen).WithCause(err)
	}
	if c.soap {
		return saml.ReadSOAP(message.Body)
	}
	return saml.Read(message)
}

// answerRequest writes the LogoutResponse: 200, or 400 for a user that the SP does not know.
// With SOAP it is always 200 (saml-bindings §3.2.3.3).
func (c *channel) answerRequest(a *acceptedRequest) error {
	response := c.handler.newResponse(a.request, "")
	write, status := response.Write, http.StatusOK
	if c.soap {
		write = response.WriteSOAP
	} else if a.request.Status != saml.StatusSuccess {
		status = http.StatusBadRequest
	}
	doc, err := c.handler.writeResponse(c.r, a, func(s *xmldsig.Signer) ([]byte, error) { return write(nil, s) })
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

// refuseMessage answers a refused message: 400 with plain text and the error ID or, with SOAP,
// 200 with a LogoutResponse that reports the refusal.
func (c *channel) refuseMessage(err error) error {
	var refusal *idp.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	if !c.soap {
		return &web.Error{Plain: true, Err: err}
	}
	id := c.handler.Pages.Note(c.r, err)
	response := &saml.LogoutResponse{
		ID: newID(), IssueInstant: c.handler.Clock.Now(), Issuer: string(c.handler.IdP.EntityID()),
		Status: saml.Status{
			Code: saml.StatusRequester, Detail: saml.StatusRequestDenied,
			Message: fmt.Sprintf("%s (%s), error %s", refusal.Code, refusal.Field, id),
		},
	}
	doc, err := response.WriteSOAP(nil, nil)
	if err != nil {
		return fmt.Errorf("write logout response: %w", err)
	}
	return c.sendDocument(http.StatusOK, doc)
}
