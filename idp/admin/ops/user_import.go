package ops

import (
	"context"
	"fmt"

	"vernal/idp/account"
	"vernal/idp/admin"
)

// ImportUsersRequest is a part of a file of users. The answer is an account.ImportResult.
type ImportUsersRequest struct {
	Lines []account.ImportLine `json:"lines"`
	account.ImportOptions
}

// ImportBatch is the maximum number of users in one ImportUsersRequest. They share one
// transaction, and a larger one would delay sign-ins.
const ImportBatch = 500

// ImportUsers adds up to ImportBatch users.
var ImportUsers = declare("user/import", func(s *Service, ctx context.Context, caller admin.Caller, req ImportUsersRequest) (*account.ImportResult, error) {
	if len(req.Lines) > ImportBatch {
		return nil, &admin.Error{Code: admin.CodeBadRequest, Message: fmt.Sprintf("%d users in one request: send at most %d", len(req.Lines), ImportBatch)}
	}
	return s.Accounts.Import(ctx, req.Lines, req.ImportOptions, caller.Actor())
})

// ExportUsers returns a page of users as an import reads them.
var ExportUsers = declare("user/export", func(s *Service, ctx context.Context, caller admin.Caller, req account.ExportOptions) (*account.ExportPage, error) {
	if req.Limit <= 0 || req.Limit > pageSize {
		req.Limit = pageSize
	}
	page, err := s.Accounts.Export(ctx, req, caller.Actor())
	if err != nil {
		return nil, userError("", err)
	}
	return page, nil
})
