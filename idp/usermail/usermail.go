// Package usermail sends mails to users: links to confirm an email address or to set a new
// password, and notices of what changed in their accounts.
//
//	Queue    Mail ─► sealed in the store; the request that caused it does not wait for the
//	         mail server, so that its time discloses nothing
//	Run      audit trail ─► a notice for each change of an account (see changes), and for the
//	         first data that a service gets
//	         queue ─► rendered in the user's language ─► mail server, repeated until it accepts
//
// A mail is sent again only if the server stops, or the connection or the store fails, between its
// acceptance by the mail server and the record of it. Both mails have the same Message-ID.
//
// Notices follow the audit trail because it is written in the same step as the change. No change
// can be without its notice, whether a page, a command or the server made it, and no operation has
// to remember to send one.
package usermail

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"vernal/idp"
	"vernal/idp/notify"
	"vernal/templates"
)

// Kind is the kind of a mail. Its text is "user_KIND.txt".
type Kind string

// The kinds.
const (
	SignUp          Kind = "sign_up"          // a link to register
	SignUpKnown     Kind = "sign_up_known"    // someone registered the user's email address again
	Invitation      Kind = "invitation"       // a link to complete an account
	ResetPassword   Kind = "reset_password"   // a link to set a new password
	ResetUnknown    Kind = "reset_unknown"    // a new password was requested for an email address without an account
	AddEmail        Kind = "add_email"        // a link to confirm another email address
	AddEmailTaken   Kind = "add_email_taken"  // the email address already belongs to an account
	PrimaryChanged  Kind = "primary_changed"  // to the earlier primary email address, with a link to undo it
	Changed         Kind = "changed"          // a change of the account, see Args.Change
	NewDevice       Kind = "new_device"       // a sign-in from a browser that the account has not seen
	Connected       Kind = "connected"        // a service received data of the user for the first time
	InactiveSoon    Kind = "inactive_soon"    // the account will be locked because it is not used
	DeletionPlanned Kind = "deletion_planned" // the account will be deleted
	Deleted         Kind = "deleted"          // the account was deleted
	ResetPlanned    Kind = "reset_planned"    // an operator will remove the second factors
)

// Mail is a mail to queue.
type Mail struct {
	// ID identifies the mail: of two with the same ID, one is sent. Queue chooses one if empty.
	ID   string         `json:"id"`
	Kind Kind           `json:"kind"`
	To   string         `json:"to"`
	Lang templates.Lang `json:"lang,omitempty"`
	Args Args           `json:"args"`
}

// Args are the facts in a mail. Each text uses those that it needs.
type Args struct {
	// URL is the link, and Minutes, Hours or Days is how long it works.
	URL     string `json:"url,omitempty"`
	Minutes int    `json:"minutes,omitempty"`
	Hours   int    `json:"hours,omitempty"`
	Days    int    `json:"days,omitempty"`
	// SP is the display name of a service provider.
	SP string `json:"sp,omitempty"`
	// Email is the email address that the mail is about.
	Email string `json:"email,omitempty"`
	// Change is the kind of a change, and By who made it: "user", "staff" or "server".
	Change idp.AuditKind `json:"change,omitempty"`
	By     string        `json:"by,omitempty"`
	// At is when it happened, DueAt when it will.
	At    time.Time `json:"at,omitzero"`
	DueAt time.Time `json:"due_at,omitzero"`
	// Browser and System describe a device, see idp.Device.
	Browser string `json:"browser,omitempty"`
	System  string `json:"system,omitempty"`
}

// Store is the part of idp.Store that this package needs.
type Store interface {
	idp.DocumentStore
	idp.AuditStore
	User(ctx context.Context, id idp.UserID) (*idp.User, error)
	Provider(ctx context.Context, id idp.EntityID) (*idp.ServiceProvider, error)
}

// Writer writes the texts of mails; see notify.Service.
type Writer interface {
	WriteMail(lang templates.Lang, name string, makeData func(notify.Sender) any) (subject, text string, err error)
}

// Sender sends mails; see notify.Mailer.
type Sender interface {
	Send(ctx context.Context, mails []notify.Mail) []error
}

// Service queues and sends mails. All fields except Sender are required.
type Service struct {
	Store  Store
	Sealer idp.Sealer
	Writer Writer
	// Sender is nil without a mail server. Then nothing can be queued.
	Sender Sender
	// AccountURL is the account page, for the notices.
	AccountURL string
	Clock      idp.Clock
	Log        *slog.Logger

	mu   sync.Mutex // held during a round
	wake chan struct{}
	once sync.Once // makes wake
	// trail is how far the audit trail was read; valid if hasBegun.
	trail    uint64
	hasBegun bool
}

// CanSend reports whether a mail server is configured.
func (s *Service) CanSend() bool { return s.Sender != nil }

// ErrNoMail is returned by Queue without a mail server.
var ErrNoMail = notify.ErrNoMail

// Queue stores mails to be sent soon, in one write.
func (s *Service) Queue(ctx context.Context, mails ...Mail) error {
	if !s.CanSend() {
		return ErrNoMail
	}
	now := s.Clock.Now().UTC()
	places := make(map[string]int, len(mails))
	var keys []string
	for i := range mails {
		m := &mails[i]
		if m.ID == "" {
			m.ID = rand.Text()
		}
		places[m.ID], keys = i, append(keys, m.ID)
	}
	err := s.records().Update(ctx, keys, func(r *idp.Record[record]) error {
		if r.Value != nil {
			return nil
		}
		place := places[r.Key]
		plain, err := json.Marshal(mails[place])
		if err != nil {
			return err
		}
		r.Value = &record{QueuedAt: now, Place: place, NextAt: now, Sealed: s.Sealer.Seal(sealContext(r.Key), plain)}
		r.ExpiresAt = now.Add(lifetime)
		return nil
	})
	if err != nil {
		return fmt.Errorf("queue mail: %w", err)
	}
	select {
	case s.waker() <- struct{}{}:
	default:
	}
	return nil
}

func (s *Service) waker() chan struct{} {
	s.once.Do(func() { s.wake = make(chan struct{}, 1) })
	return s.wake
}

// The kinds of stored records.
const (
	RecordKind = "user_mail"
	MarkKind   = "user_mail_mark"
)

// record is a mail in the store, sealed because it contains an email address and often a link. A
// sent mail stays without its text until its ID can no longer be repeated.
type record struct {
	QueuedAt time.Time `json:"queued_at"`
	// Place is its place among the mails that were queued in the same write.
	Place  int    `json:"place,omitempty"`
	Sealed []byte `json:"sealed,omitempty"`
	Tries  int    `json:"tries,omitempty"`
	// NextAt is when it is sent next.
	NextAt time.Time `json:"next_at,omitzero"`
}

func (s *Service) records() idp.Records[record] {
	return idp.Records[record]{Store: s.Store, Kind: RecordKind, Clock: s.Clock}
}

func sealContext(key string) string { return RecordKind + "/" + key }

const (
	// lifetime is how long a mail is tried. Afterwards its links have expired.
	lifetime = 24 * time.Hour
	// perRound bounds the mails of one round.
	perRound = 100
	// roundEvery is how often the audit trail is read, and failed mails are looked for.
	roundEvery = 5 * time.Second
	// roundTime bounds a round. It is shorter than the first of backoff, which is also how long
	// a claimed mail belongs to its sender.
	roundTime = 2 * time.Minute
)

// backoff is the wait after each try.
var backoff = [...]time.Duration{3 * time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour}

// Run sends mails until ctx ends. Wait for it before closing the store.
func (s *Service) Run(ctx context.Context) {
	if !s.CanSend() {
		return
	}
	tick := time.NewTicker(roundEvery)
	defer tick.Stop()
	last := ""
	for {
		err := s.Tick(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			last = ""
		case err.Error() != last: // once, not in every round
			last = err.Error()
			s.Log.LogAttrs(ctx, slog.LevelError, "mails to users", slog.String("error", last))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.waker():
		}
	}
}

// Tick runs one round: it queues the notices of new changes and sends the mails that are due.
func (s *Service) Tick(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, roundTime)
	defer cancel()
	return errors.Join(s.readTrail(ctx), s.sendDue(ctx))
}

// sendDue sends the mails that are due.
func (s *Service) sendDue(ctx context.Context) error {
	mails, err := s.claimDue(ctx)
	if err != nil || len(mails) == 0 {
		return err
	}
	var sent []string
	var letters []notify.Mail
	var errs []error
	for _, m := range mails {
		subject, text, err := s.Writer.WriteMail(m.Lang, "user_"+string(m.Kind)+".txt", func(from notify.Sender) any {
			return mailData{Sender: from, Mail: m, AccountURL: s.AccountURL}
		})
		if err != nil { // for example queued by a newer release; the others are sent
			errs = append(errs, err)
			continue
		}
		letters = append(letters, notify.Mail{ID: m.ID, To: m.To, Subject: subject, Text: text})
	}
	for i, err := range s.Sender.Send(ctx, letters) {
		if err == nil {
			sent = append(sent, letters[i].ID)
		} else if !slices.ContainsFunc(errs, func(e error) bool { return e.Error() == err.Error() }) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, s.markSent(ctx, sent))...)
}

// mailData is the data of the texts.
type mailData struct {
	notify.Sender
	Mail
	AccountURL string
}

// claimDue takes the mails that are due, so that no other server sends them.
func (s *Service) claimDue(ctx context.Context) ([]Mail, error) {
	all, err := s.records().List(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the mails to users: %w", err)
	}
	now := s.Clock.Now()
	isDue := func(r *record) bool {
		// A time far in the future comes from a clock that was set back.
		return len(r.Sealed) > 0 && (!r.NextAt.After(now) || r.NextAt.Sub(now) > backoff[len(backoff)-1])
	}
	slices.SortStableFunc(all, func(a, b idp.Record[record]) int {
		return cmp.Or(a.Value.QueuedAt.Compare(b.Value.QueuedAt), cmp.Compare(a.Value.Place, b.Value.Place))
	})
	var keys []string
	for _, r := range all {
		if isDue(r.Value) && len(keys) < perRound {
			keys = append(keys, r.Key)
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	claimed := map[string]Mail{}
	err = s.records().Update(ctx, keys, func(r *idp.Record[record]) error {
		delete(claimed, r.Key) // it may be called again
		if r.Value == nil || !isDue(r.Value) {
			return nil
		}
		plain, err := s.Sealer.Open(sealContext(r.Key), r.Value.Sealed)
		var m Mail
		if err == nil {
			err = json.Unmarshal(plain, &m)
		}
		if err != nil { // sealed before the keys were renewed, and so are its links
			r.Value = nil
			return nil
		}
		r.Value.NextAt = now.Add(backoff[min(r.Value.Tries, len(backoff)-1)])
		r.Value.Tries++
		claimed[r.Key] = m
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("claim mails to users: %w", err)
	}
	var mails []Mail
	for _, key := range keys {
		if m, ok := claimed[key]; ok {
			mails = append(mails, m)
		}
	}
	return mails, nil
}

// CountDelayed returns the number of mails that have waited for at least a time, and when the oldest
// of them was queued.
func (s *Service) CountDelayed(ctx context.Context, atLeast time.Duration) (count int, oldestAt time.Time, err error) {
	all, err := s.records().List(ctx)
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("read the mails to users: %w", err)
	}
	now := s.Clock.Now()
	for _, r := range all {
		queuedAt := r.Value.QueuedAt
		if len(r.Value.Sealed) == 0 || now.Sub(queuedAt) < atLeast {
			continue
		}
		count++
		if oldestAt.IsZero() || queuedAt.Before(oldestAt) {
			oldestAt = queuedAt
		}
	}
	return count, oldestAt, nil
}

// markSent removes the texts of mails that the mail server accepted.
func (s *Service) markSent(ctx context.Context, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	// They are sent, even if ctx has ended.
	err := s.records().Update(context.WithoutCancel(ctx), keys, func(r *idp.Record[record]) error {
		if r.Value != nil {
			r.Value = &record{QueuedAt: r.Value.QueuedAt}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("the mails are sent, but this is not recorded: %w", err)
	}
	return nil
}
