package idp

import (
	"context"
	"io"
)

// Snapshot is the store at one moment. The store keeps the snapshot's data until Close, so call
// Close soon. It is not safe for concurrent use.
type Snapshot interface {
	// Info describes the snapshot.
	Info() SnapshotInfo
	// Documents works like DocumentStore.Documents.
	Documents(ctx context.Context, kind string, q DocumentQuery) ([]Document, error)
	// MAC works like Sealer.MAC, with the keys that are in the snapshot.
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
	// Size is the number of bytes that WriteTo writes.
	Size int64
	// Head is the end of the audit trail.
	Head AuditHead
	// MasterKeys are the IDs of the master keys. Each of them opens the snapshot.
	MasterKeys []string
}
