package backup

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"vernal/idp"
)

// Kinds of documents in the store.
const (
	RecordKind       = "backup"
	InstallationKind = "installation"
)

// The keys of the only documents of their kinds.
const (
	recordKey       = "attempts"
	installationKey = "id"
)

// Record is an attempt to make a backup.
type Record struct {
	At time.Time `json:"at"`
	// File is the path of the backup, "-" for standard output.
	File string `json:"file"`
	// Automatic says that the server made it, not a command.
	Automatic bool `json:"automatic,omitempty"`
	// MasterKeys are the IDs of the master keys that open it. Any one of them is enough.
	MasterKeys []string `json:"master_keys,omitempty"`
	Bytes      int64    `json:"bytes,omitempty"`
	// SHA256 is the digest of the file in hexadecimal digits.
	SHA256 string `json:"sha256,omitempty"`
	// Error is the cause of the failure, "" for a success.
	Error string `json:"error,omitempty"`
}

// attempts are the recorded attempts, oldest first.
type attempts struct {
	List []Record `json:"list"`
}

// maxRecords bounds the recorded attempts.
const maxRecords = 100

// add adds a record. The newest successful one always stays.
func (a *attempts) add(r Record) {
	a.List = append(a.List, r)
	if len(a.List) <= maxRecords {
		return
	}
	drop := 0
	if a.List[0].Error == "" && a.findLastSuccess() == &a.List[0] {
		drop = 1
	}
	a.List = append(a.List[:drop], a.List[drop+1:]...)
}

func (a *attempts) findLastSuccess() *Record {
	for i := len(a.List) - 1; i >= 0; i-- {
		if a.List[i].Error == "" {
			return &a.List[i]
		}
	}
	return nil
}

func openAttempts(s idp.DocumentStore, clock idp.Clock) idp.Records[attempts] {
	return idp.Records[attempts]{Store: s, Kind: RecordKind, Clock: clock}
}

// Records returns the last attempts, oldest first.
func Records(ctx context.Context, s idp.DocumentStore) ([]Record, error) {
	a, err := openAttempts(s, time.Now).Get(ctx, recordKey)
	if errors.Is(err, idp.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the recorded backups: %w", err)
	}
	return a.List, nil
}

// identity is the document of InstallationKind.
type identity struct {
	ID string `json:"id"`
}

func openIdentities(s idp.DocumentStore) idp.Records[identity] {
	return idp.Records[identity]{Store: s, Kind: InstallationKind, Clock: time.Now}
}

// ReadInstallationID returns the ID of the installation, or idp.ErrNotFound.
func ReadInstallationID(ctx context.Context, s idp.DocumentStore) (string, error) {
	record, err := openIdentities(s).Get(ctx, installationKey)
	if err != nil {
		return "", fmt.Errorf("read the installation ID: %w", err)
	}
	return record.ID, nil
}

// EnsureInstallationID returns the random ID of the installation: 128 bits in hexadecimal digits. It
// makes a missing one.
func EnsureInstallationID(ctx context.Context, s idp.DocumentStore) (string, error) {
	id, err := ReadInstallationID(ctx, s)
	if !errors.Is(err, idp.ErrNotFound) {
		return id, err
	}
	raw := make([]byte, 16)
	rand.Read(raw)
	id = hex.EncodeToString(raw)
	err = openIdentities(s).Update(ctx, []string{installationKey}, func(r *idp.Record[identity]) error {
		if r.Value == nil {
			r.Value = &identity{ID: id}
		}
		id = r.Value.ID
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("record the installation ID: %w", err)
	}
	return id, nil
}
