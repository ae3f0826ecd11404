package ops

import (
	"context"
	"time"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/admin"
)

// Profile names the proofed fields of a user without their values, which belong to the user.
// An export contains them.
type Profile struct {
	Level      string    `json:"level"`
	VerifiedAt time.Time `json:"verified_at,omitzero"`
	// Fields names the recorded values. It is set only where a single user is shown: a list of
	// users, or the answer to another change, unseals no profile.
	Fields []string `json:"fields,omitempty"`
}

// VerifyRequest sets the proofed identity of a user.
type VerifyRequest struct {
	Email string `json:"email"`
	// Profile is the proofed identity; nil removes it.
	Profile *idp.Profile `json:"profile,omitempty"`
	DryRun  bool         `json:"dry_run,omitempty"`
}

// VerifiedUser is the answer to user/verify.
type VerifiedUser struct {
	User   User `json:"user"`
	DryRun bool `json:"dry_run,omitempty"`
	// Before and After are levels: none, verified or facial-match.
	Before string `json:"level_before"`
	After  string `json:"level"`
	// Changed names the values that changed. Missing names those that service providers may
	// ask for and that are not recorded.
	Changed []string `json:"changed"`
	Missing []string `json:"missing,omitempty"`
}

// VerifyUser records a proofed identity, or removes it.
var VerifyUser = declare("user/verify", func(s *Service, ctx context.Context, by admin.Caller, req VerifyRequest) (VerifiedUser, error) {
	var err error
	if req.Email, err = s.resolveEmail(ctx, req.Email); err != nil {
		return VerifiedUser{}, err
	}
	v, err := s.Accounts.Verify(ctx, req.Email, req.Profile, req.DryRun, by.Actor())
	if err != nil {
		return VerifiedUser{}, userError(req.Email, err)
	}
	answer := VerifiedUser{User: s.describeUser(v.User), DryRun: req.DryRun, Before: v.Before, After: v.After, Changed: v.ChangedFields}
	if v.Profile != nil {
		answer.User.Profile.Fields = account.ProfileFields(v.Profile)
		answer.Missing = account.MissingFields(v.Profile)
	}
	return answer, nil
})
