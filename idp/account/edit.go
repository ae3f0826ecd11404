package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"vernal/idp"
)

// Edit is a change that an operator makes to a user's record. The changes are made in the order of
// the fields, all or none.
type Edit struct {
	// Lang is the language of mails to the user, "" for the installation's first; nil to keep it.
	Lang *string `json:"lang,omitempty"`
	// AddEmails are email addresses that count as confirmed, because the operator answers for them.
	AddEmails []string `json:"add_emails,omitempty"`
	// Primary is the email address that becomes the primary one; "" to keep it.
	Primary string `json:"primary,omitempty"`
	// RemoveEmails are email addresses of the user.
	RemoveEmails []string `json:"remove_emails,omitempty"`
}

// ErrEdited is returned if the user was changed at the same time. Repeating the change helps.
var ErrEdited = errors.New("the user was changed at the same time")

// EditUser makes the change and returns the user. Each part that changes something has its audit
// record. Sessions and devices stay: the user can still sign in with the same password and factors.
// Errors: *InputError and InputErrors; idp.ErrNotFound; idp.ErrExists if an email address belongs to
// another user; ErrEdited.
func (s *Service) EditUser(ctx context.Context, email string, edit Edit, actor string) (*idp.User, error) {
	u, err := s.Lookup(ctx, email)
	if err != nil {
		return nil, err
	}
	now := s.Clock.Now()
	kinds, err := edit.apply(u, now)
	if err != nil {
		return nil, err
	}
	if len(kinds) == 0 {
		return u, nil
	}
	var events []idp.AuditEvent
	for _, kind := range kinds {
		events = append(events, newChangeEvent(kind, u.ID, actor))
	}
	var edited *idp.User
	err = s.Store.UpdateUser(ctx, u.ID, func(u *idp.User) error {
		again, err := edit.apply(u, now)
		if err != nil {
			return err
		}
		if !slices.Equal(kinds, again) {
			return ErrEdited
		}
		u.UpdatedAt = now
		edited = u
		return nil
	}, events...)
	if err != nil {
		return nil, fmt.Errorf("edit user: %w", err)
	}
	return edited, nil
}

// FindRemovedEmails returns the confirmed email addresses that the edit would remove from a user, as they
// are stored. Errors: *InputError and InputErrors, as EditUser.
func (e Edit) FindRemovedEmails(u *idp.User) ([]string, error) {
	edited := *u
	if _, err := e.apply(&edited, time.Time{}); err != nil {
		return nil, err
	}
	var removed []string
	for _, email := range u.Emails {
		if !email.ConfirmedAt.IsZero() && findEmail(&edited, email.Address) < 0 {
			removed = append(removed, email.Address)
		}
	}
	return removed, nil
}

// apply makes the change to a user and returns the kinds of its audit records.
func (e Edit) apply(u *idp.User, now time.Time) ([]idp.AuditKind, error) {
	var kinds []idp.AuditKind
	var problems InputErrors
	add := func(field, problem, format string, args ...any) {
		problems = append(problems, &InputError{field, problem, fmt.Sprintf(format, args...)})
	}
	find := func(address string) int {
		return slices.IndexFunc(u.Emails, func(e idp.Email) bool { return strings.EqualFold(e.Address, strings.TrimSpace(address)) })
	}
	u.Emails = slices.Clone(u.Emails)
	if e.Lang != nil && *e.Lang != u.Lang {
		u.Lang, kinds = *e.Lang, append(kinds, idp.AuditUserEdit)
	}
	for _, address := range e.AddEmails {
		normalized, err := NormalizeEmail(address)
		i := find(address)
		switch {
		case err != nil:
			add("add_email", "invalid", "must be an email address, for example name@example.gov")
			continue
		case i >= 0 && !u.Emails[i].ConfirmedAt.IsZero():
			add("add_email", "taken", "the user has %s already", u.Emails[i].Address)
			continue
		case i >= 0:
			u.Emails[i].ConfirmedAt = now
		case len(u.Emails) >= maxEmails:
			add("add_email", "too_many", "a user can have at most %d email addresses", maxEmails)
			continue
		default:
			u.Emails = append(u.Emails, idp.Email{Address: normalized, ConfirmedAt: now})
		}
		kinds = append(kinds, idp.AuditUserAddEmail)
	}
	switch i := find(e.Primary); {
	case e.Primary == "" || i == 0:
	case i < 0:
		add("primary", "unknown", "the user does not have this email address: add it too")
	case u.Emails[i].ConfirmedAt.IsZero():
		add("primary", "unconfirmed", "the user has not confirmed this email address: add it too, if you know that it is the user's")
	default:
		chosen := u.Emails[i]
		u.Emails = slices.Insert(slices.Delete(u.Emails, i, i+1), 0, chosen)
		kinds = append(kinds, idp.AuditUserEditEmail)
	}
	for _, address := range e.RemoveEmails {
		i := find(address)
		switch {
		case i < 0:
			add("remove_email", "unknown", "the user does not have this email address")
			continue
		case i == 0:
			add("remove_email", "needed", "is the primary email address: choose another one with primary")
			continue
		}
		removed := u.Emails[i]
		u.Emails = slices.Delete(u.Emails, i, i+1)
		if !removed.ConfirmedAt.IsZero() && !slices.ContainsFunc(u.Emails, func(e idp.Email) bool { return !e.ConfirmedAt.IsZero() }) {
			add("remove_email", "needed", "is the last confirmed email address of the user")
		}
		u.Services = slices.Clone(u.Services)
		for j := range u.Services {
			if strings.EqualFold(u.Services[j].Email, removed.Address) {
				u.Services[j].Email = ""
			}
		}
		kinds = append(kinds, idp.AuditUserRemoveEmail)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return kinds, nil
}
