package idp

import (
	"context"
	"io"
)

// Snapshot is the store at one moment. The store keeps all that it holds until Close, so Close it
// soon. It is not safe for concurrent use.
type Snapshot interface {
	// Info describes it.
	Info() SnapshotInfo
	// Documents is that of DocumentStore.
	Documents(ctx context.Context, kind string, q DocumentQuery) ([]Document, error)
	// MAC is that of Sealer, with the keys that are in the snapshot.
	MAC(context string, data []byte) []byte
	// WriteTo writes a file that opens as a store. Every call writes the same bytes.
	WriteTo(w io.Writer) (int64, error)
	// Close may be called more than once.
	Close() error
}

// SnapshotInfo describes a Snapshot.
type SnapshotInfo struct {
	// Schema is the version of the store's layout.
	Schema int
	// Size is the length of what WriteTo writes.
	Size int64
	// Head is the end of the audit trail.
	Head AuditHead
	// MasterKeys are the IDs of the master keys each of which opens it.
	MasterKeys []string
}
