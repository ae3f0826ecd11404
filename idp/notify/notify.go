// Package notify tells people what the rotation asks of them.
//
// To service providers it writes letters, made from the board: which addresses
// to change, until when, and our new certificate. They are sent or printed when
// an operator says so (Letters, Send, Revocation).
//
// To operators it sends notices automatically, by mail and to a webhook: 90, 60, 30,
// 14, 7 and 1 days before a date on which an operator or a service provider must act,
// 14 days and 1 day before each step that the server takes, and at once when the
// server took a step, could not take one, a certificate ended or a year was
// revoked. A round, every minute, is
//
//	audit trail, dates, attention -> notice in the store -> claim -> send -> settle
//
// What needs attention is logged too, once a day, also where no one is notified.
//
// A notice is written down once, under an ID that says what it is about, so that
// restarts and other servers do not tell it twice. Each of its deliveries is
// claimed before it is sent, with the time of the next try in the claim, and
// settled afterwards. Who dies in between leaves it to be sent again: a notice
// twice costs a look, and its ID shows it; one that is lost may cost a spring.
//
// It decides nothing about the rotation, and keeps no address of a person.
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

// Service writes and sends notices. Fields are required unless they say
// otherwise; its methods may be called concurrently.
type Service struct {
	Store    Store
	Board    *migration.Service
	Rotation *rotator.Service
	Years    *keyring.Ring
	// IdP holds the addresses that are named, and whom to ask.
	IdP metadata.IdP
	// Name is what the installation calls itself to people.
	Name string
	// Langs are the languages of the installation. The first is that of notices
	// to operators, and of letters to contacts that say none; English if empty.
	Langs []templates.Lang
	Clock idp.Clock
	Log   *slog.Logger

	// CommandLine renders what operators can do next; nil: notices name no command.
	CommandLine idp.CommandLine

	// Mail sends mail; nil: none is sent.
	Mail *Mailer
	// Notify are the operators' mail addresses. They need Mail.
	Notify []string
	// Webhook is told what operators are; nil: none.
	Webhook *Webhook

	mu    sync.Mutex // held by a round
	round round
}

// Store is what is kept of notices.
type Store interface {
	idp.DocumentStore
	idp.AuditStore
}

// Notice is something that operators are told. Its JSON is what a webhook gets.
type Notice struct {
	// ID is the same in every delivery of the notice, and in no other notice.
	ID string `json:"id"`
	// At is when it was found.
	At   time.Time `json:"at"`
	Kind Kind      `json:"kind"`
	Year idp.Year  `json:"year,omitzero"`
	// Step is the step of the rotation that it is about.
	Step rotation.StepKind `json:"step,omitzero"`
	// DueAt is the date that it reminds of.
	DueAt time.Time `json:"due_at,omitzero"`
	// SPs are the service providers that it is about; at most maxSPs.
	SPs []idp.EntityID `json:"entity_ids,omitempty"`
	// Subject is one line, Text all of it for people, in the language of the
	// operators; everything else is the same in any.
	Subject string `json:"subject"`
	Text    string `json:"text"`
}

// Kind says what a notice is about.
type Kind string

// The kinds of notice. Those from NeedsAttention on come at once.
const (
	// CertEnds: a certificate of ours ends while service providers use it.
	CertEnds Kind = "certificate_ends"
	// Retirement: a year will be retired, and service providers have time to move.
	Retirement Kind = "retirement"
	// StepDue: an operator must take a step.
	StepDue Kind = "step_due"
	// StepAhead: the server takes a step in 14 days, or in 1 day.
	StepAhead Kind = "step_ahead"
	// RequestCerts: request certificates of service providers end.
	RequestCerts Kind = "request_certificates_end"
	// NeedsAttention: a step failed, is held or overdue, a year is closed because
	// of its key, or no year can sign.
	NeedsAttention Kind = "attention"
	// CertEnded: a certificate of ours ended, and its year is live.
	CertEnded Kind = "certificate_ended"
	// StepTaken: the server took a step by itself.
	StepTaken Kind = "step_taken"
	// Revoked: a year was revoked.
	Revoked Kind = "revoked"
	// Began: notices were turned on; it shows that they arrive.
	Began Kind = "began"
)

// maxSPs is how many service providers a notice names.
const maxSPs = 100

// off reports that no one is notified: then attention is logged, and nothing else.
func (s *Service) off() bool { return s.Webhook == nil && (s.Mail == nil || len(s.Notify) == 0) }
