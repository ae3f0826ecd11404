package account

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/seal"
	"vernal/idp/store/bolt"
)

const (
	alice    = "alice@example.gov"
	password = "tulips in the snow"
	actor    = "cli:uid=1000(ops)"
)

var home = netip.MustParseAddr("192.0.2.1")

// cheap hashes are for tests that do not test their cost.
var cheap = Cost{Memory: 64, Time: 1, Threads: 1, Iterations: 1000, Slots: 4}

// house is a Service on a real store, with a clock that tests set.
type house struct {
	*Service
	t     *testing.T
	store *bolt.Store

	mu   sync.Mutex
	now  time.Time
	path string // of the store
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, now: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)}
	master, err := seal.NewMaster(make([]byte, seal.MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	h.path = filepath.Join(t.TempDir(), "vernal.db")
	h.store, err = bolt.Open(h.path, bolt.Options{Masters: seal.NewMasters(master), Clock: h.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.store.Close() })
	h.Service = &Service{
		Store: h.store, Sealer: h.store.Ring(), Clock: h.clock,
		Hasher: NewHasher(cheap), Log: slog.New(slog.DiscardHandler),
	}
	return h
}

func (h *house) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// create adds alice with an authenticator.
func (h *house) create() *idp.User {
	h.t.Helper()
	u, _, err := h.Create(h.t.Context(), NewUser{Email: alice, Password: password, TOTP: true}, actor)
	if err != nil {
		h.t.Fatal(err)
	}
	return u
}

func (h *house) user(id idp.UserID) *idp.User {
	h.t.Helper()
	u, err := h.store.User(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return u
}

// profile returns the user's profile, nil without one, and checks that the user's record
// agrees.
func (h *house) profile(id idp.UserID) *idp.Profile {
	h.t.Helper()
	p, err := h.store.Profile(h.t.Context(), id)
	if err != nil && !errors.Is(err, idp.ErrNotFound) {
		h.t.Fatal(err)
	}
	if diff := cmp.Diff(p.Proofing(), h.user(id).Proofing); diff != "" {
		h.t.Errorf("the record (-profile +record):\n%s", diff)
	}
	return p
}

// session stores a session of the user.
func (h *house) session(user idp.UserID, name string) {
	h.t.Helper()
	err := h.store.StartSession(h.t.Context(), idp.SessionStart{Session: &idp.Session{
		ID: idp.HashSessionToken(name), User: user,
		CreatedAt: h.clock(), SeenAt: h.clock(), ExpiresAt: h.clock().Add(time.Hour),
	}})
	if err != nil {
		h.t.Fatal(err)
	}
}

// audited lists the kinds of audit records about the user, oldest first, and fails if one of
// them contains forbidden data.
func (h *house) audited(user idp.UserID) (kinds []string) {
	h.t.Helper()
	records, err := audit.Records(h.t.Context(), h.store, 0, 1000)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, r := range records {
		if r.User != user {
			continue
		}
		kinds = append(kinds, string(r.Kind))
		if r.Outcome != "ok" || r.Actor != actor || len(r.Detail) > 0 {
			h.t.Errorf("audit record %+v", r)
		}
	}
	return kinds
}

func TestCreateStoresUserAndRefusesDuplicate(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u, enrolment, err := h.Create(t.Context(), NewUser{Email: " Alice@Example.GOV ", Password: password}, actor)
	if err != nil {
		t.Fatal(err)
	}
	if enrolment != nil || len(u.TOTPs) > 0 {
		t.Error("an authenticator that was not requested")
	}
	stored := h.user(u.ID)
	if diff := cmp.Diff(u, stored); diff != "" {
		t.Errorf("stored record differs (-returned +stored):\n%s", diff)
	}
	if stored.PrimaryEmail() != "Alice@example.gov" || !stored.Emails[0].ConfirmedAt.Equal(h.clock()) {
		t.Errorf("address = %+v", stored.Emails[0])
	}
	if strings.Contains(stored.PasswordHash, password) || !strings.HasPrefix(stored.PasswordHash, "$argon2id$v=19$m=64,t=1,p=1$") {
		t.Errorf("password hash = %s", stored.PasswordHash)
	}
	if diff := cmp.Diff([]string{"user.add"}, h.audited(u.ID)); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
	if _, _, err := h.Create(t.Context(), NewUser{Email: "ALICE@example.gov", Password: password}, actor); !errors.Is(err, idp.ErrExists) {
		t.Errorf("second person with the address: %v, want ErrExists", err)
	}
}

func TestCreateNamesFaultyField(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	tests := []struct {
		name           string
		new            NewUser
		field, problem string
	}{
		{"no address", NewUser{Password: password}, "email", "invalid"},
		{"short password", NewUser{Email: alice, Password: "short"}, "password", "too_short"},
		{"secret not base32", NewUser{Email: alice, Password: password, TOTPSecret: "0189"}, "totp_secret", "invalid"},
		{"secret too short", NewUser{Email: alice, Password: password, TOTPSecret: "JBSWY3DP"}, "totp_secret", "invalid"},
		{"secret too long", NewUser{Email: alice, Password: password, TOTPSecret: strings.Repeat(secret, 4)}, "totp_secret", "invalid"},
		{"period", NewUser{Email: alice, Password: password, TOTPSecret: secret, TOTPPeriod: 45}, "totp_period", "invalid"},
		{"negative period", NewUser{Email: alice, Password: password, TOTP: true, TOTPPeriod: -30}, "totp_period", "invalid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := h.Create(t.Context(), tt.new, actor)
			input, ok := errors.AsType[*InputError](err)
			if !ok || input.Field != tt.field || input.Problem != tt.problem {
				t.Errorf("Create = %v, want %s %s", err, tt.field, tt.problem)
			}
			if tt.new.TOTPSecret != "" && strings.Contains(err.Error(), tt.new.TOTPSecret) {
				t.Errorf("error quotes the secret: %v", err)
			}
		})
	}
}

// Every change that removes a way to sign in ends the sessions, is audited, and applies to the
// next sign-in.
func TestCredentialChangesEndSessions(t *testing.T) {
	t.Parallel()
	const fresh = "crocus under the ice"
	tests := []struct {
		name   string
		change func(context.Context, *Service) (int, error)
		kind   string
		check  func(*testing.T, *house, idp.UserID)
	}{
		{"set password", func(ctx context.Context, s *Service) (int, error) { return s.SetPassword(ctx, alice, fresh, actor) },
			"user.set_password", func(t *testing.T, h *house, _ idp.UserID) {
				if _, err := h.CheckPassword(t.Context(), alice, password, home); !errors.Is(err, ErrWrong) {
					t.Errorf("old password: %v", err)
				}
				if _, err := h.CheckPassword(t.Context(), alice, fresh, home); err != nil {
					t.Errorf("new password: %v", err)
				}
			}},
		{"lock", func(ctx context.Context, s *Service) (int, error) { return s.Lock(ctx, alice, "left", actor) },
			"user.lock", func(t *testing.T, h *house, id idp.UserID) {
				if _, err := h.CheckPassword(t.Context(), alice, password, home); !errors.Is(err, ErrLocked) {
					t.Errorf("right password: %v", err)
				}
				if u := h.user(id); u.LockReason != "left" || !u.LockedAt.Equal(h.clock()) {
					t.Errorf("lock = %v %q", u.LockedAt, u.LockReason)
				}
			}},
		{"reset factors", func(ctx context.Context, s *Service) (int, error) { return s.ResetMFA(ctx, alice, actor) },
			"user.reset_mfa", func(t *testing.T, h *house, id idp.UserID) {
				if err := h.CheckTOTP(t.Context(), id, "123456", home); !errors.Is(err, ErrNoFactor) {
					t.Errorf("code: %v", err)
				}
			}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			u := h.create()
			h.session(u.ID, "a")
			h.session(u.ID, "b")
			h.session("somebody-else", "c")
			h.pass(time.Hour)
			n, err := tt.change(t.Context(), h.Service)
			if n != 2 || err != nil {
				t.Fatalf("ended %d sessions, %v; want 2", n, err)
			}
			if left, err := h.store.Sessions(t.Context(), idp.SessionQuery{User: u.ID}); err != nil || len(left) > 0 {
				t.Errorf("sessions left: %d, %v", len(left), err)
			}
			if left, err := h.store.Sessions(t.Context(), idp.SessionQuery{User: "somebody-else"}); err != nil || len(left) != 1 {
				t.Errorf("sessions of another user: %d, %v", len(left), err)
			}
			if diff := cmp.Diff([]string{"user.add", tt.kind}, h.audited(u.ID)); diff != "" {
				t.Errorf("audit (-want +got):\n%s", diff)
			}
			if !h.user(u.ID).UpdatedAt.Equal(h.clock()) {
				t.Error("UpdatedAt was not set")
			}
			tt.check(t, h, u.ID)
		})
	}
}

func TestDeleteEndsSessionsAndSignIn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.create()
	h.session(u.ID, "a")
	if err := h.Delete(t.Context(), "ALICE@EXAMPLE.GOV", actor); err != nil {
		t.Fatal(err)
	}
	if _, err := h.store.User(t.Context(), u.ID); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("User = %v, want ErrNotFound", err)
	}
	if left, err := h.store.Sessions(t.Context(), idp.SessionQuery{User: u.ID}); err != nil || len(left) > 0 {
		t.Errorf("sessions left: %d, %v", len(left), err)
	}
	if diff := cmp.Diff([]string{"user.add", "user.delete"}, h.audited(u.ID)); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
	if _, err := h.CheckPassword(t.Context(), alice, password, home); !errors.Is(err, ErrWrong) {
		t.Errorf("sign-in: %v, want ErrWrong", err)
	}
	if err := h.CheckTOTP(t.Context(), u.ID, "123456", home); !errors.Is(err, ErrWrong) {
		t.Errorf("code: %v, want ErrWrong", err)
	}
}

func TestUnlockAllowsSignInAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.create()
	if _, err := h.Lock(t.Context(), alice, "left", actor); err != nil {
		t.Fatal(err)
	}
	if err := h.Unlock(t.Context(), alice, actor); err != nil {
		t.Fatal(err)
	}
	if got := h.user(u.ID); got.IsLocked() || got.LockReason != "" {
		t.Errorf("still locked: %v %q", got.LockedAt, got.LockReason)
	}
	if _, err := h.CheckPassword(t.Context(), alice, password, home); err != nil {
		t.Errorf("sign-in: %v", err)
	}
}

func TestChangesOfUnknownUserAreNotFound(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	_, err1 := h.SetPassword(ctx, alice, password, actor)
	_, err2 := h.Lock(ctx, alice, "", actor)
	_, err3 := h.ResetMFA(ctx, alice, actor)
	_, err4 := h.AddTOTP(ctx, alice, NewTOTP{}, actor)
	for i, err := range []error{err1, err2, err3, err4, h.Unlock(ctx, alice, actor), h.Delete(ctx, alice, actor)} {
		if !errors.Is(err, idp.ErrNotFound) {
			t.Errorf("call %d: %v, want ErrNotFound", i+1, err)
		}
	}
}
