package account

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"vernal/idp"
)

const newPassword = "violets under the rain"

func (h *house) reset(user idp.UserID, stamp string) error {
	return h.ResetPassword(h.t.Context(), user, stamp, newPassword, idp.AuditEvent{Actor: "user:" + string(user)})
}

func TestResetPasswordEndsSessionsAndDevices(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx, u := t.Context(), h.create()
	if _, err := h.ReplaceRecoveryCodes(ctx, u.ID, idp.AuditEvent{Actor: actor}); err != nil {
		t.Fatal(err)
	}
	if err := h.store.UpdateUser(ctx, u.ID, func(u *idp.User) error {
		u.RememberDevice(idp.RememberedDevice{Hash: []byte("hash"), At: h.clock()})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	h.session(u.ID, "one")
	if err := h.reset(u.ID, u.LinkStamp()); err != nil { // at the time of the first password
		t.Fatal(err)
	}
	got := h.user(u.ID)
	if got.LinkStamp() == u.LinkStamp() || len(got.Devices) != 0 || len(got.TOTPs) != 1 || got.RecoveryCodes == nil || !got.ProofingPausedAt.IsZero() {
		t.Errorf("user %+v", got)
	}
	if left, err := h.store.Sessions(ctx, idp.SessionQuery{User: u.ID}); err != nil || len(left) != 0 {
		t.Errorf("sessions %v, %v", left, err)
	}
	if _, err := h.CheckPassword(ctx, alice, newPassword, home); err != nil {
		t.Error(err)
	}
	_, err := h.CheckPassword(ctx, alice, password, home)
	check(t, err, ErrWrong)
	if n := len(h.records(u.ID, idp.AuditUserResetPassword)); n != 1 {
		t.Errorf("%d records", n)
	}
}

// A link that was mailed before the last password, for another user or for a deleted one changes
// nothing.
func TestResetPasswordNeedsCurrentStamp(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx, u := t.Context(), h.create()
	h.session(u.ID, "one")
	check(t, h.reset(u.ID, "other"), ErrLinkVoid)
	check(t, h.reset("unknown", u.LinkStamp()), ErrLinkVoid)
	if left, err := h.store.Sessions(ctx, idp.SessionQuery{User: u.ID}); err != nil || len(left) != 1 {
		t.Errorf("sessions %v, %v", left, err)
	}
	err := h.ResetPassword(ctx, u.ID, u.LinkStamp(), "short", idp.AuditEvent{Actor: actor})
	if _, ok := errors.AsType[*InputError](err); !ok || h.user(u.ID).LinkStamp() != u.LinkStamp() {
		t.Errorf("a short password: %v", err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range 4 {
		wg.Go(func() {
			err := h.reset(u.ID, u.LinkStamp())
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				done++
			} else if !errors.Is(err, ErrLinkVoid) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if done != 1 {
		t.Errorf("%d resets by one link", done)
	}
	for range 2 { // also with a clock that stands still
		stamp := h.user(u.ID).LinkStamp()
		if _, err := h.SetPassword(ctx, alice, password, actor); err != nil {
			t.Fatal(err)
		}
		check(t, h.reset(u.ID, stamp), ErrLinkVoid)
	}
}

// A reset discloses nothing about a lock, and does not end it.
func TestResetPasswordOfLockedUser(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx, u := t.Context(), h.create()
	if _, err := h.Lock(ctx, alice, "", actor); err != nil {
		t.Fatal(err)
	}
	if err := h.reset(u.ID, u.LinkStamp()); err != nil {
		t.Fatal(err)
	}
	_, err := h.CheckPassword(ctx, alice, newPassword, home)
	check(t, err, ErrLocked)
}

// A proofed identity is paused by a reset, until a recovery code or a new proof.
func TestResetPausesProofing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx, u := t.Context(), h.create()
	profile := idp.Profile{Level: idp.IALVerified, VerifiedAt: h.clock(), FirstName: "Ada", LastName: "Roe"}
	verify := func() {
		t.Helper()
		p := profile
		if _, err := h.Verify(ctx, alice, &p, false, actor); err != nil {
			t.Fatal(err)
		}
	}
	isActive := func(want bool) {
		t.Helper()
		if got := h.user(u.ID); got.Proofing == nil || (got.ActiveProofing() != nil) != want {
			t.Errorf("paused at %s, proofing %v", got.ProofingPausedAt, got.Proofing)
		}
	}
	verify()
	isActive(true)
	if err := h.reset(u.ID, h.user(u.ID).LinkStamp()); err != nil {
		t.Fatal(err)
	}
	isActive(false)
	verify() // with the same values
	isActive(true)
	if r := h.records(u.ID, idp.AuditUserVerify); len(r) != 2 || r[1].Detail["fields"] == "" {
		t.Errorf("records %+v", r)
	}
	codes, err := h.ReplaceRecoveryCodes(ctx, u.ID, idp.AuditEvent{Actor: actor})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.reset(u.ID, h.user(u.ID).LinkStamp()); err != nil {
		t.Fatal(err)
	}
	isActive(false)
	if err := h.UseRecoveryCode(ctx, u.ID, codes[0], home, SignIn{}, idp.AuditEvent{Actor: actor}); err != nil {
		t.Fatal(err)
	}
	isActive(true)
}

func TestRecoveryCodeWorksOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx, u := t.Context(), h.create()
	event := idp.AuditEvent{Actor: "user:" + string(u.ID)}
	first, err := h.ReplaceRecoveryCodes(ctx, u.ID, event)
	if err != nil || len(first) != RecoveryCodeCount {
		t.Fatalf("%d codes, %v", len(first), err)
	}
	second, err := h.ReplaceRecoveryCodes(ctx, u.ID, event)
	if err != nil {
		t.Fatal(err)
	}
	use := func(code string) error { return h.UseRecoveryCode(ctx, u.ID, code, home, SignIn{}, event) }
	check(t, use(first[0]), ErrWrong)
	for i, typed := range []string{
		second[0], strings.ToLower(second[1]), strings.ReplaceAll(second[2], "-", " "),
		strings.NewReplacer("0", "o", "1", "l", "-", "").Replace(second[3]),
	} {
		if err := use(typed); err != nil {
			t.Errorf("%d: %v", i, err)
		}
		check(t, use(typed), ErrWrong)
	}
	if got := len(h.user(u.ID).RecoveryCodes.Hashes); got != RecoveryCodeCount-4 {
		t.Errorf("%d codes left", got)
	}
	if n := len(h.records(u.ID, idp.AuditUserUseRecoveryCode)); n != 4 {
		t.Errorf("%d records", n)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	used := 0
	for range 4 {
		wg.Go(func() {
			if err := use(second[5]); err == nil {
				mu.Lock()
				defer mu.Unlock()
				used++
			} else if !errors.Is(err, ErrWrong) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if used != 1 {
		t.Errorf("used %d times", used)
	}
	if _, err := h.Lock(ctx, alice, "", actor); err != nil {
		t.Fatal(err)
	}
	check(t, use(second[6]), ErrLocked)
	check(t, h.UseRecoveryCode(ctx, "unknown", second[6], home, SignIn{}, event), ErrWrong)
}

// Guesses count like those of codes, on the same counter. A slip does not count. A user without
// recovery codes gets the same answers after the same number of changes.
func TestRecoveryCodeGuessesCount(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx, u := t.Context(), h.create()
	without, _, err := h.Create(ctx, NewUser{Email: "bob@example.gov", Password: password, TOTP: true}, actor)
	if err != nil {
		t.Fatal(err)
	}
	codes, err := h.ReplaceRecoveryCodes(ctx, u.ID, idp.AuditEvent{Actor: actor})
	if err != nil {
		t.Fatal(err)
	}
	changes := map[idp.UserID]uint64{}
	for _, id := range []idp.UserID{u.ID, without.ID} {
		before := h.store.Changes()
		use := func(code string) error {
			return h.UseRecoveryCode(ctx, id, code, home, SignIn{}, idp.AuditEvent{Actor: actor})
		}
		for range 30 {
			check(t, use("123456"), ErrWrong)
			check(t, use("8F3K-22XM-PQ7U"), ErrWrong) // no letter U
			check(t, use(strings.Repeat("0", 1<<16)), ErrWrong)
		}
		limit := DefaultLimits().Code.Max
		for n := range limit {
			if n%2 == 0 {
				check(t, use("8F3K-22XM-PQ7D"), ErrWrong)
			} else {
				check(t, h.CheckTOTP(ctx, id, "000000", home), ErrWrong)
			}
		}
		if _, ok := errors.AsType[*ThrottledError](use(codes[0])); !ok {
			t.Error("not throttled")
		}
		changes[id] = h.store.Changes() - before
		h.pass(25 * time.Hour)
	}
	if changes[u.ID] != changes[without.ID] {
		t.Errorf("%d changes with codes, %d without", changes[u.ID], changes[without.ID])
	}
	if got := len(h.user(u.ID).RecoveryCodes.Hashes); got != RecoveryCodeCount {
		t.Errorf("%d codes left", got)
	}
}
