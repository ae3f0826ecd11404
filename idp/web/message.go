package web

import (
	"fmt"
	"io"
	"net/http"

	"vernal/idp/saml"
)

// Inbound returns the part of a request that package saml reads: its query, and the body of a
// POST. A HEAD is read like the corresponding GET.
//
// An incomplete body (cut off, too slow, longer than MaxBody) is the sender's fault and not
// ours: a *Error with 4xx.
func Inbound(r *http.Request) (saml.HTTPRequest, error) {
	in := saml.HTTPRequest{Method: r.Method, RawQuery: r.URL.RawQuery}
	switch r.Method {
	case http.MethodHead:
		in.Method = http.MethodGet
	case http.MethodPost:
		in.ContentType = r.Header.Get("Content-Type")
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return in, &Error{Status: http.StatusBadRequest, Key: "bad_form", Err: fmt.Errorf("read body: %w", err)}
		}
		in.Body = body
	}
	return in, nil
}

// ReadMessage decodes the message of a request from a browser. The error is that of Inbound or
// an *idp.Refusal.
func ReadMessage(r *http.Request) (*saml.Message, error) {
	in, err := Inbound(r)
	if err != nil {
		return nil, err
	}
	return saml.Read(in)
}
