package ops

import (
	"context"
	"errors"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/admin"
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
