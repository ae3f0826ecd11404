// Package inspect takes a SAML message apart for whoever wonders why it was
// refused, or whether it will be: rule by rule, with the code that the server
// uses. Package inbound has the rules of requests: the server takes its first refusal, and
// here all of its findings are shown.
//
//	paste.go      what people paste, in whatever surrounds it -> messages, each once
//	views.go      what mail, logs, shells and link scanners make of a text, undone
//	detect.go     URLs, forms, parameters, XML and base64 in a text
//	json.go       HAR files and other JSON -> messages
//	content.go    what a find decodes to, also in ways that the server does not take
//	sighting.go   what a text is that holds no message
//	read.go       one of them -> the message, as the server decodes it
//	open.go       an encrypted assertion, by whoever has the key to it
//	request.go    AuthnRequest and LogoutRequest, held against the registration
//	logout.go     whom a LogoutRequest names, and what it would end
//	subject.go    the user whom an AuthnRequest asks for
//	replay.go     whether an ID was used before
//	response.go   Response and LogoutResponse, held against our certificates
//	assertion.go  what a service provider must insist on in the assertion, and whose the
//	              certificates are that it is encrypted to
//	metadata.go   metadata, held against the registration or our certificates
//	signature.go  why a signature does not verify: another key, another encoding
//	hint.go       how far a value is from the one that was probably meant
//
// The server stops at the first rule that fails. Here the rules that follow are
// looked at as well, on what the message claims; a message whose signature does
// not hold is refused whatever they say.
//
// Nothing is kept, and nothing is spent: an ID that is looked up is not used up.
// What is said here is for operators, and names what is registered; strangers
// are told less by the server.
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

// Service inspects messages. Registry, Years, Seen and Users may be nil where there is
// no installation to ask; then nothing is verified.
type Service struct {
	IdP      metadata.IdP
	Registry *sp.Registry
	Years    *keyring.Ring
	Seen     Seen
	// Users find whom a LogoutRequest names; nil without a store.
	Users Users
}

// Users are the users whom service providers know, and their sessions. They are only
// read.
type Users interface {
	logoutscope.Store
	Sessions(ctx context.Context, q idp.SessionQuery) ([]*idp.Session, error)
}

// Seen finds the messages that came before, by their IDs; idp.ErrNotFound if
// none did, or it is so long ago that its record is gone.
type Seen interface {
	LoginRequest(ctx context.Context, k idp.RequestKey) (*idp.LoginRequest, error)
	LogoutRequest(ctx context.Context, k idp.RequestKey) (*idp.LogoutRequest, error)
}

// Message is what is to be inspected.
type Message struct {
	// Sent is the message, of those that Find found.
	Sent
	// Number says which of how many, from 1; 0 where there was one.
	Number int `json:"number,omitempty"`
	Of     int `json:"of,omitempty"`
	// At is when it is to have arrived.
	At time.Time `json:"at,omitzero"`
	// Opened is what its encrypted assertion holds, for whom has the key; nil
	// without.
	Opened *Opened `json:"opened,omitempty"`
}

// Report is what there is to say of a message.
type Report struct {
	// Kind is the name of the message's element, "" if it could not be read.
	Kind string `json:"kind"`
	// Metadata says that it is no message but metadata, which is held against
	// what is registered.
	Metadata bool `json:"metadata,omitempty"`
	// Refused reports whether the server would refuse it, at At. Unknown is set
	// where that cannot be said because nothing could be verified.
	Refused bool      `json:"refused"`
	Unknown bool      `json:"unknown,omitempty"`
	At      time.Time `json:"at"`
	// Messages is how many there are in the text, and Number which of them this
	// is; both are absent if there is one.
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
	// Levels are of an AuthnRequest that could be resolved.
	Levels *Levels `json:"levels,omitempty"`
	// Attributes are of a Response that is not encrypted, or was opened.
	Attributes []Attribute `json:"attributes,omitempty"`
	// XML is the message as it was sent.
	XML string `json:"xml,omitempty"`
}

// Cert names a certificate.
type Cert struct {
	SHA256 string    `json:"sha256"`
	EndAt  time.Time `json:"end_at"`
}

func certOf(c *x509.Certificate) *Cert {
	return &Cert{SHA256: certs.CertSHA256(c), EndAt: c.NotAfter.UTC()}
}

// Outcome is what a check came to.
type Outcome string

// The outcomes.
const (
	OK      Outcome = "ok"
	Refused Outcome = "refused"
	// Warned is of what the server takes or not, as something decides that is not
	// known here.
	Warned  Outcome = "warning"
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
	// Status is the code of the answer to a LogoutRequest, if the rule decides it.
	Status string `json:"status,omitempty"`
	// Hints are what was found out about this very value, for the operator: they
	// may name what is registered.
	Hints []string `json:"hints,omitempty"`
	// Suggestions are what an operator can do about it.
	Suggestions []idp.Suggestion `json:"suggestions,omitempty"`
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

// Inspect says what there is to say of a message, the zero Sent included. The
// error is a fault of ours; whatever is wrong with the text is in the report.
func (s *Service) Inspect(ctx context.Context, m Message) (*Report, error) {
	r := &Report{At: m.At.UTC(), Checks: []Check{}, Messages: m.Of, Number: m.Number, Place: m.Place, Steps: m.Steps}
	if root := metadataIn(m.XML); root != nil {
		r.Kind, r.XML, r.Metadata = root.Local, formatXML(root), true
		return r, s.checkMetadata(ctx, r, root, m.XML)
	}
	msg, in, err := r.readMessage(m.Sent)
	if err != nil {
		return r, r.noteRefused("", err)
	}
	r.Kind, r.XML = msg.Root.Local, formatXML(msg.Root)
	isResponse := msg.Root.Is(saml.NamespaceProtocol, "Response") || msg.Root.Is(saml.NamespaceProtocol, "LogoutResponse")
	if isResponse && (in.endpoint == "" || in.response) {
		err = s.checkResponse(ctx, r, msg, m.Opened)
	} else {
		// Whatever else it is, the server takes it for a request.
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

// add notes a rule. One that is refused refuses the message.
func (r *Report) add(c Check) {
	r.Checks = append(r.Checks, c)
	r.Refused = r.Refused || c.Outcome == Refused
}

// noteKept notes a rule that is kept.
func (r *Report) noteKept(field, seen string) { r.add(Check{Field: field, Outcome: OK, Seen: seen}) }

// note is ok with something else to say.
func (r *Report) note(field, seen, note string) {
	r.add(Check{Field: field, Outcome: OK, Seen: seen, Note: note})
}

// noteSkipped notes a rule that could not be looked at.
func (r *Report) noteSkipped(field, why string) {
	r.add(Check{Field: field, Outcome: Skipped, Note: why})
}

// noteRefused notes a rule that is broken. nil notes nothing, and an error that is no refusal is
// returned.
func (r *Report) noteRefused(field string, err error) error {
	why, ok := errors.AsType[*idp.Refusal](err)
	if !ok {
		return err
	}
	c := Check{Field: cmp.Or(why.Field, field), Outcome: Refused, Seen: why.Seen, Code: why.Code, Args: why.Args}
	if why.Err != nil {
		c.Note = why.Err.Error()
	}
	r.add(c)
	return nil
}

// codeOf is the code of a refusal; "" of another error, and of none.
func codeOf(err error) idp.RefusalCode {
	if why, ok := errors.AsType[*idp.Refusal](err); ok {
		return why.Code
	}
	return ""
}

// addHint adds to the last rule noted; "" adds nothing.
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

// addSuggestion adds to the last rule noted what can be done about it.
func (r *Report) addSuggestion(list ...idp.Suggestion) {
	if len(r.Checks) > 0 {
		last := &r.Checks[len(r.Checks)-1]
		last.Suggestions = append(last.Suggestions, list...)
	}
}

// noteWarning notes what the server may refuse, by its refusal.
func (r *Report) noteWarning(why *idp.Refusal, note string) {
	r.add(Check{Field: why.Field, Outcome: Warned, Seen: why.Seen, Code: why.Code, Args: why.Args, Note: note})
}

// noteFault notes a rule that is broken and has no text in the catalogues.
func (r *Report) noteFault(field, seen, note string) {
	r.add(Check{Field: field, Outcome: Refused, Seen: seen, Note: note})
}

// noteResult notes a rule by its error.
func (r *Report) noteResult(field, seen string, err error) error {
	if err != nil {
		return r.noteRefused(field, err)
	}
	r.noteKept(field, seen)
	return nil
}
