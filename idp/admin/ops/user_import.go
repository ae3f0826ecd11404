package ops

import (
	"context"

	"vernal/idp/account"
	"vernal/idp/admin"
)

// ImportUsersRequest is a part of a file of users. The answer is an account.ImportResult.
type ImportUsersRequest struct {
	Lines []account.ImportLine `json:"lines"`
	account.ImportOptions
}

// ImportBatch is the maximum number of users in one PeopleRequest. They share one
// transaction, and a larger one would delay sign-ins.
const ImportBatch = 500

// ImportUsers adds up to ImportBatch users.
var ImportUsers = declare("user/import", func(s *Service, ctx context.Context, by admin.Caller, req ImportUsersRequest) (*account.ImportResult, error) {
	if len(req.Lines) > ImportBatch {
		return nil, &admin.Error{Code: admin.CodeBadRequest, Message: "too many users in one request"}
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
