package admin

import (
	"context"
	"errors"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/session"
	"vernal/idp/sp"
)

// pageSize is how many people an answer holds at most.
const pageSize = 500

func (s *Service) addUser(ctx context.Context, by Caller, req NewUser) (UserAdded, error) {
	u, enrolment, err := s.Accounts.Create(ctx, account.NewUser{
		Email:      req.Email,
		Password:   req.Password,
		TOTP:       req.TOTP,
		TOTPSecret: req.TOTPSecret,
		TOTPPeriod: req.TOTPPeriod,
	}, by.Actor())
	if errors.Is(err, idp.ErrExists) {
		return UserAdded{}, &Error{Code: CodeExists, Message: "somebody has the address " + req.Email + " already"}
	}
	if err != nil {
		return UserAdded{}, userError(req.Email, err)
	}
	added := UserAdded{User: s.userInfo(u)}
	if enrolment != nil {
		added.TOTPSecret, added.TOTPURL = enrolment.Secret, enrolment.URL
	}
	return added, nil
}

func (s *Service) showUser(ctx context.Context, _ Caller, req UserRequest) (User, error) {
	u, err := s.Accounts.Lookup(ctx, req.Email)
	if err != nil {
		return User{}, userError(req.Email, err)
	}
	profile, err := s.Accounts.Profile(ctx, u)
	if err != nil {
		return User{}, err
	}
	info := s.userInfo(u)
	if info.Profile != nil {
		info.Profile.Fields = account.ProfileFields(profile)
	}
	return info, nil
}

func (s *Service) listUsers(ctx context.Context, _ Caller, req UsersRequest) (UserList, error) {
	limit := pageSize
	if req.Limit > 0 && req.Limit < limit {
		limit = req.Limit
	}
	users, err := s.Users.Users(ctx, idp.UserQuery{After: req.After, Limit: limit})
	if err != nil {
		return UserList{}, err
	}
	list := UserList{Users: []User{}}
	for _, u := range users {
		list.Users = append(list.Users, s.userInfo(u))
	}
	if len(users) == limit {
		list.Next = users[limit-1].ID
	}
	return list, nil
}

func (s *Service) lockUser(ctx context.Context, by Caller, req UserRequest) (UserChanged, error) {
	n, err := s.Accounts.Lock(ctx, req.Email, req.Reason, by.Actor())
	return s.changed(ctx, req.Email, n, err)
}

func (s *Service) unlockUser(ctx context.Context, by Caller, req UserRequest) (UserChanged, error) {
	return s.changed(ctx, req.Email, 0, s.Accounts.Unlock(ctx, req.Email, by.Actor()))
}

func (s *Service) setPassword(ctx context.Context, by Caller, req UserRequest) (UserChanged, error) {
	n, err := s.Accounts.SetPassword(ctx, req.Email, req.Password, by.Actor())
	return s.changed(ctx, req.Email, n, err)
}

// resetMFA takes a person's second factors and, where asked, gives them a new
// authenticator. They are two changes: should the second one fail, the person
// is without a factor, which is safe, and the command can be given again. What
// is wrong with what is asked for is therefore found before the first one.
func (s *Service) resetMFA(ctx context.Context, by Caller, req UserRequest) (UserChanged, error) {
	totp := account.NewTOTP{Secret: req.TOTPSecret, Period: req.TOTPPeriod}
	if err := totp.Check(); err != nil {
		return UserChanged{}, userError(req.Email, err)
	}
	n, err := s.Accounts.ResetMFA(ctx, req.Email, by.Actor())
	if err != nil || !req.TOTP && req.TOTPSecret == "" {
		return s.changed(ctx, req.Email, n, err)
	}
	enrolment, err := s.Accounts.AddTOTP(ctx, req.Email, totp, by.Actor())
	c, err := s.changed(ctx, req.Email, n, err)
	if err == nil {
		c.TOTPSecret, c.TOTPURL = enrolment.Secret, enrolment.URL
	}
	return c, err
}

func (s *Service) deleteUser(ctx context.Context, by Caller, req UserRequest) (Empty, error) {
	if err := s.Accounts.Delete(ctx, req.Email, by.Actor()); err != nil {
		return Empty{}, userError(req.Email, err)
	}
	return Empty{}, nil
}

// changed is the answer to a change that ended sessions.
func (s *Service) changed(ctx context.Context, email string, sessions int, err error) (UserChanged, error) {
	if err != nil {
		return UserChanged{}, userError(email, err)
	}
	u, err := s.Accounts.Lookup(ctx, email)
	if err != nil {
		return UserChanged{}, userError(email, err)
	}
	return UserChanged{User: s.userInfo(u), SessionsEnded: sessions}, nil
}

// userError makes an error of the account service one for the operator.
func userError(email string, err error) error {
	var all account.InputErrors
	var input *account.InputError
	switch {
	case errors.As(err, &all):
		e := &Error{Code: CodeInvalid, Message: "not done"}
		for _, one := range all {
			e.Problems = append(e.Problems, sp.Problem{Field: one.Field, Text: one.Detail})
		}
		return e
	case errors.As(err, &input):
		return &Error{Code: CodeInvalid, Message: "not done", Problems: []sp.Problem{{Field: input.Field, Text: input.Detail}}}
	case errors.Is(err, idp.ErrNotFound):
		return &Error{Code: CodeNotFound, Message: "nobody has the address " + email}
	}
	return err
}

// userInfo leaves out what is secret, what is sealed apart, and devices that are
// remembered no longer.
func (s *Service) userInfo(u *idp.User) User {
	info := User{
		ID:                u.ID,
		Emails:            []Email{},
		HasPassword:       u.PasswordHash != "",
		PasswordChangedAt: u.PasswordChangedAt,
		TOTPs:             []TOTP{},
		Role:              u.Role,
		Locked:            u.Locked(),
		LockedAt:          u.LockedAt,
		LockReason:        u.LockReason,
		CreatedAt:         u.CreatedAt,
		UpdatedAt:         u.UpdatedAt,
	}
	if u.Proofed != nil {
		info.Profile = &Profile{Level: u.Proofed.Level, VerifiedAt: u.Proofed.VerifiedAt}
	}
	for _, e := range u.Emails {
		info.Emails = append(info.Emails, Email{Address: e.Address, ConfirmedAt: e.ConfirmedAt, LastSignInAt: e.LastSignInAt})
	}
	for _, t := range u.TOTPs {
		info.TOTPs = append(info.TOTPs, TOTP{Name: t.Name, Period: t.Period, AddedAt: t.AddedAt})
	}
	now := s.Clock.Now()
	for _, d := range u.Devices {
		if !now.Before(session.RememberedUntil(d.At)) {
			continue
		}
		info.Devices = append(info.Devices, RememberedDevice{
			ID: d.Short(), Browser: d.Browser, System: d.System,
			RememberedAt: d.At, RememberedUntil: session.RememberedUntil(d.At), UsedAt: d.UsedAt,
		})
	}
	return info
}
