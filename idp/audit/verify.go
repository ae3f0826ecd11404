package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"vernal/idp"
)

// Progress is the progress of a verification. The zero value is the beginning. Each call of
// Verify continues it, until Done.
type Progress struct {
	Started bool `json:"started"`
	// Seq and Hash are those of the last verified record.
	Seq  uint64 `json:"seq"`
	Hash string `json:"hash"`
	// Records is the number of records verified so far.
	Records uint64 `json:"records"`
	// Total is the number of records that the trail has had, including pruned ones.
	Total uint64 `json:"total"`
	Done  bool   `json:"done"`
	// Broken is the first fault, or nil if none was found so far.
	Broken *BrokenError `json:"broken,omitempty"`
	// Checkpoint is the beginning of the trail, or nil if it begins with record 1.
	Checkpoint *idp.AuditCheckpoint `json:"checkpoint,omitempty"`
	// Leftover counts records that were exported and whose pruning was interrupted.
	Leftover uint64 `json:"leftover,omitempty"`
	// Compared reports whether the record to compare with was reached.
	Compared bool `json:"compared"`
}

// Verify continues from p until the end of the trail, or until budget is used up.
// reference is a place recorded outside the store, or nil. The trail must contain it.
//
// An error means that the trail could not be read. A break in the trail is reported in
// Broken. Records that are added meanwhile are verified too. Each page is read
// in a transaction of its own.
func (s *Service) Verify(ctx context.Context, p Progress, reference *Place, budget time.Duration) (Progress, error) {
	if p.Seq == 0 {
		p.Started = false // no record is verified yet
	}
	for startedAt := time.Now(); !p.Done && (!p.Started || time.Since(startedAt) < budget); { // real time, because it bounds work
		page, err := s.Store.AuditPage(ctx, idp.AuditQuery{After: p.Seq, Limit: pageSize})
		if err != nil {
			return p, fmt.Errorf("read the audit trail: %w", err)
		}
		p.Total = page.Head.Seq
		err = s.verifyPage(&p, page, reference)
		if err == nil && len(page.Lines) < pageSize {
			p.Done = true
			err = compareHead(&p, page, reference)
		}
		if brokenErr, ok := errors.AsType[*BrokenError](err); ok {
			p.Done, p.Broken = true, brokenErr
		} else if err != nil {
			return p, err
		}
	}
	return p, nil
}

func (s *Service) verifyPage(p *Progress, page *idp.AuditPage, reference *Place) error {
	if err := s.findBeginning(p, page); err != nil {
		return err
	}
	place := Place{Seq: p.Seq, Hash: p.Hash}
	hasAddress := false
	for _, line := range page.Lines {
		next, err := place.Next(line)
		if err != nil {
			return err
		}
		place = next
		p.Seq, p.Hash = place.Seq, place.Hash
		p.Records++
		if c := p.Checkpoint; c != nil && place.Seq <= c.Seq {
			p.Leftover++
			if place.Seq == c.Seq && place.Hash != c.Hash {
				return newBrokenError(place.Seq, "differs from the exported one")
			}
		}
		if reference != nil && place.Seq == reference.Seq {
			p.Compared = true
			if place.Hash != reference.Hash {
				return newBrokenError(place.Seq, "differs from the recorded one: this record or an earlier one was replaced")
			}
		}
		// IP addresses are deleted in the order of their records, so none can be missing between
		// two that are present.
		if line.IPAddress != nil {
			hasAddress = true
		} else if l, _ := ReadLine(line); hasAddress && l.AddressSum != "" {
			return newBrokenError(place.Seq, "has lost its IP address too early")
		}
	}
	if page.HasStrayIPAddress {
		return newBrokenError(place.Seq, "or an earlier record is followed by an IP address that belongs to no record")
	}
	return nil
}

// findBeginning finds the beginning of the trail: record 1, or a checkpoint of ours.
func (s *Service) findBeginning(p *Progress, page *idp.AuditPage) error {
	if p.Started {
		return nil
	}
	p.Started = true
	c := page.Checkpoint
	if c == nil {
		return nil
	}
	if err := s.Check(*c); err != nil {
		return newBrokenError(c.Seq, "begins the trail, but its checkpoint was changed: "+err.Error())
	}
	p.Checkpoint = c
	p.Seq, p.Hash = c.Seq, c.Hash
	// Records before the checkpoint were exported. If their pruning was interrupted, the
	// remaining records must still lead up to the checkpoint.
	if len(page.Lines) > 0 && page.Lines[0].Place <= c.Seq && page.Lines[0].Place > 0 {
		l, _ := ReadLine(page.Lines[0])
		p.Seq, p.Hash = page.Lines[0].Place-1, l.Prev
	}
	if p.Seq == 0 {
		p.Hash = ""
	}
	return nil
}

// compareHead compares the last record with the store's head of the whole trail.
func compareHead(p *Progress, page *idp.AuditPage, reference *Place) error {
	head := page.Head
	switch {
	case !page.IsHeadAuthentic:
		return newBrokenError(p.Seq, "is the last, but the head of the trail was changed")
	case head.Seq > p.Seq:
		return newBrokenError(p.Seq+1, fmt.Sprintf("was cut off, and all later ones: %d records were written", head.Seq))
	case head.Seq < p.Seq:
		return newBrokenError(head.Seq+1, "was not written by Vernal: the trail ended before it")
	case head.Hash != cmp.Or(p.Hash, FirstPrev):
		return newBrokenError(p.Seq, "differs from the written one: the trail was replaced")
	case page.RecordCount != p.Seq:
		return newBrokenError(p.Seq, fmt.Sprintf("is the last, but the store has counted %d", page.RecordCount))
	case reference != nil && reference.Seq > p.Seq:
		return newBrokenError(p.Seq+1, fmt.Sprintf("was cut off, or an older store was restored: record %d is known", reference.Seq))
	}
	if c := p.Checkpoint; reference != nil && c != nil && reference.Seq == c.Seq {
		p.Compared = true
		if reference.Hash != c.Hash {
			return newBrokenError(c.Seq, "differs from the recorded one")
		}
	}
	return nil
}

func newBrokenError(seq uint64, problem string) error {
	return &BrokenError{Seq: seq, Problem: problem}
}
