package account

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"vernal/idp"
)

// Errors of Invite.
var (
	// ErrHasPassword is returned for a user who can sign in and needs no invitation.
	ErrHasPassword = errors.New("account has a password")
	// ErrPlannedDeletion is returned for a user whose account will be deleted.
	ErrPlannedDeletion = errors.New("account will be deleted")
)

// Invited is a user who was invited.
type Invited struct {
	User *idp.User
	// Email is the email address of the user to which the invitation goes.
	Email string
	// Created is true for a user who did not exist.
	Created bool
}

// Invite records that a user is invited, and returns the user. A user who does not exist is added
// without password and factor, and with an email address that is not confirmed. A user without a
// password, for example from an import, can be invited again. lang becomes the language of mails to
// a user who has none; it may be "". Errors: *InputError; ErrHasPassword; ErrLocked;
// ErrPlannedDeletion; idp.ErrExists for an email address that another user had and that no one else
// gets.
func (s *Service) Invite(ctx context.Context, email, lang, actor string) (*Invited, error) {
	email, err := NormalizeEmail(email)
	if err != nil {
		return nil, err
	}
	const rounds = 3 // others can add or delete the user meanwhile
	for range rounds {
		u, err := s.Store.UserByEmail(ctx, email)
		var invited *Invited
		switch {
		case err == nil:
			invited, err = s.inviteExisting(ctx, u.ID, email, lang, actor)
			if errors.Is(err, idp.ErrNotFound) {
				continue
			}
			return invited, err
		case !errors.Is(err, idp.ErrNotFound):
			return nil, fmt.Errorf("invite user: %w", err)
		}
		invited, err = s.inviteNew(ctx, email, lang, actor)
		if err == nil || !errors.Is(err, idp.ErrExists) {
			return invited, err
		}
	}
	return nil, fmt.Errorf("invite user: %w", idp.ErrExists)
}

// inviteNew adds a user.
func (s *Service) inviteNew(ctx context.Context, email, lang, actor string) (*Invited, error) {
	now := s.Clock.Now().Truncate(time.Second)
	u := &idp.User{ID: idp.UserID(rand.Text()), Emails: []idp.Email{{Address: email}}, Lang: lang, CreatedAt: now, UpdatedAt: now}
	conflicts, err := s.Store.ImportUsers(ctx, []idp.ImportedUser{{User: u, Event: newChangeEvent(idp.AuditUserInvite, u.ID, actor)}})
	if err := errors.Join(append(conflicts, err)...); err != nil {
		return nil, fmt.Errorf("invite user: %w", err)
	}
	return &Invited{User: u, Email: email, Created: true}, nil
}

// inviteExisting invites a user who exists. It returns idp.ErrNotFound if the user was deleted
// meanwhile or no longer has the email address.
func (s *Service) inviteExisting(ctx context.Context, id idp.UserID, email, lang, actor string) (*Invited, error) {
	invited := &Invited{}
	err := s.Store.UpdateUser(ctx, id, func(u *idp.User) error {
		i := slices.IndexFunc(u.Emails, func(e idp.Email) bool { return strings.EqualFold(e.Address, email) })
		switch {
		case i < 0:
			return idp.ErrNotFound
		case u.PasswordHash != "":
			return ErrHasPassword
		case u.IsLocked():
			return ErrLocked
		case !u.DeletionAt.IsZero():
			return ErrPlannedDeletion
		}
		if u.Lang == "" {
			u.Lang = lang
		}
		u.UpdatedAt = s.Clock.Now()
		invited.User, invited.Email = u, u.Emails[i].Address
		return nil
	}, newChangeEvent(idp.AuditUserInvite, id, actor))
	if err != nil {
		return nil, fmt.Errorf("invite user: %w", err)
	}
	return invited, nil
}
