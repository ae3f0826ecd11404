package account

import (
	"crypto/fips140"
	"encoding/base32"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"vernal/idp"
)

// The last six of the eight digits in RFC 6238, appendix B.
func TestCodeAt(t *testing.T) {
	t.Parallel()
	key := idp.TOTP{Secret: []byte("12345678901234567890"), Period: 30}
	for unix, want := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		if got, err := ComputeCode(key, time.Unix(unix, 0)); got != want || err != nil {
			t.Errorf("at %d: %s, %v; want %s", unix, got, err, want)
		}
	}
}

// code returns what the user's authenticator shows, offset steps from now.
func (h *house) code(id idp.UserID, offset int) string {
	h.t.Helper()
	key := h.user(id).TOTPs[0]
	code, err := ComputeCode(key, h.clock().Add(time.Duration(offset*key.Period)*time.Second))
	if err != nil {
		h.t.Fatal(err)
	}
	return code
}

func TestCheckTOTPDrift(t *testing.T) {
	t.Parallel()
	for _, period := range []int{30, 60} {
		for offset := -3; offset <= 3; offset++ {
			t.Run(fmt.Sprintf("period %d, %+d steps", period, offset), func(t *testing.T) {
				t.Parallel()
				h := newHouse(t)
				u, _, err := h.Create(t.Context(), NewUser{Email: alice, Password: password, TOTP: true, TOTPPeriod: period}, actor)
				if err != nil {
					t.Fatal(err)
				}
				want := error(nil)
				if offset < -1 || offset > 1 {
					want = ErrWrong
				}
				if err := h.CheckTOTP(t.Context(), u.ID, h.code(u.ID, offset), home); !errors.Is(err, want) {
					t.Errorf("error = %v, want %v", err, want)
				}
			})
		}
	}
}

func TestCheckTOTPForms(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		form func(code string) string
		ok   bool
	}{
		{"as shown", func(c string) string { return c }, true},
		{"in two groups", func(c string) string { return " " + c[:3] + " " + c[3:] + "\n" }, true},
		{"five digits", func(c string) string { return c[:5] }, false},
		{"seven digits", func(c string) string { return c + "0" }, false},
		{"empty", func(string) string { return "" }, false},
		{"letters", func(string) string { return "abcdef" }, false},
		{"other digits", func(string) string { return "١٢٣٤٥٦" }, false},
		{"huge", func(c string) string { return strings.Repeat(c, 1<<16) }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			u := h.create()
			err := h.CheckTOTP(t.Context(), u.ID, tt.form(h.code(u.ID, 0)), home)
			if tt.ok && err != nil || !tt.ok && !errors.Is(err, ErrWrong) {
				t.Errorf("error = %v, want ok %v", err, tt.ok)
			}
		})
	}
}

// A step is accepted once, and none before it afterwards.
func TestCheckTOTPReplay(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.create()
	before, now, after := h.code(u.ID, -1), h.code(u.ID, 0), h.code(u.ID, 1)
	for _, s := range []struct {
		name string
		code string
		want error
	}{
		{"this step", now, nil},
		{"this step again", now, ErrWrong},
		{"the step before", before, ErrWrong},
		{"the step after", after, nil},
		{"the step after again", after, ErrWrong},
		{"this step once more", now, ErrWrong},
	} {
		if err := h.CheckTOTP(t.Context(), u.ID, s.code, home); !errors.Is(err, s.want) {
			t.Errorf("%s: %v, want %v", s.name, err, s.want)
		}
	}
	h.pass(30 * time.Second)
	if err := h.CheckTOTP(t.Context(), u.ID, after, home); !errors.Is(err, ErrWrong) {
		t.Errorf("the code of this step, used while it was the next: %v", err)
	}
	h.pass(30 * time.Second)
	if err := h.CheckTOTP(t.Context(), u.ID, h.code(u.ID, 0), home); err != nil {
		t.Errorf("a new step: %v", err)
	}
}

// Of two simultaneous requests with one code, one succeeds.
func TestCheckTOTPRace(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.create()
	code := h.code(u.ID, 0)
	var in atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			switch err := h.CheckTOTP(t.Context(), u.ID, code, home); {
			case err == nil:
				in.Add(1)
			case !errors.Is(err, ErrWrong):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if in.Load() != 1 {
		t.Errorf("the code was accepted %d times", in.Load())
	}
}

func TestCheckTOTPThrottle(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.create()
	// Codes that are no code of a step near now.
	var wrong []string
	for i := 0; len(wrong) < 10; i++ {
		c := fmt.Sprintf("%06d", i)
		if !slices.Contains([]string{h.code(u.ID, -1), h.code(u.ID, 0), h.code(u.ID, 1)}, c) {
			wrong = append(wrong, c)
		}
	}
	for i, c := range wrong {
		from := netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}) // separate networks, which must not help
		if err := h.CheckTOTP(t.Context(), u.ID, c, from); !errors.Is(err, ErrWrong) {
			t.Fatalf("guess %d: %v", i+1, err)
		}
	}
	err := h.CheckTOTP(t.Context(), u.ID, h.code(u.ID, 0), home)
	limited, ok := errors.AsType[*ThrottledError](err)
	if !ok || limited.RetryAfter != 10*time.Minute || limited.Limit != "code" {
		t.Fatalf("the right code after ten wrong ones: %v", err)
	}
	h.pass(10 * time.Minute)
	if err := h.CheckTOTP(t.Context(), u.ID, h.code(u.ID, 0), home); err != nil {
		t.Errorf("ten minutes later: %v", err)
	}
	for i, c := range wrong[:9] {
		if err := h.CheckTOTP(t.Context(), u.ID, c, netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})); !errors.Is(err, ErrWrong) {
			t.Errorf("the right code did not make the failures good: %v", err)
		}
	}
}

func TestCheckTOTPLocked(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.create()
	if _, err := h.Lock(t.Context(), alice, "", actor); err != nil {
		t.Fatal(err)
	}
	if err := h.CheckTOTP(t.Context(), u.ID, h.code(u.ID, 0), home); !errors.Is(err, ErrLocked) {
		t.Errorf("error = %v, want ErrLocked", err)
	}
}

func TestAddTOTP(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.create()
	if _, err := h.AddTOTP(t.Context(), alice, NewTOTP{Name: "token", Period: 60}, actor); err != nil {
		t.Fatal(err)
	}
	got := h.user(u.ID)
	if len(got.TOTPs) != 2 || got.TOTPs[1].Name != "token" || got.TOTPs[1].Period != 60 {
		t.Fatalf("authenticators = %+v", got.TOTPs)
	}
	// Either one signs in, and each has its own steps.
	for i, key := range got.TOTPs {
		code, err := ComputeCode(key, h.clock())
		if err != nil {
			t.Fatal(err)
		}
		if err := h.CheckTOTP(t.Context(), u.ID, code, home); err != nil {
			t.Errorf("authenticator %d: %v", i+1, err)
		}
	}
	_, err := h.AddTOTP(t.Context(), alice, NewTOTP{}, actor)
	if input, ok := errors.AsType[*InputError](err); !ok || input.Problem != "too_many" {
		t.Errorf("a third one: %v", err)
	}
	if diff := cmp.Diff([]string{"user.add", "user.add_totp"}, h.audited(u.ID)); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
}

// Check returns in advance what AddTOTP returns.
func TestNewTOTPCheck(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		given NewTOTP
		field string // of the error; "" for none
	}{
		{"random", NewTOTP{}, ""},
		{"given", NewTOTP{Secret: "jbsw y3dp ehpk 3pxp jbsw y3dp ehpk 3pxp", Period: 60}, ""},
		{"not base32", NewTOTP{Secret: "BAD1"}, "totp_secret"},
		{"80 bits, as many tokens have", NewTOTP{Secret: "JBSWY3DPEHPK3PXP"}, ""},
		{"short", NewTOTP{Secret: "JBSWY3DP"}, "totp_secret"},
		{"period", NewTOTP{Period: 45}, "totp_period"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.create()
			_, added := h.AddTOTP(t.Context(), alice, tt.given, actor)
			for _, err := range []error{tt.given.Check(), added} {
				if input, ok := errors.AsType[*InputError](err); ok != (tt.field != "") || ok && input.Field != tt.field {
					t.Errorf("error = %v, want one of %q", err, tt.field)
				}
			}
		})
	}
}

// Authenticators of other vendors can read the enrolment.
func TestEnrolmentURLIsReadByAuthenticators(t *testing.T) {
	t.Parallel()
	const given = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	tests := []struct {
		name, issuer string
		new          NewUser
		secret       string // "" for a random one
		period       uint64
	}{
		{"random", "", NewUser{TOTP: true}, "", 30},
		{"period of 60", "", NewUser{TOTP: true, TOTPPeriod: 60}, "", 60},
		{"given", "Agency of Spring & Sons", NewUser{TOTPSecret: given}, given, 30},
		{"given, as people type it", "", NewUser{TOTPSecret: "jbsw y3dp ehpk 3pxp jbsw y3dp ehpk 3pxp="}, given, 30},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.Issuer = tt.issuer
			tt.new.Email, tt.new.Password = "alice+spring@example.gov", password
			u, e, err := h.Create(t.Context(), tt.new, actor)
			if err != nil {
				t.Fatal(err)
			}
			key, err := otp.NewKeyFromURL(e.URL)
			if err != nil {
				t.Fatal(err)
			}
			issuer := tt.issuer
			if issuer == "" {
				issuer = "Vernal"
			}
			if key.Type() != "totp" || key.Issuer() != issuer || key.AccountName() != "alice+spring@example.gov" ||
				key.Period() != tt.period || key.Secret() != e.Secret || key.Digits() != otp.DigitsSix || key.Algorithm() != otp.AlgorithmSHA1 {
				t.Errorf("URL = %s", e.URL)
			}
			if u, _ := url.Parse(e.URL); strings.Contains(u.RawQuery, "+") {
				t.Errorf("query has a +, which some authenticators show: %s", u.RawQuery)
			}
			raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(e.Secret)
			if err != nil || len(raw) != 20 || tt.secret != "" && e.Secret != tt.secret {
				t.Errorf("secret of %d bytes, %v", len(raw), err)
			}
			var code string
			fips140.WithoutEnforcement(func() { // our FIPS rules do not apply to an authenticator
				code, err = totp.GenerateCodeCustom(e.Secret, h.clock(), totp.ValidateOpts{Period: uint(tt.period), Digits: otp.DigitsSix})
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := h.CheckTOTP(t.Context(), u.ID, code, home); err != nil {
				t.Errorf("the code of an authenticator that read the URL: %v", err)
			}
		})
	}
}
