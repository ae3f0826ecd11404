package account

import (
	"context"
	"errors"
	"slices"
	"strings"

	"vernal/idp"
)

// MaxEmails is how many email addresses one user can have.
const MaxEmails = 12

// findEmail returns the place of an email address of the user, compared without case; -1 if it is
// not the user's.
func findEmail(u *idp.User, address string) int {
	return slices.IndexFunc(u.Emails, func(e idp.Email) bool { return strings.EqualFold(e.Address, address) })
}

// ConfirmEmail adds a confirmed email address to a user, who proved with a mailed link that it is
// theirs. stamp is that of the link, which a new password voids (idp.ErrNotFound). Adding one twice
// changes nothing. Other errors: idp.ErrExists if it belongs to another user; *InputError with
// problem "too_many"; ErrLocked.
func (s *Service) ConfirmEmail(ctx context.Context, c OwnChange, address, stamp string) error {
	err := s.changeOwn(ctx, c, idp.AuditUserAddEmail, func(u *idp.User) error {
		if u.LinkStamp() != stamp {
			return idp.ErrNotFound
		}
		switch i := findEmail(u, address); {
		case i >= 0 && !u.Emails[i].ConfirmedAt.IsZero():
			return errUnchanged
		case i >= 0:
			u.Emails[i].ConfirmedAt = s.Clock.Now()
			return nil
		case len(u.Emails) >= MaxEmails:
			return &InputError{"email", "too_many", "the account already has the maximum number of email addresses"}
		}
		u.Emails = append(u.Emails, idp.Email{Address: address, ConfirmedAt: s.Clock.Now()})
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}

// CanRemoveEmail reports whether RemoveEmail would remove the email address.
func CanRemoveEmail(u *idp.User, address string) bool {
	i := findEmail(u, address)
	return i > 0 && slices.ContainsFunc(u.Emails, func(e idp.Email) bool {
		return !e.ConfirmedAt.IsZero() && !strings.EqualFold(e.Address, address)
	})
}

// RemoveEmail removes one of the user's email addresses. The primary one stays, and so does the last
// confirmed one. Errors: *InputError with problem "needed" for these; idp.ErrNotFound if it is not the
// user's; ErrLocked.
func (s *Service) RemoveEmail(ctx context.Context, c OwnChange, address string) error {
	return s.changeOwn(ctx, c, idp.AuditUserRemoveEmail, func(u *idp.User) error {
		i := findEmail(u, address)
		if i < 0 {
			return idp.ErrNotFound
		}
		if !CanRemoveEmail(u, address) {
			return &InputError{"email", "needed", "the primary email address and the last confirmed one cannot be removed"}
		}
		u.Emails = slices.Delete(slices.Clone(u.Emails), i, i+1)
		for j := range u.Services {
			if strings.EqualFold(u.Services[j].Email, address) {
				u.Services[j].Email = ""
			}
		}
		return nil
	})
}

// ChoosePrimaryEmail makes one of the user's confirmed email addresses the primary one. Errors:
// *InputError with problem "unconfirmed"; idp.ErrNotFound if it is not the user's; ErrLocked.
func (s *Service) ChoosePrimaryEmail(ctx context.Context, c OwnChange, address string) error {
	err := s.changeOwn(ctx, c, idp.AuditUserEditEmail, func(u *idp.User) error {
		switch i := findEmail(u, address); {
		case i < 0:
			return idp.ErrNotFound
		case i == 0:
			return errUnchanged
		case u.Emails[i].ConfirmedAt.IsZero():
			return &InputError{"email", "unconfirmed", "only a confirmed email address can be the primary one"}
		default:
			moveFirst(u, i)
		}
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}

// RestorePrimaryEmail undoes a change of the primary email address for the user who received a link
// at the earlier one. The change may have been made by someone else, who may also have removed the
// earlier one: it is added again, and all sessions and remembered devices end. stamp is that of the
// link, which a new password voids (idp.ErrNotFound). Other errors: idp.ErrExists if the email address
// belongs to another user by now; ErrLocked.
func (s *Service) RestorePrimaryEmail(ctx context.Context, c OwnChange, address, stamp string) error {
	return s.changeSignIn(ctx, c, idp.AuditUserEditEmail, func(u *idp.User) error {
		if u.LinkStamp() != stamp {
			return idp.ErrNotFound
		}
		i := findEmail(u, address)
		if i < 0 {
			u.Emails = append(u.Emails, idp.Email{Address: address, ConfirmedAt: s.Clock.Now()})
			i = len(u.Emails) - 1
		}
		moveFirst(u, i)
		return nil
	})
}

// moveFirst makes the email address at a place the primary one.
func moveFirst(u *idp.User, i int) {
	e := u.Emails[i]
	u.Emails = slices.Insert(slices.Delete(u.Emails, i, i+1), 0, e)
}
