// Package notify notifies operators and service providers of the steps that the rotation needs from
// them.
//
// Service providers get letters, made from the migration board: which URLs to change, the
// deadline, and our new certificate. Letters are sent or printed at an operator's command
// (Letters, Send, Revocation).
//
// Operators get notices automatically, by mail and webhook: 90, 60, 30, 14, 7 and 1 days before a
// date on which an operator or a service provider must act, 14 days and 1 day before each step that
// the server takes, and at once when the server took a step or failed to, a certificate expired or
// a year was revoked. A round runs every minute:
//
//	audit trail, dates, attention -> notice in the store -> claim -> send -> record
//
// Each reason for attention is also logged once a day, even if no one is notified.
//
// A notice is recorded once, under an ID derived from its subject, so that restarts and other
// servers do not repeat it. Each of its deliveries is claimed before it is sent, and its
// result is recorded afterwards. The claim contains the time of the next try. After a crash in between, the notice is
// sent again. A duplicate is harmless and has the same ID, while a lost notice can cost the whole
// migration period.
//
// The package decides nothing about the rotation, and stores no email address.
package notify

import (
	"log/slog"
	"sync"
	"time"

	"vernal/idp"
	"vernal/idp/keyring"
	"vernal/idp/migration"
	"vernal/idp/rotation"
	"vernal/idp/rotator"
	"vernal/metadata"
	"vernal/templates"
)

// Service writes and sends notices. Fields are required unless they say otherwise. Its
// methods may be called concurrently.
type Service struct {
	Store    Store
	Board    *migration.Service
	Rotation *rotator.Service
	Years    *keyring.Ring
	// IdP holds the URLs to name, and the contact for questions.
	IdP metadata.IdP
	// Name is the display name of the installation.
	Name string
	// Branding names the organization and its support. Optional.
	Branding *templates.Brand
	// Langs are the languages of the installation. The first is used for notices to
	// operators and for contacts without a language. An empty list means English.
	Langs []templates.Lang
	Clock idp.Clock
	Log   *slog.Logger

	// CommandLine renders the next steps for operators. If nil, notices name no command.
	CommandLine idp.CommandLine

	// Mail sends mail. If nil, none is sent.
	Mail *Mailer
	// Notify are the operators' email addresses. They need Mail.
	Notify []string
	// Webhook gets the notices to operators. Optional.
	Webhook *Webhook

	mu    sync.Mutex // held by a round
	round round
}

// Store keeps the notices and the audit trail.
type Store interface {
	idp.DocumentStore
	idp.AuditStore
}

// Notice is a message to operators. Its JSON is the body of a webhook call.
type Notice struct {
	// ID is the same in every delivery of the notice, and in no other notice.
	ID string `json:"id"`
	// At is when its cause was found.
	At   time.Time `json:"at"`
	Kind Kind      `json:"kind"`
	Year idp.Year  `json:"year,omitzero"`
	// Step is the rotation step that it is about.
	Step rotation.StepKind `json:"step,omitzero"`
	// DueAt is the date that it reminds of.
	DueAt time.Time `json:"due_at,omitzero"`
	// SPs are the service providers that it is about, at most maxSPs.
	SPs []idp.EntityID `json:"entity_ids,omitempty"`
	// Subject (one line) and Text are for reading, in the operators' language. All other
	// fields are the same in any language.
	Subject string `json:"subject"`
	Text    string `json:"text"`
}

// Kind names the subject of a notice.
type Kind string

// The kinds of notice. Those from NeedsAttention on are sent at once.
const (
	// CertEnds: one of our certificates expires while service providers use it.
	CertEnds Kind = "certificate_ends"
	// Retirement: a year will be retired, and service providers have time to move.
	Retirement Kind = "retirement"
	// StepDue: an operator must take a step.
	StepDue Kind = "step_due"
	// StepAhead: the server takes a step in 14 days or in 1 day.
	StepAhead Kind = "step_ahead"
	// RequestCerts: request certificates of service providers expire.
	RequestCerts Kind = "request_certificates_end"
	// NeedsAttention: a step failed, is held or overdue, a year is closed because of its
	// key, or no year can sign.
	NeedsAttention Kind = "attention"
	// CertEnded: our certificate of a live year has expired.
	CertEnded Kind = "certificate_ended"
	// StepTaken: the server took a step automatically.
	StepTaken Kind = "step_taken"
	// Revoked: a year was revoked.
	Revoked Kind = "revoked"
	// NoticesStarted: notices were turned on. It shows that they arrive.
	NoticesStarted Kind = "began"
)

// maxSPs bounds the service providers in a notice.
const maxSPs = 100

// isOff reports whether no one is notified. Then attention is only logged.
func (s *Service) isOff() bool { return s.Webhook == nil && (s.Mail == nil || len(s.Notify) == 0) }
