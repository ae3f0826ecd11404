package idptest

import (
	"context"
	"errors"
	"sync"
	"time"

	"vernal/idp"
)

// ErrKilled is the error of every write after the process was killed.
var ErrKilled = errors.New("the process was killed")

// Killer kills the process of an identity provider at a write: nothing is durable after that. The test
// calls Stop and Start afterwards. Its Wrap is for Options.WrapStore, together with WrapsServices.
type Killer struct {
	idp.OwnedStore
	mu       sync.Mutex
	left     int // writes before the kill; negative: never
	isAfter  bool
	isKilled bool
}

// NewKiller returns a Killer that kills nothing before Arm.
func NewKiller() *Killer { return &Killer{left: -1} }

// Wrap wraps the store of a process that starts, which is not killed.
func (k *Killer) Wrap(s idp.OwnedStore) idp.OwnedStore {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.OwnedStore, k.left, k.isKilled = s, -1, false
	return k
}

// Arm makes the write after the given number of writes the last thing that happens: it becomes durable
// if isAfter is true.
func (k *Killer) Arm(writes int, isAfter bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.left, k.isAfter, k.isKilled = writes, isAfter, false
}

// Disarm reports whether the process was killed, and kills nothing more.
func (k *Killer) Disarm() (wasKilled bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.left = -1
	return k.isKilled
}

// makeWrite makes a write unless the process was killed.
func makeWrite[T any](k *Killer, write func() (T, error)) (T, error) {
	k.mu.Lock()
	var none T
	switch {
	case k.isKilled:
		k.mu.Unlock()
		return none, ErrKilled
	case k.left != 0:
		k.left = max(k.left-1, -1)
		k.mu.Unlock()
		return write()
	}
	k.isKilled = true
	isAfter := k.isAfter
	k.mu.Unlock()
	if isAfter {
		_, _ = write()
	}
	return none, ErrKilled
}

func (k *Killer) makeChange(write func() error) error {
	_, err := makeWrite(k, func() (struct{}, error) { return struct{}{}, write() })
	return err
}

// ImportUsers implements idp.Store, and so do the methods below.
func (k *Killer) ImportUsers(ctx context.Context, users []idp.ImportedUser) ([]error, error) {
	return makeWrite(k, func() ([]error, error) { return k.OwnedStore.ImportUsers(ctx, users) })
}

func (k *Killer) UpdateUser(ctx context.Context, id idp.UserID, change func(*idp.User) error, events ...idp.AuditEvent) error {
	return k.makeChange(func() error { return k.OwnedStore.UpdateUser(ctx, id, change, events...) })
}

func (k *Killer) SetProfile(ctx context.Context, id idp.UserID, p *idp.Profile, at time.Time, events ...idp.AuditEvent) error {
	return k.makeChange(func() error { return k.OwnedStore.SetProfile(ctx, id, p, at, events...) })
}

func (k *Killer) DeleteUser(ctx context.Context, id idp.UserID, events ...idp.AuditEvent) error {
	return k.makeChange(func() error { return k.OwnedStore.DeleteUser(ctx, id, events...) })
}

func (k *Killer) StartSession(ctx context.Context, b idp.SessionStart, events ...idp.AuditEvent) error {
	return k.makeChange(func() error { return k.OwnedStore.StartSession(ctx, b, events...) })
}

func (k *Killer) UpdateSession(ctx context.Context, id idp.SessionID, change func(*idp.Session) error, events ...idp.AuditEvent) error {
	return k.makeChange(func() error { return k.OwnedStore.UpdateSession(ctx, id, change, events...) })
}

func (k *Killer) EndSessions(ctx context.Context, e idp.SessionEnd, events ...idp.AuditEvent) (int, error) {
	return makeWrite(k, func() (int, error) { return k.OwnedStore.EndSessions(ctx, e, events...) })
}

func (k *Killer) CreateLoginRequest(ctx context.Context, r *idp.LoginRequest, events ...idp.AuditEvent) error {
	return k.makeChange(func() error { return k.OwnedStore.CreateLoginRequest(ctx, r, events...) })
}

func (k *Killer) AnswerLoginRequest(ctx context.Context, r *idp.LoginRequest, at time.Time, check idp.Check, events ...idp.AuditEvent) error {
	return k.makeChange(func() error { return k.OwnedStore.AnswerLoginRequest(ctx, r, at, check, events...) })
}

func (k *Killer) RecordIssuance(ctx context.Context, i *idp.Issuance) (idp.IssuedIDs, error) {
	return makeWrite(k, func() (idp.IssuedIDs, error) { return k.OwnedStore.RecordIssuance(ctx, i) })
}

func (k *Killer) UpdateDocuments(ctx context.Context, kind string, keys []string, change func(*idp.Document) error, events ...idp.AuditEvent) error {
	return k.makeChange(func() error { return k.OwnedStore.UpdateDocuments(ctx, kind, keys, change, events...) })
}

func (k *Killer) AppendAudit(ctx context.Context, events ...idp.AuditEvent) error {
	return k.makeChange(func() error { return k.OwnedStore.AppendAudit(ctx, events...) })
}
