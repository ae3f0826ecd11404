// Package inspect takes a SAML message apart for whoever wonders why it was
// refused, or whether it will be: rule by rule, with the code that the server
// uses. It has no rules of its own.
//
//	read.go      text as people have it (address, query, base64, XML) -> message
//	request.go   AuthnRequest and LogoutRequest, held against the registration
//	response.go  Response and LogoutResponse, held against our certificates
//
// The server stops at the first rule that fails. Here the rules that follow are
// looked at as well, on what the message claims; a message whose signature does
// not hold is refused whatever they say.
//
// Nothing is kept, and nothing is spent: whether a message's ID was seen before
// is not asked.
package inspect

import (
	"context"
	"errors"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/assurance"
	"vernal/idp/saml"
	"vernal/idp/sp"
	"vernal/metadata"
	"vernal/templates"
)

// Service inspects messages. Registry and Years may be nil where there is no
// installation to ask; then nothing is verified.
type Service struct {
	IdP      metadata.IdP
	Registry *sp.Registry
	Years    *certs.Ring
}

// Report is what there is to say of a message.
type Report struct {
	// Kind is the name of the message's element, "" if it could not be read.
	Kind string `json:"kind"`
	// Refused reports whether the server would refuse it, at At. Unknown is set
	// where that cannot be said because nothing could be verified.
	Refused bool      `json:"refused"`
	Unknown bool      `json:"unknown,omitempty"`
	At      time.Time `json:"at"`

	SP     idp.EntityID `json:"sp,omitempty"`
	SPName string       `json:"sp_name,omitempty"`
	Year   idp.Year     `json:"year,omitempty"`
	// Cert is the certificate that verified the message.
	Cert   *Cert   `json:"certificate,omitempty"`
	Checks []Check `json:"checks"`
	// Levels are of an AuthnRequest that could be resolved.
	Levels *Levels `json:"levels,omitempty"`
	// Attributes are of a Response that is not encrypted.
	Attributes []Attribute `json:"attributes,omitempty"`
	// XML is the message as it was sent.
	XML string `json:"xml,omitempty"`
}

// Cert names a certificate.
type Cert struct {
	SHA256 string    `json:"sha256"`
	EndAt  time.Time `json:"end_at"`
}

// Outcome is what a check came to.
type Outcome string

// The outcomes.
const (
	OK      Outcome = "ok"
	Refused Outcome = "refused"
	Skipped Outcome = "not_checked"
)

// Check is one rule.
type Check struct {
	// Field is the part of the message, as the standard names it.
	Field   string  `json:"field"`
	Outcome Outcome `json:"outcome"`
	Seen    string  `json:"seen,omitempty"`
	// Code and Args are of a refusal, which has its texts in the catalogues;
	// Note is why a rule was not checked, or what else there is to say.
	Code idp.RefusalCode `json:"code,omitempty"`
	Args []string        `json:"args,omitempty"`
	Note string          `json:"note,omitempty"`
	// Reason, Expected and Remedy are those texts, in English; see Explain.
	Reason   string `json:"reason,omitempty"`
	Expected string `json:"expected,omitempty"`
	Remedy   string `json:"remedy,omitempty"`
}

// Levels are what an AuthnRequest asks for, and what it would get.
type Levels struct {
	IAL              string              `json:"ial"`
	AAL              string              `json:"aal"`
	RememberedDevice bool                `json:"remembered_device"`
	ClassRef         string              `json:"authn_context_class_ref"`
	Attributes       []string            `json:"attributes"`
	Dropped          []assurance.Dropped `json:"dropped,omitempty"`
	Unknown          []string            `json:"unknown,omitempty"`
	ASCII            bool                `json:"ascii,omitempty"`
}

// Attribute is one attribute of an assertion.
type Attribute struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

// Inspect says what there is to say of a text that holds a message, as if it
// arrived at the given time. The error is a fault of ours; whatever is wrong
// with the text is in the report.
func (s *Service) Inspect(ctx context.Context, text string, at time.Time) (*Report, error) {
	r := &Report{At: at.UTC(), Checks: []Check{}}
	msg, in, err := read(text)
	if err != nil {
		return r, r.refuse("", err)
	}
	r.Kind, r.XML = msg.Root.Local, in.xml
	switch {
	case msg.Root.Is(saml.NamespaceProtocol, "AuthnRequest"), msg.Root.Is(saml.NamespaceProtocol, "LogoutRequest"):
		err = s.request(ctx, r, msg, in)
	case msg.Root.Is(saml.NamespaceProtocol, "Response"), msg.Root.Is(saml.NamespaceProtocol, "LogoutResponse"):
		err = s.response(ctx, r, msg)
	default:
		err = r.refuse("", idp.Refuse(idp.RefusedMessageType, "SAMLRequest", msg.Root.Local))
	}
	return r, err
}

// Explain fills in the texts of the refusals.
func (r *Report) Explain(set *templates.Set) {
	for i := range r.Checks {
		c := &r.Checks[i]
		if c.Code != "" {
			c.Reason, c.Expected, c.Remedy = set.Explain("en", &idp.Refusal{Code: c.Code, Args: c.Args})
		}
	}
}

// ok notes a rule that is kept.
func (r *Report) ok(field, seen string) {
	r.Checks = append(r.Checks, Check{Field: field, Outcome: OK, Seen: seen})
}

// skip notes a rule that could not be looked at.
func (r *Report) skip(field, why string) {
	r.Checks = append(r.Checks, Check{Field: field, Outcome: Skipped, Note: why})
}

// refuse notes a rule that is broken; an error that is no refusal is returned.
func (r *Report) refuse(field string, err error) error {
	var why *idp.Refusal
	if !errors.As(err, &why) {
		return err
	}
	if why.Field != "" {
		field = why.Field
	}
	c := Check{Field: field, Outcome: Refused, Seen: why.Seen, Code: why.Code, Args: why.Args}
	if why.Err != nil {
		c.Note = why.Err.Error()
	}
	r.Checks = append(r.Checks, c)
	r.Refused = true
	return nil
}

// check notes a rule by its error.
func (r *Report) check(field, seen string, err error) error {
	if err != nil {
		return r.refuse(field, err)
	}
	r.ok(field, seen)
	return nil
}
