package doctor

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"vernal/idp"
)

// storeBatch is how many records are examined in one read of the store. A long read would keep
// the pages in use that changes replace.
const storeBatch = 500

func listStoreChecks() []Check {
	return []Check{
		{
			Name: "store", Codes: []Code{StoreDamaged, StoreTampered, StoreLarge},
			Configured: func(s *Service) bool { return s.Store != nil }, Run: (*Service).checkStore,
		},
		{Name: "store_writes", Codes: []Code{StoreNotWritten}, Run: (*Service).checkWrites},
	}
}

// checkWrites asks the store whether it can write changes to the disk.
func (s *Service) checkWrites(ctx context.Context, _ Options) ([]Finding, error) {
	err := s.Installation.Store.CheckWrites(ctx)
	if errors.Is(err, idp.ErrNotWritten) {
		return []Finding{{Code: StoreNotWritten, Level: Problem, Args: Args{Path: s.Settings.StoreFile, Value: formatError(err)}}}, nil
	}
	return nil, err
}

// checkStore examines the next records of the store, so that several runs see all of them.
func (s *Service) checkStore(ctx context.Context, _ Options) (findings []Finding, err error) {
	info, err := os.Stat(s.Settings.StoreFile)
	if err != nil {
		return nil, err
	}
	if info.Size() > s.limits.storeBytes {
		findings = append(findings, Finding{Code: StoreLarge, Level: Information,
			Args: Args{Path: s.Settings.StoreFile, Megabytes: int(info.Size() >> 20)}})
	}
	tamperedBuckets, err := s.examineStore(ctx)
	if len(tamperedBuckets) > 0 {
		findings = append(findings, Finding{Code: StoreTampered, Level: Problem,
			Args: Args{Count: len(tamperedBuckets), Value: joinSorted(tamperedBuckets)}})
	}
	if errors.Is(err, idp.ErrDamaged) {
		findings = append(findings, Finding{Code: StoreDamaged, Level: Problem,
			Args: Args{Path: s.Settings.StoreFile, Value: formatError(err)}})
		err = nil
	}
	return findings, err
}

// pass is one pass through the store, over several runs.
type pass struct {
	next idp.StorePlace
	// tamperedBuckets has the buckets of the records that are not authentic, lastTamperedBuckets those of
	// the pass before, which must not be forgotten while other records are examined.
	tamperedBuckets, lastTamperedBuckets []string
}

// examineStore continues the pass, and returns the buckets of the known tampered records.
func (s *Service) examineStore(ctx context.Context) (tamperedBuckets []string, err error) {
	s.mu.Lock()
	p := s.pass
	s.mu.Unlock()
	for n := 0; n < s.limits.records && err == nil; {
		var examination idp.StoreExamination
		examination, err = s.Store.Examine(ctx, p.next, storeBatch)
		p.tamperedBuckets = append(slices.Clip(p.tamperedBuckets), examination.Tampered...)
		n, p.next = n+examination.Records, examination.Next
		if err == nil && p.next.IsZero() {
			p.lastTamperedBuckets, p.tamperedBuckets = p.tamperedBuckets, nil
			break
		}
	}
	s.mu.Lock()
	s.pass = p
	s.mu.Unlock()
	if len(p.lastTamperedBuckets) > len(p.tamperedBuckets) {
		return p.lastTamperedBuckets, err
	}
	return p.tamperedBuckets, err
}

// joinSorted lists different names in order.
func joinSorted(names []string) string {
	names = slices.Clone(names)
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}
