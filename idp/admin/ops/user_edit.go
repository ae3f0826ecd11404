package ops

import (
	"context"
	"errors"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/admin"
	"vernal/idp/usermail"
	"vernal/templates"
)

// EditUserRequest changes the record of a user, named by email address or ID.
type EditUserRequest struct {
	Email string `json:"email"`
	account.Edit
}

// EditUser changes a user's email addresses and language.
var EditUser = declare("user/edit", func(s *Service, ctx context.Context, caller admin.Caller, req EditUserRequest) (User, error) {
	name, err := s.resolveEmail(ctx, req.Email)
	if err != nil {
		return User{}, err
	}
	if req.Lang != nil {
		if err := s.checkLang(*req.Lang); err != nil {
			return User{}, err
		}
	}
	if err := s.mailRemovedEmails(ctx, name, req.Edit); err != nil {
		return User{}, err
	}
	u, err := s.Accounts.EditUser(ctx, name, req.Edit, caller.Actor())
	switch {
	case errors.Is(err, idp.ErrExists):
		return User{}, &admin.Error{Code: admin.CodeExists, Message: "another user has, or had, one of the added email addresses"}
	case errors.Is(err, account.ErrEdited):
		return User{}, &admin.Error{Code: admin.CodeRefused, Message: "the user was changed at the same time: repeat the command"}
	case err != nil:
		return User{}, userError(name, err)
	}
	return s.describeUser(u), nil
})

// mailRemovedEmails notifies the email addresses that an edit removes, before it does, so that none is
// removed without a mail to it. The addresses that stay are notified because of the audit record.
func (s *Service) mailRemovedEmails(ctx context.Context, name string, edit account.Edit) error {
	if len(edit.RemoveEmails) == 0 || !s.UserMails.CanSend() {
		return nil
	}
	u, err := s.Accounts.Lookup(ctx, name)
	if err != nil {
		return userError(name, err)
	}
	removed, err := edit.FindRemovedEmails(u)
	if err != nil {
		return userError(name, err)
	}
	var mails []usermail.Mail
	for _, address := range removed {
		mails = append(mails, usermail.Mail{Kind: usermail.Changed, To: address, Lang: templates.Lang(u.Lang),
			Args: usermail.Args{Change: idp.AuditUserRemoveEmail, By: "staff", At: s.Clock.Now()}})
	}
	if len(mails) == 0 {
		return nil
	}
	return s.UserMails.Queue(ctx, mails...)
}
