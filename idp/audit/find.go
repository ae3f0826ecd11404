package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"vernal/idp"
)

// Filter selects records. The zero value selects all.
type Filter struct {
	// Kind is a kind, or the first part of kinds: "rotation" for all of
	// "rotation.create", "rotation.publish", ….
	Kind string       `json:"kind,omitempty"`
	User idp.UserID   `json:"user,omitempty"`
	SP   idp.EntityID `json:"sp,omitempty"`
	// Since is the time of the oldest record.
	Since time.Time `json:"since,omitzero"`
	// ID is an error ID or a request ID.
	ID string `json:"id,omitempty"`
}

func (f *Filter) isMatch(r *idp.AuditRecord) bool {
	return (f.Kind == "" || isOfKind(r.Kind, f.Kind)) &&
		(f.User == "" || r.User == f.User || r.Actor == "user:"+string(f.User)) &&
		(f.SP == "" || r.SP == f.SP) &&
		(f.ID == "" || r.ErrorID == f.ID || r.RequestID == f.ID) &&
		!r.At.Before(f.Since)
}

// isOfKind reports whether a record's kind is the kind, or begins with it and a full stop.
func isOfKind(recordKind idp.AuditKind, kind string) bool {
	return string(recordKind) == kind || strings.HasPrefix(string(recordKind), kind+".")
}

// IsKnownKind reports whether a kind of record is this one, or begins with it and a full stop.
func IsKnownKind(kind string) bool {
	return slices.ContainsFunc(idp.AuditKinds(), func(k idp.AuditMeaning) bool { return isOfKind(k.Kind, kind) })
}

// mayMatch quickly rules out most records that the filter does not select, without decoding them.
func (f *Filter) mayMatch(line idp.AuditLine) bool {
	return f.ID == "" || bytes.Contains(line.JSON, []byte(f.ID))
}

// RecordPage is one page of the records that match.
type RecordPage struct {
	Records []idp.AuditRecord `json:"records"`
	// Next is where the next page begins. It is 0 at the end.
	Next uint64 `json:"next,omitempty"`
	// Last is the last record of the trail, selected or not.
	Last uint64 `json:"last"`
}

// maxExamined bounds the records that one call looks at.
const maxExamined = 10 * pageSize

// FindBefore finds up to limit records that match the filter, newest first, before the given one.
// If before is 0, it begins at the end of the trail. It reads a bounded number of records, so Next
// may be set even if it found none.
//
// Records are not verified. A record that cannot be read is returned as unreadable.
func (s *Service) FindBefore(ctx context.Context, before uint64, f Filter, limit int) (*RecordPage, error) {
	page, err := s.Store.AuditPage(ctx, idp.AuditQuery{After: 1<<64 - 1})
	if err != nil {
		return nil, fmt.Errorf("read the audit trail: %w", err)
	}
	result := &RecordPage{Records: []idp.AuditRecord{}, Last: max(page.Head.Seq, page.RecordCount)}
	first := uint64(0)
	if page.Checkpoint != nil {
		first = page.Checkpoint.Seq
	}
	if before == 0 || before > result.Last {
		before = result.Last + 1
	}
	for n := 0; n < maxExamined && before > first+1; n += pageSize {
		after := max(before-1, pageSize+first) - pageSize
		page, err := s.Store.AuditPage(ctx, idp.AuditQuery{After: after, Limit: int(before - 1 - after)})
		if err != nil {
			return nil, fmt.Errorf("read the audit trail: %w", err)
		}
		for _, line := range slices.Backward(page.Lines) {
			if line.Place >= before || line.Place <= after || !f.mayMatch(line) {
				continue
			}
			rec := decodeLine(line)
			if rec.At.Before(f.Since) && !rec.At.IsZero() {
				return result, nil
			}
			if !f.isMatch(&rec) {
				continue
			}
			if result.Records = append(result.Records, rec); len(result.Records) >= limit {
				result.Next = line.Place
				return result, nil
			}
		}
		before = after + 1
	}
	if before > first+1 {
		result.Next = before
	}
	return result, nil
}

// FindAfter finds records that match the filter, oldest first, after the given one. Next is
// where the next page begins, and never 0.
func (s *Service) FindAfter(ctx context.Context, after uint64, f Filter, limit int) (*RecordPage, error) {
	page, err := s.Store.AuditPage(ctx, idp.AuditQuery{After: after, Limit: pageSize})
	if err != nil {
		return nil, fmt.Errorf("read the audit trail: %w", err)
	}
	result := &RecordPage{Records: []idp.AuditRecord{}, Next: after, Last: page.Head.Seq}
	for _, line := range page.Lines {
		if line.Place <= after {
			continue
		}
		if rec := decodeLine(line); f.mayMatch(line) && f.isMatch(&rec) {
			if len(result.Records) >= limit {
				break
			}
			result.Records = append(result.Records, rec)
		}
		result.Next = line.Place
	}
	return result, nil
}

// KindDamaged is the kind of a record that cannot be read.
const KindDamaged idp.AuditKind = "(damaged)"

func decodeLine(line idp.AuditLine) (rec idp.AuditRecord) {
	if err := json.Unmarshal(line.JSON, &rec); err != nil {
		rec = idp.AuditRecord{AuditEvent: idp.AuditEvent{Kind: KindDamaged, Outcome: "unreadable"}}
	}
	rec.Seq = line.Place
	rec.IPAddress, _, _ = ParseAddress(line.IPAddress)
	return rec
}
