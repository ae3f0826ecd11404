package bolt

import (
	"bytes"
	"context"
	"errors"

	"vernal/idp"
)

// AddUser adds one person without NameIDs.
func AddUser(ctx context.Context, s *Store, u *idp.User) error {
	outcome, err := s.ImportUsers(ctx, []idp.ImportedUser{{User: u}})
	return errors.Join(append(outcome, err)...)
}

// EndSession ends one session.
func EndSession(ctx context.Context, s *Store, id idp.SessionID) error {
	_, err := s.EndSessions(ctx, idp.SessionEnd{IDs: []idp.SessionID{id}})
	return err
}

// GuardedBuckets returns the buckets whose values have a MAC.
func GuardedBuckets() (names []string) {
	for b := range bucketCount {
		if b.isGuarded() {
			names = append(names, b.String())
		}
	}
	return names
}

// CheckPages checks the structure of a file.
func CheckPages(data []byte) error {
	c := &fileChecker{file: bytes.NewReader(data), size: int64(len(data))}
	return c.checkPages()
}
