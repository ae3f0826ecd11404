package bolt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"vernal/idp"
	"vernal/idp/seal"
)

// snapshot is a read transaction and the pages in use in it.
type snapshot struct {
	*reader
	info idp.SnapshotInfo
	// usedPages has a bit for each page. Pages in use do not change while the transaction lasts.
	// Free pages may change at any time, and still hold records that were deleted.
	usedPages   []uint64
	isClosed bool
}

// Snapshot begins to copy the store as it is now. Changes go on meanwhile, but the pages that
// they free are not used again before the snapshot is closed.
func (s *Store) Snapshot(ctx context.Context) (idp.Snapshot, error) {
	if err := s.checkAvailable(ctx); err != nil {
		return nil, err
	}
	snap, err := s.beginSnapshot()
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return nil, errClosed
	}
	if err != nil {
		return nil, fmt.Errorf("read the store: %w", err)
	}
	if err := snap.describe(); err != nil {
		return nil, errors.Join(fmt.Errorf("read the store: %w", err), snap.Close())
	}
	return snap, nil
}

// beginSnapshot holds the lock for changes while it lists the free pages, because only a
// transaction that may write can read that list. It takes some milliseconds for each GB.
func (s *Store) beginSnapshot() (*snapshot, error) {
	lock, err := s.db.Begin(true)
	if err != nil {
		return nil, err
	}
	defer lock.Rollback()
	used, err := findUsedPages(lock)
	if err != nil {
		return nil, err
	}
	tx, err := s.db.Begin(false)
	if err != nil {
		return nil, err
	}
	return &snapshot{reader: s.newReader(tx), usedPages: used}, nil
}

// findUsedPages returns a bit for each page that the last commit uses.
func findUsedPages(tx *bbolt.Tx) ([]uint64, error) {
	pages := int(tx.Size() / pageSize)
	used := make([]uint64, (pages+63)/64)
	for id := 0; id < pages; {
		info, err := tx.Page(id)
		if err != nil {
			return nil, err
		}
		if info == nil {
			break
		}
		if info.Type == "free" {
			id++
			continue
		}
		for end := id + 1 + info.OverflowCount; id < end && id < pages; id++ {
			used[id/64] |= 1 << (id % 64)
		}
	}
	return used, nil
}

// describe reads the values that Info returns.
func (s *snapshot) describe() error {
	head, authentic := s.readHead()
	if !authentic {
		head = idp.AuditHead{}
		if end, err := s.lastRecord(); err == nil {
			head.Seq, head.Hash = end.Seq, end.HashOrFirst()
		}
	}
	c, err := s.readMasterChange()
	if err != nil {
		return err
	}
	keys := []string{s.store.masters.Configured().ID()}
	switch {
	case c == nil:
	case c.Phase == seal.PhaseBegin:
		keys = []string{c.OldID}
	case c.Phase == seal.PhaseBoth:
		keys = []string{c.OldID, c.NewID}
	default:
		keys = []string{c.KeptID}
	}
	s.info = idp.SnapshotInfo{Schema: schema, Size: s.tx.Size(), Head: head, MasterKeys: keys}
	return nil
}

func (s *snapshot) Info() idp.SnapshotInfo {
	info := s.info
	info.MasterKeys = slices.Clone(info.MasterKeys)
	return info
}

func (s *snapshot) Documents(_ context.Context, kind string, q idp.DocumentQuery) ([]idp.Document, error) {
	return s.readDocuments(kind, q)
}

func (s *snapshot) MAC(context string, data []byte) []byte { return s.ring.MAC(context, data) }

func (s *snapshot) WriteTo(w io.Writer) (int64, error) {
	if s.isClosed {
		return 0, berrors.ErrTxClosed
	}
	m := &maskWriter{w: w, usedPages: s.usedPages}
	if _, err := s.tx.WriteTo(m); err != nil {
		return m.writtenBytes, err
	}
	return m.writtenBytes, nil
}

func (s *snapshot) Close() error {
	if s.isClosed {
		return nil
	}
	s.isClosed = true
	return s.tx.Rollback()
}

// maskWriter writes zeros in the place of free pages.
type maskWriter struct {
	w       io.Writer
	usedPages    []uint64
	writtenBytes int64
}

var zeroPage [pageSize]byte

func (m *maskWriter) Write(p []byte) (n int, err error) {
	for n < len(p) {
		id := int(m.writtenBytes / pageSize)
		part := p[n:]
		part = part[:min(len(part), pageSize-int(m.writtenBytes%pageSize))]
		if m.usedPages[id/64]&(1<<(id%64)) == 0 {
			part = zeroPage[:len(part)]
		}
		k, err := m.w.Write(part)
		n += k
		m.writtenBytes += int64(k)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
