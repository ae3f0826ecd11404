package ops

import (
	"context"
	"time"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/admin"
)

// Profile says what is proofed of a person, and not what it is: the values are
// the person's, and an export has them.
type Profile struct {
	Level      string    `json:"level"`
	VerifiedAt time.Time `json:"verified_at,omitzero"`
	// Fields names the values on record. They are told where one person is
	// shown; to list everybody, or after another change, nothing is unsealed.
	Fields []string `json:"fields,omitempty"`
}

// VerifyRequest puts a proofed identity on a person's record.
type VerifyRequest struct {
	Email string `json:"email"`
	// Profile is nil to take it away.
	Profile *idp.Profile `json:"profile,omitempty"`
	DryRun  bool         `json:"dry_run,omitempty"`
}

// UserVerified is the answer to user/verify.
type UserVerified struct {
	User   User `json:"user"`
	DryRun bool `json:"dry_run,omitempty"`
	// Before and After are levels: none, verified or facial-match.
	Before string `json:"level_before"`
	After  string `json:"level"`
	// Changed names the values that changed, Missing those that service
	// providers may ask for and that are not on record.
	Changed []string `json:"changed"`
	Missing []string `json:"missing,omitempty"`
}

// PeopleRequest is a part of a file of people; the answer is an
// account.ImportResult.
type PeopleRequest struct {
	Lines []account.ImportLine `json:"lines"`
	account.ImportOptions
}

// ImportBatch is how many people one PeopleRequest holds at most. They are one
// transaction; more would let sign-ins wait.
const ImportBatch = 500

// VerifyUser records a proofed identity, or removes it.
var VerifyUser = declare("user/verify", func(s *Service, ctx context.Context, by admin.Caller, req VerifyRequest) (UserVerified, error) {
	v, err := s.Accounts.Verify(ctx, req.Email, req.Profile, req.DryRun, by.Actor())
	if err != nil {
		return UserVerified{}, userError(req.Email, err)
	}
	answer := UserVerified{User: s.userInfo(v.User), DryRun: req.DryRun, Before: v.Before, After: v.After, Changed: v.Changed}
	if v.Profile != nil {
		answer.User.Profile.Fields = account.ProfileFields(v.Profile)
		answer.Missing = account.MissingFields(v.Profile)
	}
	return answer, nil
})

// ImportUsers adds up to ImportBatch users.
var ImportUsers = declare("user/import", func(s *Service, ctx context.Context, by admin.Caller, req PeopleRequest) (*account.ImportResult, error) {
	if len(req.Lines) > ImportBatch {
		return nil, &admin.Error{Code: admin.CodeBadRequest, Message: "too many people in one request"}
	}
	return s.Accounts.Import(ctx, req.Lines, req.ImportOptions, by.Actor())
})

// ExportUsers returns a page of users as an import reads them.
var ExportUsers = declare("user/export", func(s *Service, ctx context.Context, by admin.Caller, req account.ExportOptions) (*account.ExportPage, error) {
	if req.Limit <= 0 || req.Limit > pageSize {
		req.Limit = pageSize
	}
	page, err := s.Accounts.Export(ctx, req, by.Actor())
	if err != nil {
		return nil, userError("", err)
	}
	return page, nil
})
