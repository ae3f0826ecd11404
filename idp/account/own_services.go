package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"vernal/idp"
)

// WithdrawConsent withdraws what a user agreed to disclose to a service provider. The service provider
// keeps what it got, and gets nothing more before the user agrees again. No session ends. It returns
// idp.ErrNotFound if the user agreed to nothing there, or withdrew it before.
func (s *Service) WithdrawConsent(ctx context.Context, c OwnChange, sp idp.EntityID) error {
	c.Event.SP = sp
	return s.changeOwn(ctx, c, idp.AuditUserConsent, s.withdrawConsent(sp))
}

// RepeatWithdrawal withdraws a consent for a user who did so before, also one who is locked. It returns
// idp.ErrNotFound like WithdrawConsent.
func (s *Service) RepeatWithdrawal(ctx context.Context, user idp.UserID, sp idp.EntityID, actor string) error {
	event := newChangeEvent(idp.AuditUserConsent, user, actor)
	event.SP = sp
	if err := s.Store.UpdateUser(ctx, user, s.withdrawConsent(sp), event); err != nil {
		return fmt.Errorf("%s: %w", idp.AuditUserConsent, err)
	}
	return nil
}

func (s *Service) withdrawConsent(sp idp.EntityID) func(*idp.User) error {
	return func(u *idp.User) error {
		service := u.Service(sp)
		if service == nil || !service.HasConsent() {
			return idp.ErrNotFound
		}
		service.WithdrawnAt, service.Attributes = s.Clock.Now(), nil
		return nil
	}
}

// ChooseServiceEmail chooses which of the user's confirmed email addresses a service provider gets;
// "" for the one of the last sign-in. changed is false if it is chosen already. Errors: idp.ErrNotFound
// if the user never visited the service provider; *InputError with problem "unconfirmed".
func (s *Service) ChooseServiceEmail(ctx context.Context, c OwnChange, sp idp.EntityID, address string) (changed bool, err error) {
	c.Event.SP = sp
	err = s.changeOwn(ctx, c, idp.AuditUserEditEmail, func(u *idp.User) error {
		service := u.Service(sp)
		if service == nil {
			return idp.ErrNotFound
		}
		chosen := ""
		if address != "" {
			i := slices.IndexFunc(u.Emails, func(e idp.Email) bool { return strings.EqualFold(e.Address, address) && !e.ConfirmedAt.IsZero() })
			if i < 0 {
				return &InputError{"email", "unconfirmed", "a service gets only confirmed email addresses"}
			}
			chosen = u.Emails[i].Address
		}
		if service.Email == chosen {
			return errUnchanged
		}
		service.Email = chosen
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return false, nil
	}
	return err == nil, err
}

// SetLang chooses the language of mails to the user. The caller checks that there is one.
func (s *Service) SetLang(ctx context.Context, c OwnChange, lang string) (changed bool, err error) {
	err = s.changeOwn(ctx, c, idp.AuditUserEditLang, func(u *idp.User) error {
		if u.Lang == lang {
			return errUnchanged
		}
		u.Lang = lang
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return false, nil
	}
	return err == nil, err
}
