package ops

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/admin"
	"vernal/idp/session"
	"vernal/idp/sp"
)

// UserRequest names a user by an email address or the ID.
type UserRequest struct {
	Email string `json:"email"`
	// NameID and SP name the user by the NameID that SP received, for show.
	NameID idp.NameID   `json:"name_id,omitempty"`
	SP     idp.EntityID `json:"sp,omitempty"`
	// Reason is the reason for a lock.
	Reason string `json:"reason,omitempty"`
	// Password is the new password, for set-password.
	Password string `json:"password,omitempty"`
	// TOTP, TOTPSecret and TOTPPeriod are for reset-mfa, as in NewUser.
	TOTP       bool   `json:"totp,omitempty"`
	TOTPSecret string `json:"totp_secret,omitempty"`
	TOTPPeriod int    `json:"totp_period,omitempty"`
	// Now makes reset-mfa remove the factors at once, without a waiting period.
	Now bool `json:"now,omitempty"`
}

// AddedUser is the answer to AddUser.
type AddedUser struct {
	User User `json:"user"`
	// TOTPSecret and TOTPURL are those of a new authenticator, disclosed only here.
	TOTPSecret string `json:"totp_secret,omitempty"`
	TOTPURL    string `json:"totp_url,omitempty"`
}

// ChangedUser is the answer to a change of a user.
type ChangedUser struct {
	AddedUser
	// SessionsEnded counts the sessions that the change ended.
	SessionsEnded int `json:"sessions_ended"`
	// DueAt is when the second factors will be removed, after the waiting period of reset-mfa.
	DueAt time.Time `json:"due_at,omitzero"`
}

// DeletedUser is the answer to DeleteUser.
type DeletedUser struct {
	Email string `json:"deleted"`
}

// UsersRequest selects the users after an ID that match all given fields.
type UsersRequest struct {
	After idp.UserID `json:"after,omitempty"`
	Limit int        `json:"limit,omitempty"`
	// Search is a part of an email address, or the beginning of the ID, ignoring case.
	Search string `json:"search,omitempty"`
	// Locked selects users that an operator has locked.
	Locked bool `json:"locked,omitempty"`
	// Role selects users with the role.
	Role string `json:"role,omitempty"`
}

// matches reports whether the request selects a user.
func (r UsersRequest) matches(u *idp.User) bool {
	if r.Locked && !u.IsLocked() || r.Role != "" && u.Role != r.Role {
		return false
	}
	search := strings.ToLower(r.Search)
	return search == "" || strings.HasPrefix(strings.ToLower(string(u.ID)), search) ||
		slices.ContainsFunc(u.Emails, func(e idp.Email) bool { return strings.Contains(strings.ToLower(e.Address), search) })
}

// UserList is the answer to user/list, by ID. It may be empty before the end. Next is the start of
// the next page, or "" at the end.
type UserList struct {
	Users []User     `json:"users"`
	Next  idp.UserID `json:"next,omitempty"`
}

// User is a user without secrets.
type User struct {
	ID                idp.UserID `json:"id"`
	Emails            []Email    `json:"emails"`
	HasPassword       bool       `json:"has_password"`
	PasswordChangedAt time.Time  `json:"password_changed_at,omitzero"`
	TOTPs             []TOTP     `json:"totps"`
	// Devices are the browsers that replace the second factor where a service provider allows
	// that, the newest last.
	Devices []RememberedDevice `json:"devices,omitempty"`
	// Profile is nil for a user without a proofed identity.
	Profile    *Profile  `json:"profile,omitempty"`
	Role       string    `json:"role,omitempty"`
	Locked     bool      `json:"locked"`
	LockedAt   time.Time `json:"locked_at,omitzero"`
	LockReason string    `json:"lock_reason,omitempty"`
	// RecoveryCodes is the number of unused recovery codes.
	RecoveryCodes int `json:"recovery_codes,omitempty"`
	// ProofingPausedAt is when the proofed identity was paused because the password was reset by
	// mail. FactorResetAt is when the second factors will be removed, and DeletionAt when the account
	// will be deleted.
	ProofingPausedAt time.Time `json:"proofing_paused_at,omitzero"`
	FactorResetAt    time.Time `json:"factor_reset_at,omitzero"`
	DeletionAt       time.Time `json:"deletion_at,omitzero"`
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
}

// Email is an email address of a user. It leaves out the service providers it was disclosed
// to: a list of users must not show the service providers that they visit.
type Email struct {
	Address      string    `json:"address"`
	ConfirmedAt  time.Time `json:"confirmed_at,omitzero"`
	LastSignInAt time.Time `json:"last_sign_in_at,omitzero"`
}

// RememberedDevice is a browser in which a user is remembered. ID is its name in the audit
// record when it is forgotten.
type RememberedDevice struct {
	ID              string    `json:"id"`
	Browser         string    `json:"browser,omitempty"`
	System          string    `json:"system,omitempty"`
	RememberedAt    time.Time `json:"remembered_at"`
	RememberedUntil time.Time `json:"remembered_until"`
	UsedAt          time.Time `json:"used_at,omitzero"`
}

// TOTP is an authenticator without its secret.
type TOTP struct {
	Name    string    `json:"name"`
	Period  int       `json:"period"`
	AddedAt time.Time `json:"added_at"`
}

// pageSize is the maximum number of users in an answer.
const pageSize = 500

// userScan bounds the users that one command reads, so that it answers soon however few of
// them match. The caller continues from Next.
const userScan = 2000

// declareUser declares an operation on one user, named by email address or ID. It passes the
// email address to do.
func declareUser[Res any](path string, do func(*Service, context.Context, admin.Caller, UserRequest) (Res, error)) Op[UserRequest, Res] {
	return declare(path, func(s *Service, ctx context.Context, caller admin.Caller, req UserRequest) (answer Res, err error) {
		if req.Email, err = s.resolveEmail(ctx, req.Email); err != nil {
			return answer, err
		}
		return do(s, ctx, caller, req)
	})
}

// resolveEmail returns the email address of a user named by email address or ID.
func (s *Service) resolveEmail(ctx context.Context, name string) (string, error) {
	if name == "" || strings.Contains(name, "@") {
		return name, nil
	}
	u, err := s.Store.User(ctx, idp.UserID(name))
	if errors.Is(err, idp.ErrNotFound) {
		return "", notFoundError("no user with ID %q: an email address contains @", name)
	}
	if err != nil {
		return "", fmt.Errorf("look up user: %w", err)
	}
	if u.PrimaryEmail() == "" {
		return "", notFoundError("user %s has no email address", u.ID)
	}
	return u.PrimaryEmail(), nil
}

// findUserByNameID finds the user that a service provider knows by a NameID.
func (s *Service) findUserByNameID(ctx context.Context, id idp.EntityID, name idp.NameID) (*idp.User, error) {
	p, err := s.Registry.Get(ctx, id)
	if err != nil {
		return nil, explainUnknownSP(id, err)
	}
	userID, err := s.Store.UserByNameID(ctx, p.NameIDScope, name)
	if errors.Is(err, idp.ErrNotFound) {
		return nil, notFoundError("no user of %s has the NameID %q", id, name)
	}
	if err != nil {
		return nil, fmt.Errorf("look up NameID: %w", err)
	}
	u, err := s.Store.User(ctx, userID)
	if errors.Is(err, idp.ErrNotFound) {
		return nil, notFoundError("the user with the NameID %q was deleted", name)
	}
	return u, err
}

// AddUser adds a user.
var AddUser = declare("user/add", func(s *Service, ctx context.Context, caller admin.Caller, req account.NewUser) (AddedUser, error) {
	u, enrolment, err := s.Accounts.Create(ctx, req, caller.Actor())
	if errors.Is(err, idp.ErrExists) {
		return AddedUser{}, &admin.Error{Code: admin.CodeExists, Message: "a user has the email address " + req.Email + " already"}
	}
	if err != nil {
		return AddedUser{}, userError(req.Email, err)
	}
	answer := AddedUser{User: s.describeUser(u)}
	if enrolment != nil {
		answer.TOTPSecret, answer.TOTPURL = enrolment.Secret, enrolment.URL
	}
	return answer, nil
})

// ShowUser returns one user.
var ShowUser = declareUser("user/show", func(s *Service, ctx context.Context, _ admin.Caller, req UserRequest) (User, error) {
	var u *idp.User
	var err error
	if req.NameID != "" {
		u, err = s.findUserByNameID(ctx, req.SP, req.NameID)
	} else if u, err = s.Accounts.Lookup(ctx, req.Email); err != nil {
		err = userError(req.Email, err)
	}
	if err != nil {
		return User{}, err
	}
	profile, err := s.Accounts.Profile(ctx, u)
	if err != nil {
		return User{}, err
	}
	info := s.describeUser(u)
	if info.Profile != nil {
		info.Profile.Fields = account.ProfileFields(profile)
	}
	return info, nil
})

// ListUsers returns a page of users.
var ListUsers = declare("user/list", func(s *Service, ctx context.Context, _ admin.Caller, req UsersRequest) (UserList, error) {
	limit := pageSize
	if req.Limit > 0 && req.Limit < limit {
		limit = req.Limit
	}
	answer := UserList{Users: []User{}}
	for scannedCount := 0; scannedCount < userScan; {
		users, err := s.Store.Users(ctx, idp.UserQuery{After: req.After, Limit: pageSize})
		if err != nil {
			return UserList{}, err
		}
		for i, u := range users {
			if req.matches(u) {
				answer.Users = append(answer.Users, s.describeUser(u))
			}
			if len(answer.Users) == limit && (i+1 < len(users) || len(users) == pageSize) {
				answer.Next = u.ID
				return answer, nil
			}
		}
		if len(users) < pageSize {
			answer.Next = ""
			return answer, nil
		}
		scannedCount += len(users)
		req.After = users[len(users)-1].ID
		answer.Next = req.After
	}
	return answer, nil
})

// LockUser keeps a user from signing in and ends their sessions.
var LockUser = declareUser("user/lock", func(s *Service, ctx context.Context, caller admin.Caller, req UserRequest) (ChangedUser, error) {
	n, err := s.Accounts.Lock(ctx, req.Email, req.Reason, caller.Actor())
	return s.describeChangedUser(ctx, req.Email, n, err)
})

// UnlockUser lets a user sign in again.
var UnlockUser = declareUser("user/unlock", func(s *Service, ctx context.Context, caller admin.Caller, req UserRequest) (ChangedUser, error) {
	return s.describeChangedUser(ctx, req.Email, 0, s.Accounts.Unlock(ctx, req.Email, caller.Actor()))
})

// SetPassword gives a user a new password and ends their sessions.
var SetPassword = declareUser("user/set-password", func(s *Service, ctx context.Context, caller admin.Caller, req UserRequest) (ChangedUser, error) {
	n, err := s.Accounts.SetPassword(ctx, req.Email, req.Password, caller.Actor())
	return s.describeChangedUser(ctx, req.Email, n, err)
})

// ResetMFA plans the removal of a user's second factors after a waiting period, of which the user is
// notified and which the user can cancel. With Now, and if the user cannot be notified, it removes
// them at once and, if asked, adds a new authenticator. These are two changes. If the second fails, the user is without a factor, which is safe, and the
// operator can repeat the command. The request is therefore checked in full before the
// first.
var ResetMFA = declareUser("user/reset-mfa", func(s *Service, ctx context.Context, caller admin.Caller, req UserRequest) (ChangedUser, error) {
	totp := account.NewTOTP{Secret: req.TOTPSecret, Period: req.TOTPPeriod}
	if err := totp.Check(); err != nil {
		return ChangedUser{}, userError(req.Email, err)
	}
	if !req.Now {
		u, err := s.Accounts.Lookup(ctx, req.Email)
		if err != nil {
			return ChangedUser{}, userError(req.Email, err)
		}
		if s.UserMails.CanSend() && hasConfirmedEmail(u) {
			return s.planReset(ctx, req, caller)
		}
	}
	n, err := s.Accounts.ResetMFA(ctx, req.Email, caller.Actor())
	if err != nil || !req.TOTP && req.TOTPSecret == "" {
		return s.describeChangedUser(ctx, req.Email, n, err)
	}
	enrolment, err := s.Accounts.AddTOTP(ctx, req.Email, totp, caller.Actor())
	c, err := s.describeChangedUser(ctx, req.Email, n, err)
	if err == nil {
		c.TOTPSecret, c.TOTPURL = enrolment.Secret, enrolment.URL
	}
	return c, err
})

// planReset plans the removal of a user's second factors. The audit record notifies the user.
func (s *Service) planReset(ctx context.Context, req UserRequest, caller admin.Caller) (ChangedUser, error) {
	if req.TOTP || req.TOTPSecret != "" {
		return ChangedUser{}, invalidError("nothing was changed: a new authenticator replaces the factors at once, which needs --now. Without it, the user sets up an authenticator after the waiting period")
	}
	dueAt, err := s.Accounts.PlanFactorReset(ctx, req.Email, s.Clock.Now().Add(account.FactorResetWait), caller.Actor())
	c, err := s.describeChangedUser(ctx, req.Email, 0, err)
	if err == nil {
		c.DueAt = dueAt
	}
	return c, err
}

func hasConfirmedEmail(u *idp.User) bool {
	return slices.ContainsFunc(u.Emails, func(e idp.Email) bool { return !e.ConfirmedAt.IsZero() })
}

// DeleteUser removes a user and ends their sessions.
var DeleteUser = declareUser("user/delete", func(s *Service, ctx context.Context, caller admin.Caller, req UserRequest) (DeletedUser, error) {
	if err := s.Accounts.Delete(ctx, req.Email, caller.Actor()); err != nil {
		return DeletedUser{}, userError(req.Email, err)
	}
	return DeletedUser{Email: req.Email}, nil
})

// describeChangedUser returns the answer to a change that ended sessions.
func (s *Service) describeChangedUser(ctx context.Context, email string, sessions int, err error) (ChangedUser, error) {
	if err != nil {
		return ChangedUser{}, userError(email, err)
	}
	u, err := s.Accounts.Lookup(ctx, email)
	if err != nil {
		return ChangedUser{}, userError(email, err)
	}
	return ChangedUser{AddedUser: AddedUser{User: s.describeUser(u)}, SessionsEnded: sessions}, nil
}

// userError converts an error of the account service to one for the operator.
func userError(email string, err error) error {
	var inputErrs account.InputErrors
	var inputErr *account.InputError
	switch {
	case errors.As(err, &inputErrs):
		e := invalidError("nothing was changed, because the request is not valid")
		for _, problem := range inputErrs {
			e.Problems = append(e.Problems, sp.Problem{Field: problem.Field, Text: problem.Detail})
		}
		return e
	case errors.As(err, &inputErr):
		return &admin.Error{Code: admin.CodeInvalid, Message: "nothing was changed, because the request is not valid", Problems: []sp.Problem{{Field: inputErr.Field, Text: inputErr.Detail}}}
	case errors.Is(err, idp.ErrNotFound):
		return notFoundError("no user with email %s", email)
	}
	return err
}

// describeUser returns a user without secrets, without the sealed profile and without devices
// whose time has expired.
func (s *Service) describeUser(u *idp.User) User {
	info := User{
		ID:                u.ID,
		Emails:            []Email{},
		HasPassword:       u.PasswordHash != "",
		PasswordChangedAt: u.PasswordChangedAt,
		TOTPs:             []TOTP{},
		Role:              u.Role,
		Locked:            u.IsLocked(),
		LockedAt:          u.LockedAt,
		LockReason:        u.LockReason,
		RecoveryCodes:     u.RecoveryCodeCount(),
		ProofingPausedAt:  u.ProofingPausedAt,
		FactorResetAt:     u.FactorResetAt,
		DeletionAt:        u.DeletionAt,
		CreatedAt:         u.CreatedAt,
		UpdatedAt:         u.UpdatedAt,
	}
	if u.Proofing != nil {
		info.Profile = &Profile{Level: u.Proofing.Level, VerifiedAt: u.Proofing.VerifiedAt}
	}
	for _, e := range u.Emails {
		info.Emails = append(info.Emails, Email{Address: e.Address, ConfirmedAt: e.ConfirmedAt, LastSignInAt: e.LastSignInAt})
	}
	for _, t := range u.TOTPs {
		info.TOTPs = append(info.TOTPs, TOTP{Name: t.Name, Period: t.Period, AddedAt: t.AddedAt})
	}
	now := s.Clock.Now()
	for _, d := range u.Devices {
		if !now.Before(session.RememberedEndsAt(d.At)) {
			continue
		}
		info.Devices = append(info.Devices, RememberedDevice{
			ID: d.ShortHash(), Browser: d.Browser, System: d.System,
			RememberedAt: d.At, RememberedUntil: session.RememberedEndsAt(d.At), UsedAt: d.UsedAt,
		})
	}
	return info
}
