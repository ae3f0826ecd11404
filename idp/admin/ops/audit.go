package ops

import (
	"context"
	"errors"
	"time"

	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/audit"
)

// AuditQuery asks for records of the audit trail.
type AuditQuery struct {
	audit.Filter
	// Email names a user by email address, instead of Filter.User.
	Email string `json:"email,omitempty"`
	// Limit is the maximum number of records in the answer, 1000 at most.
	Limit int `json:"limit"`
	// Before asks for the records before this one, newest first; 0 for the
	// newest. After asks for the records after this one, oldest first.
	Before uint64  `json:"before,omitempty"`
	After  *uint64 `json:"after,omitempty"`
}

// AuditVerifyRequest asks to verify a part of the trail that follows Progress.
type AuditVerifyRequest struct {
	Progress audit.Progress `json:"progress"`
	// At is a place recorded outside the store that the trail must contain.
	At *audit.Place `json:"at,omitempty"`
}

// AuditRange asks for records as they are stored.
type AuditRange struct {
	After uint64 `json:"after"`
	Limit int    `json:"limit"`
}

// AuditLines are records as they are stored.
type AuditLines struct {
	Lines      []AuditLine          `json:"lines"`
	Head       idp.AuditHead        `json:"head"`
	Checkpoint *idp.AuditCheckpoint `json:"checkpoint,omitempty"`
}

// AuditLine is one record, byte by byte.
type AuditLine struct {
	Place uint64 `json:"place"`
	JSON  string `json:"json"`
}

// AuditPruneAnswer is the answer to audit/prune.
type AuditPruneAnswer struct {
	Removed int  `json:"removed"`
	More    bool `json:"more"`
}

// AuditClaim is the content of an exported file: its checkpoints and its last record.
type AuditClaim struct {
	Checkpoints []idp.AuditCheckpoint `json:"checkpoints"`
	Last        audit.Place           `json:"last"`
}

// AuditJudgement is the result of comparing a claim with the store.
type AuditJudgement struct {
	// Wrong describes the fault of the checkpoint with the same index. It is "" if the
	// checkpoint is ours.
	Wrong []string `json:"wrong"`
	// Last is "present" if the last record is in the store, "checkpoint" if the store begins
	// after it, "differs" if the store has another record at its place, and "unknown" if the store
	// does not reach that place.
	Last string `json:"last"`
}

// verifyTime bounds one call of verify, so that the client can show the progress.
const verifyTime = 2 * time.Second

const maxRecords = 1000

// FindAudit finds records of the audit trail.
var FindAudit = declare("audit/find", func(s *Service, ctx context.Context, _ admin.Caller, req AuditQuery) (*audit.RecordPage, error) {
	if req.Email != "" {
		u, err := s.Accounts.Lookup(ctx, req.Email)
		if err != nil {
			return nil, explainUnknownUser(req.Email, err)
		}
		req.User = u.ID
	}
	limit := min(max(req.Limit, 1), maxRecords)
	if req.After != nil {
		return s.Trail.FindAfter(ctx, *req.After, req.Filter, limit)
	}
	return s.Trail.FindBefore(ctx, req.Before, req.Filter, limit)
})

func explainUnknownUser(email string, err error) error {
	if errors.Is(err, idp.ErrNotFound) {
		return newNotFoundError("no user has the email address %s: for a deleted user, give the ID", email)
	}
	return err
}

// VerifyAudit verifies a part of the audit trail.
var VerifyAudit = declare("audit/verify", func(s *Service, ctx context.Context, _ admin.Caller, req AuditVerifyRequest) (audit.Progress, error) {
	return s.Trail.Verify(ctx, req.Progress, req.At, verifyTime)
})

// ReadAudit returns records as they are stored.
var ReadAudit = declare("audit/lines", func(s *Service, ctx context.Context, _ admin.Caller, req AuditRange) (*AuditLines, error) {
	page, err := s.Trail.Lines(ctx, req.After, max(req.Limit, 1))
	if err != nil {
		return nil, err
	}
	answer := &AuditLines{Lines: make([]AuditLine, len(page.Lines)), Head: page.Head, Checkpoint: page.Checkpoint}
	for i, line := range page.Lines {
		answer.Lines[i] = AuditLine{Place: line.Place, JSON: string(line.JSON)}
	}
	return answer, nil
})

// SignCheckpoint signs a checkpoint for the records up to a place.
var SignCheckpoint = declare("audit/checkpoint", func(s *Service, ctx context.Context, _ admin.Caller, place audit.Place) (*idp.AuditCheckpoint, error) {
	return s.Trail.Checkpoint(ctx, place)
})

// PruneAudit removes some of the records before a checkpoint of ours.
var PruneAudit = declare("audit/prune", func(s *Service, ctx context.Context, caller admin.Caller, checkpoint idp.AuditCheckpoint) (answer AuditPruneAnswer, err error) {
	answer.Removed, answer.More, err = s.Trail.Prune(ctx, checkpoint, caller.Actor())
	return answer, err
})

// CheckAudit compares the claim of an exported file with the store.
var CheckAudit = declare("audit/check", func(s *Service, ctx context.Context, _ admin.Caller, claim AuditClaim) (*AuditJudgement, error) {
	answer := &AuditJudgement{Wrong: make([]string, len(claim.Checkpoints))}
	for i, c := range claim.Checkpoints {
		if err := s.Trail.Check(c); err != nil {
			answer.Wrong[i] = err.Error()
		}
	}
	var err error
	answer.Last, err = s.Trail.LookupPlace(ctx, claim.Last)
	return answer, err
})
