package account

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/seal"
	"vernal/idp/store/bolt"
)

var errKilled = errors.New("the process was killed")

// killStore is a store whose process is killed at a write, just before or just after it is durable.
// Nothing reaches the store after that.
type killStore struct {
	Store
	left     int // writes before the kill
	isAfter  bool
	isKilled bool
}

// killWrite makes a write unless the process was killed.
func killWrite[T any](s *killStore, write func() (T, error)) (T, error) {
	var none T
	if s.isKilled {
		return none, errKilled
	}
	s.left--
	if s.left >= 0 {
		return write()
	}
	s.isKilled = true
	if s.isAfter {
		_, _ = write()
	}
	return none, errKilled
}

// killRead reads unless the process was killed.
func killRead[T any](s *killStore, read func() (T, error)) (T, error) {
	if s.isKilled {
		var none T
		return none, errKilled
	}
	return read()
}

func (s *killStore) User(ctx context.Context, id idp.UserID) (*idp.User, error) {
	return killRead(s, func() (*idp.User, error) { return s.Store.User(ctx, id) })
}

func (s *killStore) UserByEmail(ctx context.Context, address string) (*idp.User, error) {
	return killRead(s, func() (*idp.User, error) { return s.Store.UserByEmail(ctx, address) })
}

func (s *killStore) Documents(ctx context.Context, kind string, q idp.DocumentQuery) ([]idp.Document, error) {
	return killRead(s, func() ([]idp.Document, error) { return s.Store.Documents(ctx, kind, q) })
}

func (s *killStore) UpdateDocuments(ctx context.Context, kind string, keys []string, change func(*idp.Document) error, events ...idp.AuditEvent) error {
	_, err := killWrite(s, func() (any, error) { return nil, s.Store.UpdateDocuments(ctx, kind, keys, change, events...) })
	return err
}

func (s *killStore) ImportUsers(ctx context.Context, users []idp.ImportedUser) ([]error, error) {
	return killWrite(s, func() ([]error, error) { return s.Store.ImportUsers(ctx, users) })
}

func (s *killStore) UpdateUser(ctx context.Context, id idp.UserID, change func(*idp.User) error, events ...idp.AuditEvent) error {
	_, err := killWrite(s, func() (any, error) { return nil, s.Store.UpdateUser(ctx, id, change, events...) })
	return err
}

func (s *killStore) SetProfile(ctx context.Context, id idp.UserID, p *idp.Profile, at time.Time, events ...idp.AuditEvent) error {
	_, err := killWrite(s, func() (any, error) { return nil, s.Store.SetProfile(ctx, id, p, at, events...) })
	return err
}

func (s *killStore) DeleteUser(ctx context.Context, id idp.UserID, events ...idp.AuditEvent) error {
	_, err := killWrite(s, func() (any, error) { return nil, s.Store.DeleteUser(ctx, id, events...) })
	return err
}

func (s *killStore) EndSessions(ctx context.Context, e idp.SessionEnd, events ...idp.AuditEvent) (int, error) {
	return killWrite(s, func() (int, error) { return s.Store.EndSessions(ctx, e, events...) })
}

func (s *killStore) AppendAudit(ctx context.Context, events ...idp.AuditEvent) error {
	_, err := killWrite(s, func() (any, error) { return nil, s.Store.AppendAudit(ctx, events...) })
	return err
}

// killState is what must be that before or after a change, however the change ended. It leaves out
// random values.
type killState struct {
	Exists, HasPassword, HasNewPassword, IsLocked, IsPaused bool
	TOTPs, Devices, Browsers, Codes, Reserved               int
	LastStep                                                int64
	Emails                                                  []idp.Email
	Events                                                  map[idp.AuditKind]int
}

// killCase is an operation on the account of a user, and what the user has before it.
type killCase struct {
	name    string
	prepare func(h *house, u *idp.User)
	// run makes the change. It must be repeatable after it was killed, or return an error that is not
	// errKilled.
	run func(h *house, u *idp.User) error
	// isSignIn is set if the record of the change is that of the session that follows.
	isSignIn bool
}

// killCode is a recovery code of the user.
var killCode = newRecoveryCode()

// killPrepared sets up recovery codes, a device, a browser and an email address that was disclosed.
func killPrepared(h *house, u *idp.User) {
	h.signInWith(u.ID, "known")
	err := h.store.UpdateUser(h.t.Context(), u.ID, func(u *idp.User) error {
		u.Emails = append(u.Emails, idp.Email{Address: "told@example.gov", ConfirmedAt: h.now, DisclosedTo: []idp.EntityID{"sp"}})
		u.Devices = []idp.RememberedDevice{{Hash: []byte("device"), At: h.now}}
		u.RecoveryCodes, u.ProofingPausedAt = &idp.RecoveryCodes{Salt: []byte("salt"), Iterations: 1}, h.now
		hash, err := hashRecoveryCode(u.RecoveryCodes, killCode)
		u.RecoveryCodes.Hashes = [][]byte{hash, []byte("another code")}
		return err
	})
	sess := &idp.Session{ID: "session", User: u.ID, CreatedAt: h.now, SeenAt: h.now, ExpiresAt: h.now.Add(time.Hour)}
	if err = errors.Join(err, h.store.StartSession(h.t.Context(), idp.SessionStart{Session: sess})); err != nil {
		h.t.Fatal(err)
	}
}

var killCases = []killCase{
	{"register", func(h *house, u *idp.User) {
		if err := h.Delete(h.t.Context(), alice, actor); err != nil {
			h.t.Fatal(err)
		}
	}, func(h *house, _ *idp.User) error {
		_, _, err := h.Create(h.t.Context(), NewUser{Email: alice, Password: password, TOTP: true}, actor)
		if errors.Is(err, idp.ErrExists) {
			return nil // registered by the killed process
		}
		return err
	}, false},
	{"sign in with a code", killPrepared, func(h *house, u *idp.User) error {
		b := BrowserUse{NewHash: []byte("new")}
		err := h.CompleteTOTP(h.t.Context(), u.ID, h.code(u.ID, 1), home, SignIn{EmailMark: h.EmailMark(u.ID, alice), Browser: &b})
		if errors.Is(err, ErrReplayed) {
			return nil
		}
		return err
	}, true},
	{"sign in with a remembered device", killPrepared, func(h *house, u *idp.User) error {
		_, err := h.UseDevice(h.t.Context(), u.ID, []byte("device"), SignIn{Browser: &BrowserUse{Hashes: toHashes("new"), NewHash: []byte("new")}})
		return err
	}, true},
	{"set the first factor up", func(h *house, u *idp.User) {
		killPrepared(h, u)
		err := h.store.UpdateUser(h.t.Context(), u.ID, func(u *idp.User) error { u.TOTPs, u.RecoveryCodes = nil, nil; return nil })
		if err != nil {
			h.t.Fatal(err)
		}
	}, func(h *house, u *idp.User) error {
		code, err := ComputeCode(idp.TOTP{Secret: h.firstSecret(u.ID, "session"), Period: 30}, h.now)
		if err != nil {
			return err
		}
		f := FirstFactor{User: u.ID, SignIn: "session", PasswordProvedAt: h.now, Code: code, From: home, Browser: &BrowserUse{NewHash: []byte("new")}}
		if err = h.AddFirstTOTP(h.t.Context(), f, idp.AuditEvent{}); errors.Is(err, ErrOutdated) {
			return nil
		}
		return err
	}, false},
	{"use a recovery code", killPrepared, func(h *house, u *idp.User) error {
		err := h.UseRecoveryCode(h.t.Context(), u.ID, formatRecoveryCode(killCode), home, SignIn{Browser: &BrowserUse{NewHash: []byte("new")}}, idp.AuditEvent{})
		if errors.Is(err, ErrWrong) {
			return nil // used by the killed process
		}
		return err
	}, false},
	{"add a factor", killPrepared, func(h *house, u *idp.User) error {
		current, err := h.store.User(h.t.Context(), u.ID)
		if err != nil || len(current.TOTPs) > 1 {
			return err
		}
		_, err = h.AddTOTP(h.t.Context(), alice, NewTOTP{Name: "second"}, actor)
		return err
	}, false},
	{"remove the factors", killPrepared, func(h *house, u *idp.User) error {
		_, err := h.ResetMFA(h.t.Context(), alice, actor)
		return err
	}, false},
	{"set a password", killPrepared, func(h *house, u *idp.User) error {
		_, err := h.SetPassword(h.t.Context(), alice, "another otter mends ten kettles", actor)
		return err
	}, false},
	{"lock", killPrepared, func(h *house, u *idp.User) error {
		_, err := h.Lock(h.t.Context(), alice, "lost", actor)
		return err
	}, false},
	{"delete", killPrepared, func(h *house, u *idp.User) error {
		if err := h.Delete(h.t.Context(), alice, actor); !errors.Is(err, idp.ErrNotFound) {
			return err
		}
		return nil
	}, false},
}

// TestKilledChangeIsWholeOrAbsent kills the process at every write of every change of an account, before
// and after the write is durable, and starts it again. The account is as before or as after the
// change, and repeating the change completes it.
func TestKilledChangeIsWholeOrAbsent(t *testing.T) {
	t.Parallel()
	for _, tt := range killCases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for writes := 0; ; writes++ {
				for _, isAfter := range []bool{false, true} {
					if isDone := runKilled(t, tt, writes, isAfter); isDone {
						if writes == 0 {
							t.Error("the change writes nothing")
						}
						return
					}
				}
			}
		})
	}
}

// runKilled makes a change and kills it at a write. It reports whether the change ended first.
func runKilled(t *testing.T, tt killCase, writes int, isAfter bool) (isDone bool) {
	t.Helper()
	h := newHouse(t)
	u := h.create()
	tt.prepare(h, u)
	h.pass(time.Minute)
	before := h.readState(u.ID)
	kill := &killStore{Store: h.store, left: writes, isAfter: isAfter}
	h.Store = kill
	err := tt.run(h, u)
	isDone = !kill.isKilled
	if isDone && err != nil || !isDone && !errors.Is(err, errKilled) {
		t.Fatalf("killed %v at write %d: %v", kill.isKilled, writes, err)
	}
	h.restart()
	killed := h.readState(u.ID)
	if err := tt.run(h, u); err != nil {
		t.Errorf("write %d, after it: %v; repeated: %v", writes, isAfter, err)
	}
	after := h.readState(u.ID)
	isBefore, isSame := cmp.Diff(before, killed) == "", cmp.Diff(withoutEvents(after), withoutEvents(killed)) == ""
	if !isBefore && !isSame {
		t.Errorf("write %d, after it: %v: the account is neither before nor after the change (-after +killed):\n%s", writes, isAfter, cmp.Diff(after, killed))
	}
	hasChanged := cmp.Diff(withoutEvents(before), withoutEvents(killed)) != ""
	if hasChanged && cmp.Diff(before.Events, killed.Events) == "" && !tt.isSignIn {
		t.Errorf("write %d, after it: %v: the change has no record", writes, isAfter)
	}
	return isDone
}

func withoutEvents(s killState) killState {
	s.Events = nil
	return s
}

// restart opens the store again, as the next process does.
func (h *house) restart() {
	h.t.Helper()
	master, err := seal.NewMaster(make([]byte, seal.MasterSize))
	if err = errors.Join(err, h.store.Close()); err != nil {
		h.t.Fatal(err)
	}
	h.store, err = bolt.Open(h.path, bolt.Options{Masters: seal.NewMasters(master), Clock: h.clock, MustExist: true})
	if err != nil {
		h.t.Fatal(err)
	}
	s := h.store
	h.t.Cleanup(func() { _ = s.Close() })
	h.Service = &Service{Store: h.store, Sealer: h.store.Ring(), Clock: h.clock, Hasher: NewHasher(cheap), Log: slog.New(slog.DiscardHandler)}
}

// readState reads the account of a user. A user who registers again has another ID.
func (h *house) readState(id idp.UserID) (s killState) {
	h.t.Helper()
	s.Events = map[idp.AuditKind]int{}
	for _, rec := range h.audit() {
		s.Events[rec.Kind]++
	}
	u, err := h.store.User(h.t.Context(), id)
	if errors.Is(err, idp.ErrNotFound) {
		u, err = h.store.UserByEmail(h.t.Context(), alice)
	}
	if errors.Is(err, idp.ErrNotFound) {
		return s
	}
	if err != nil {
		h.t.Fatal(fmt.Errorf("read the user: %w", err))
	}
	s.Exists, s.HasPassword, s.IsLocked, s.IsPaused = true, u.PasswordHash != "", u.IsLocked(), !u.ProofingPausedAt.IsZero()
	s.HasNewPassword = u.PasswordChangedAt.After(u.CreatedAt)
	s.TOTPs, s.Devices, s.Browsers, s.Reserved, s.Emails = len(u.TOTPs), len(u.Devices), len(u.Browsers), len(u.ReservedEmails), u.Emails
	if u.RecoveryCodes != nil {
		s.Codes = len(u.RecoveryCodes.Hashes)
	}
	if len(u.TOTPs) > 0 {
		s.LastStep = u.TOTPs[0].LastStep
	}
	if byEmail, err := h.store.UserByEmail(h.t.Context(), u.PrimaryEmail()); err != nil || byEmail.ID != u.ID {
		h.t.Errorf("the user is not found by email address: %v", err)
	}
	return s
}
