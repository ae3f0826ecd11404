// Package accountjobs changes accounts when a time has come: it deletes those whose planned deletion is
// due, resets second factors as planned, and notifies and then locks those that are not used.
//
//	Run    every hour ─► Tick
//	Tick   users, in batches from the mark ─► what is due for each ─► new mark
//
// A round has a bounded number of users and continues where the last one stopped, also after a
// restart. While the clock is not trusted, nothing happens: a clock that went forward would
// delete and lock accounts too early.
package accountjobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/usermail"
	"vernal/templates"
)

// MarkKind is the kind of the document with the mark.
const MarkKind = "account_job_mark"

// markKey is the key of the mark.
const markKey = "users"

const (
	// roundEvery is how often a round begins.
	roundEvery = time.Hour
	// batch is how many users are read at once, and maxUsers how many a round reads.
	batch    = 200
	maxUsers = 50_000
)

// Store is the part of idp.Store that this package needs.
type Store interface {
	idp.DocumentStore
	Users(ctx context.Context, q idp.UserQuery) ([]*idp.User, error)
}

// Service changes the accounts. All fields but MaxUsers are required.
type Service struct {
	Store    Store
	Accounts *account.Service
	Mails    *usermail.Service
	// InactiveAfter is how long an account can be unused before it is locked; 0: never.
	InactiveAfter time.Duration
	// IsClockTrusted reports whether the time is right.
	IsClockTrusted func(ctx context.Context) (bool, error)
	Clock          idp.Clock
	Log            *slog.Logger
	// MaxUsers bounds the users of a round; a default if zero.
	MaxUsers int
}

// Run runs rounds until ctx ends. Wait for it before closing the store.
func (s *Service) Run(ctx context.Context) {
	tick := time.NewTicker(roundEvery)
	defer tick.Stop()
	for {
		if err := s.Tick(ctx); err != nil && ctx.Err() == nil {
			s.Log.LogAttrs(ctx, slog.LevelError, "changes of accounts that are due", slog.String("error", err.Error()))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Tick runs one round. A fault with one user does not keep the others from their turn.
func (s *Service) Tick(ctx context.Context) error {
	trusted, err := s.IsClockTrusted(ctx)
	if err != nil {
		return fmt.Errorf("read whether the clock is trusted: %w", err)
	}
	if !trusted {
		return nil
	}
	var errs []error
	if _, err := s.Accounts.ApplyDueResets(ctx); err != nil {
		errs = append(errs, err)
	}
	after, err := s.readMark(ctx)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	limit := s.MaxUsers
	if limit == 0 {
		limit = maxUsers
	}
	mark := after
	for count := 0; count < limit; {
		q := idp.UserQuery{After: mark, Limit: min(batch, limit-count)}
		users, err := s.Store.Users(ctx, q)
		if err != nil {
			errs = append(errs, fmt.Errorf("read users: %w", err))
			break
		}
		for _, u := range users {
			if err := s.changeDue(ctx, u); err != nil {
				errs = append(errs, err)
			}
			mark = u.ID
		}
		if ctx.Err() != nil || len(errs) > maxErrors {
			break
		}
		if count += len(users); len(users) < q.Limit {
			mark = "" // the next round begins again
			break
		}
	}
	if mark != after {
		errs = append(errs, s.saveMark(ctx, mark))
	}
	return errors.Join(errs...)
}

// maxErrors ends a round, because the cause is then not with single users.
const maxErrors = 20

// changeDue makes the changes of one user that are due.
func (s *Service) changeDue(ctx context.Context, u *idp.User) error {
	if !u.DeletionAt.IsZero() && !s.Clock.Now().Before(u.DeletionAt) {
		deleted, err := s.Accounts.DeleteDue(ctx, u.ID, func(u *idp.User) error { return s.mailDeleted(ctx, u) })
		if deleted || err != nil {
			return err
		}
	}
	// Without mail, no user could be notified in time.
	if s.InactiveAfter <= 0 || !s.Mails.CanSend() {
		return nil
	}
	_, err := s.Accounts.TakeInactiveStep(ctx, u, s.InactiveAfter, func(u *idp.User, lockAt time.Time) error {
		days := int((lockAt.Sub(s.Clock.Now()) + 24*time.Hour - 1) / (24 * time.Hour))
		return s.queue(ctx, u, func(i int) usermail.Mail {
			return usermail.Mail{
				ID: fmt.Sprintf("inactive/%s/%s/%d/%d", u.ID, lockAt.UTC().Format(time.DateOnly), days, i), Kind: usermail.InactiveSoon,
				Args: usermail.Args{Days: days, DueAt: lockAt},
			}
		})
	})
	return err
}

// mailDeleted notifies a user whose account is about to be deleted, because the email addresses are
// gone afterwards.
func (s *Service) mailDeleted(ctx context.Context, u *idp.User) error {
	if !s.Mails.CanSend() {
		return nil
	}
	return s.queue(ctx, u, func(i int) usermail.Mail {
		return usermail.Mail{ID: fmt.Sprintf("deleted/%s/%d", u.ID, i), Kind: usermail.Deleted, Args: usermail.Args{By: "server", At: s.Clock.Now()}}
	})
}

// queue queues a mail to each confirmed email address of a user. newMail returns the mail to the
// one at a place.
func (s *Service) queue(ctx context.Context, u *idp.User, newMail func(i int) usermail.Mail) error {
	var mails []usermail.Mail
	for i, e := range u.Emails {
		if e.ConfirmedAt.IsZero() {
			continue
		}
		m := newMail(i)
		m.To, m.Lang = e.Address, templates.Lang(u.Lang)
		mails = append(mails, m)
	}
	if len(mails) == 0 {
		return nil
	}
	return s.Mails.Queue(ctx, mails...)
}

func (s *Service) marks() idp.Records[idp.UserID] {
	return idp.Records[idp.UserID]{Store: s.Store, Kind: MarkKind, Clock: s.Clock}
}

// readMark returns the last user of the previous round, "" to begin with the first one.
func (s *Service) readMark(ctx context.Context) (idp.UserID, error) {
	mark, err := s.marks().Get(ctx, markKey)
	switch {
	case errors.Is(err, idp.ErrNotFound):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("read which users had their turn: %w", err)
	}
	return *mark, nil
}

func (s *Service) saveMark(ctx context.Context, mark idp.UserID) error {
	err := s.marks().Update(ctx, []string{markKey}, func(r *idp.Record[idp.UserID]) error {
		r.Value = &mark
		return nil
	})
	if err != nil {
		return fmt.Errorf("store which users had their turn: %w", err)
	}
	return nil
}
