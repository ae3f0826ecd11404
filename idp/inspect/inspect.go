// Package inspect explains why a SAML message was refused, or whether it will be: rule by
// rule, with the code that the server uses. Package inbound has the rules of requests: the
// server stops at the first refusal, and this package shows all findings.
//
//	paste.go        pasted text -> messages, each once
//	views.go        undoes transformations by mail, logs, shells and link scanners
//	detect.go       URLs in a text
//	detect_form.go  forms and parameters in a text
//	detect_xml.go   XML and base64 in a text
//	json.go         HAR files and other JSON -> messages
//	content.go      decodes a find, also in ways that the server does not accept
//	sighting.go     classifies a text without a message
//	read.go         a find -> the message, as the server decodes it
//	open.go         decrypts an assertion, for the holder of the key
//	request.go      AuthnRequest and LogoutRequest, compared with the registration
//	logout.go       the user that a LogoutRequest names, and the sessions it would end
//	subject.go      the user that an AuthnRequest names
//	replay.go       whether an ID was used before
//	response.go     Response and LogoutResponse, compared with our certificates
//	assertion.go    the rules that a service provider must insist on in the assertion,
//	                and the owners of the certificates that it is encrypted to
//	metadata.go     metadata, compared with the registration or our certificates
//	signature.go    why a signature does not verify: another key, another encoding
//	hint.go         how a value differs from the one that was probably meant
//
// The server stops at the first rule that fails. This package also checks the rules that
// follow, on the claimed content. If the signature of a message does not verify, it is refused
// whatever they report.
//
// The package stores nothing, and looking up an ID does not use it up. The reports are for
// operators and disclose registered values, which the server does not disclose to unverified
// senders.
package inspect

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/assurance"
	"vernal/idp/keyring"
	"vernal/idp/logoutscope"
	"vernal/idp/saml"
	"vernal/idp/sp"
	"vernal/metadata"
	"vernal/templates"
)

// Service inspects messages. Registry, Years, Seen and Users may be nil without an installation.
// Then the service verifies nothing.
type Service struct {
	IdP      metadata.IdP
	Registry *sp.Registry
	Years    *keyring.Ring
	History     MessageHistory
	// Users looks up the user that a LogoutRequest names. It is nil without a store.
	Users Users
}

// Users reads the users that were disclosed to service providers, and their sessions.
type Users interface {
	logoutscope.Store
	Sessions(ctx context.Context, q idp.SessionQuery) ([]*idp.Session, error)
}

// MessageHistory looks up earlier messages by ID. It returns idp.ErrNotFound if none came, or if the record
// of it has expired. RestoredAt is the beginning of its records, or zero if they are complete.
type MessageHistory interface {
	RestoredAt() time.Time
	LoginRequest(ctx context.Context, k idp.RequestKey) (*idp.LoginRequest, error)
	LogoutRequest(ctx context.Context, k idp.RequestKey) (*idp.LogoutRequest, error)
}

// Message is a message to inspect.
type Message struct {
	// FoundMessage is one of the messages that Find found.
	FoundMessage
	// Number is the position among Of messages, from 1. Both are 0 for a single message.
	Number int `json:"number,omitempty"`
	Total     int `json:"of,omitempty"`
	// AssumedAt is the time at which the message is assumed to arrive.
	AssumedAt time.Time `json:"at,omitzero"`
	// OpenedAssertion is the content of its encrypted assertion, if the caller has the key, or nil.
	OpenedAssertion *OpenedAssertion `json:"opened,omitempty"`
}

// Report is the result of inspecting a message.
type Report struct {
	// Kind is the name of the message's element, "" if it could not be read.
	Kind string `json:"kind"`
	// Metadata reports that the text is not a message but metadata, which is compared with the
	// registration.
	Metadata bool `json:"metadata,omitempty"`
	// OutcomeRefused reports whether the server would refuse the message, at At. Unknown is set if
	// that cannot be decided because nothing could be verified.
	Refused bool      `json:"refused"`
	Unknown bool      `json:"unknown,omitempty"`
	AssumedAt      time.Time `json:"at"`
	// Messages is the number of messages in the text, and Number the position of this one.
	// Both are absent for a single message.
	Messages int `json:"messages,omitempty"`
	Number   int `json:"message,omitempty"`
	// Place and Steps are those of the message that was found.
	Place Place  `json:"place,omitempty"`
	Steps []Step `json:"steps,omitempty"`

	SP     idp.EntityID `json:"sp,omitempty"`
	SPName string       `json:"sp_name,omitempty"`
	Year   idp.Year     `json:"year,omitempty"`
	// Cert is the certificate that verified the message.
	Cert   *Cert   `json:"certificate,omitempty"`
	Checks []Check `json:"checks"`
	// Levels is set for an AuthnRequest that could be resolved.
	Levels *Levels `json:"levels,omitempty"`
	// Attributes is set for a Response that is not encrypted, or was opened.
	Attributes []Attribute `json:"attributes,omitempty"`
	// XML is the message as it was sent.
	XML string `json:"xml,omitempty"`
}

// Cert identifies a certificate.
type Cert struct {
	SHA256 string    `json:"sha256"`
	EndAt  time.Time `json:"end_at"`
}

func newCert(c *x509.Certificate) *Cert {
	return &Cert{SHA256: certs.CertSHA256(c), EndAt: c.NotAfter.UTC()}
}

// Outcome is the result of a check.
type Outcome string

const (
	OutcomeOK      Outcome = "ok"
	OutcomeRefused Outcome = "refused"
	// OutcomeWarning marks a value that the server may accept or refuse, depending on something
	// unknown here.
	OutcomeWarning  Outcome = "warning"
	OutcomeSkipped Outcome = "not_checked"
)

// Check is the result of one rule.
type Check struct {
	// Field is the part of the message, as the standard names it.
	Field   string  `json:"field"`
	Outcome Outcome `json:"outcome"`
	Seen    string  `json:"seen,omitempty"`
	// Code and Args are of a refusal, which has its texts in the catalogues. Note says why a
	// rule was not checked, or adds information.
	Code idp.RefusalCode `json:"code,omitempty"`
	Args []string        `json:"args,omitempty"`
	Note string          `json:"note,omitempty"`
	// Status is the code of the answer to a LogoutRequest, if the rule decides it.
	Status string `json:"status,omitempty"`
	// Hints are findings about this value, for the operator. They may disclose registered
	// values.
	Hints []string `json:"hints,omitempty"`
	// Suggestions are the next steps for an operator.
	Suggestions []idp.Suggestion `json:"suggestions,omitempty"`
	// Reason, Expected and Remedy are the texts of Code, in English. Explain sets them.
	Reason   string `json:"reason,omitempty"`
	Expected string `json:"expected,omitempty"`
	Remedy   string `json:"remedy,omitempty"`
}

// Levels lists the values that an AuthnRequest asks for and would get.
type Levels struct {
	IAL              string              `json:"ial"`
	AAL              string              `json:"aal"`
	RememberedDevice bool                `json:"remembered_device"`
	ClassRef         string              `json:"authn_context_class_ref"`
	Attributes       []string            `json:"attributes"`
	DroppedAttributes          []assurance.DroppedAttribute `json:"dropped,omitempty"`
	UnknownClassRefs          []string            `json:"unknown,omitempty"`
	ASCII            bool                `json:"ascii,omitempty"`
}

// Attribute is one attribute of an assertion.
type Attribute struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

// Inspect reports on a message, also on the zero Sent. An error is always an internal one,
// because faults of the text are in the report.
func (s *Service) Inspect(ctx context.Context, m Message) (*Report, error) {
	r := &Report{AssumedAt: m.AssumedAt.UTC(), Checks: []Check{}, Messages: m.Total, Number: m.Number, Place: m.Place, Steps: m.Steps}
	if root := parseMetadata(m.XML); root != nil {
		r.Kind, r.XML, r.Metadata = root.Local, formatXML(root), true
		return r, s.checkMetadata(ctx, r, root, m.XML)
	}
	msg, in, err := r.readMessage(m.FoundMessage)
	if err != nil {
		return r, r.noteRefused("", err)
	}
	r.Kind, r.XML = msg.Root.Local, formatXML(msg.Root)
	isResponse := msg.Root.Is(saml.NamespaceProtocol, "Response") || msg.Root.Is(saml.NamespaceProtocol, "LogoutResponse")
	if isResponse && (in.endpoint == "" || in.isResponse) {
		err = s.checkResponse(ctx, r, msg, m.OpenedAssertion)
	} else {
		// The server treats every other message as a request.
		err = s.checkRequest(ctx, r, msg, in)
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

// add records the result of a rule. A refused rule refuses the message.
func (r *Report) add(c Check) {
	r.Checks = append(r.Checks, c)
	r.Refused = r.Refused || c.Outcome == OutcomeRefused
}

// noteOK records that a rule is met.
func (r *Report) noteOK(field, seen string) { r.add(Check{Field: field, Outcome: OutcomeOK, Seen: seen}) }

// note records that a rule is met, with additional information.
func (r *Report) note(field, seen, note string) {
	r.add(Check{Field: field, Outcome: OutcomeOK, Seen: seen, Note: note})
}

// noteSkipped records that a rule could not be checked.
func (r *Report) noteSkipped(field, why string) {
	r.add(Check{Field: field, Outcome: OutcomeSkipped, Note: why})
}

// noteRefused records that a rule is broken. It ignores a nil error and returns an error that
// is no refusal.
func (r *Report) noteRefused(field string, err error) error {
	why, ok := errors.AsType[*idp.Refusal](err)
	if !ok {
		return err
	}
	c := Check{Field: cmp.Or(why.Field, field), Outcome: OutcomeRefused, Seen: why.Seen, Code: why.Code, Args: why.Args}
	if why.Err != nil {
		c.Note = why.Err.Error()
	}
	r.add(c)
	return nil
}

// findRefusalCode returns the code of a refusal, or "" for another error or nil.
func findRefusalCode(err error) idp.RefusalCode {
	if why, ok := errors.AsType[*idp.Refusal](err); ok {
		return why.Code
	}
	return ""
}

// addHint adds hints to the last recorded rule. It ignores empty ones.
func (r *Report) addHint(hints ...string) {
	if len(r.Checks) == 0 {
		return
	}
	last := &r.Checks[len(r.Checks)-1]
	for _, h := range hints {
		if h != "" {
			last.Hints = append(last.Hints, h)
		}
	}
}

// addSuggestion adds suggestions to the last recorded rule.
func (r *Report) addSuggestion(list ...idp.Suggestion) {
	if len(r.Checks) > 0 {
		last := &r.Checks[len(r.Checks)-1]
		last.Suggestions = append(last.Suggestions, list...)
	}
}

// noteWarning records a value that the server may refuse, with the refusal.
func (r *Report) noteWarning(why *idp.Refusal, note string) {
	r.add(Check{Field: why.Field, Outcome: OutcomeWarning, Seen: why.Seen, Code: why.Code, Args: why.Args, Note: note})
}

// noteFault records a broken rule that has no text in the catalogues.
func (r *Report) noteFault(field, seen, note string) {
	r.add(Check{Field: field, Outcome: OutcomeRefused, Seen: seen, Note: note})
}

// noteResult records a rule as met or refused, depending on err.
func (r *Report) noteResult(field, seen string, err error) error {
	if err != nil {
		return r.noteRefused(field, err)
	}
	r.noteOK(field, seen)
	return nil
}
