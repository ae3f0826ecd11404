package admin_test

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/board"
	"vernal/idp/notice"
	"vernal/idp/rotation"
	"vernal/idp/seal"
	"vernal/idp/sp"
	"vernal/metadata"
)

// withRotation gives the service a rotation whose first year is 2031.
func withRotation(t *testing.T, s *admin.Service, store idp.Store) {
	t.Helper()
	key, err := seal.NewMaster(make([]byte, seal.MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	s.Rotation = &rotation.Service{
		Store: store, Dir: certs.OpenDir(filepath.Join(t.TempDir(), "keys"), seal.NewMasters(key)), Ring: s.Ring,
		Policy: certs.DefaultPolicy(), BaseURL: "https://idp.example.gov", Clock: s.Clock, Log: s.Log,
	}
	if err := s.Rotation.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Board = &board.Service{Store: store, Registry: s.Registry, Years: s.Ring, Clock: s.Clock, Log: s.Log}
	s.Rotation.Users = s.Board.Users
	s.Notices = &notice.Service{
		Store: store, Board: s.Board, Rotation: s.Rotation, Years: s.Ring, Clock: s.Clock, Log: s.Log,
		IdP: metadata.IdP{BaseURL: "https://idp.example.gov"}, Name: "Vernal",
	}
}

// TestRotation walks through steps: each is on record under the caller's name,
// and a dry run answers the same and leaves no trace.
func TestRotation(t *testing.T) {
	t.Parallel()
	s, store := newService(t)
	withRotation(t, s, store)
	c := admin.InProcess(s, admin.Caller{UID: s.Owner, Name: "ops"})
	before := auditKinds(t, store)
	dry := admin.StepRequest{Step: certs.StepRevoke, Year: "2031", Reason: "leaked", DryRun: true}
	foretold, err := c.RotationStep(t.Context(), dry)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, auditKinds(t, store)); diff != "" {
		t.Errorf("the dry run is on record (-want +got):\n%s", diff)
	}
	if st, err := c.RotationStatus(t.Context()); err != nil || st.Preferred != "2031" {
		t.Errorf("%s is preferred after a dry run: %v", st.Preferred, err)
	}
	dry.DryRun = false
	done, err := c.RotationStep(t.Context(), dry)
	if err != nil {
		t.Fatal(err)
	}
	want := []admin.YearChange{
		{Year: "2031", From: certs.Preferred, To: certs.Revoked},
		{Year: "2031b", From: certs.Planned, To: certs.Preferred},
	}
	if diff := cmp.Diff(want, done.Changed); diff != "" {
		t.Errorf("revoke (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, foretold.Changed); diff != "" {
		t.Errorf("its dry run (-want +got):\n%s", diff)
	}
	after := append(before, "rotation.create "+admin.Caller{UID: s.Owner, Name: "ops"}.Actor(),
		"rotation.revoke "+admin.Caller{UID: s.Owner, Name: "ops"}.Actor())
	if diff := cmp.Diff(after, auditKinds(t, store)); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
	next, err := c.RotationStep(t.Context(), admin.StepRequest{Step: certs.StepCreate, Year: "2032", DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	// A year that is over is not told of again.
	same := []admin.YearChange{{Year: "2031b", From: certs.Preferred, To: certs.Preferred}}
	if diff := cmp.Diff(same, next.Unchanged); diff != "" {
		t.Errorf("unchanged (-want +got):\n%s", diff)
	}
	if st, err := c.RotationStatus(t.Context()); err != nil || st.Preferred != "2031b" || !st.Automatic {
		t.Errorf("after revoke: %+v, %v", st, err)
	}
}

// auditKinds are the kinds and actors of all that is on record.
func auditKinds(t *testing.T, store idp.Store) (kinds []string) {
	t.Helper()
	records, err := store.AuditRecords(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		kinds = append(kinds, string(r.Kind)+" "+r.Actor)
	}
	return kinds
}

// TestRotationRefused asks for what is not done: the answer says why and, where
// something would, what helps. Nothing is written.
func TestRotationRefused(t *testing.T) {
	t.Parallel()
	s, store := newService(t)
	withRotation(t, s, store)
	c := admin.InProcess(s, admin.Self())
	before := auditKinds(t, store)
	tests := []struct {
		name string
		req  admin.StepRequest
		code admin.Code
		want string
	}{
		{"unknown step", admin.StepRequest{Step: "sell", Year: "2031"}, admin.CodeInvalid, `no step "sell"`},
		{"destroy is no command", admin.StepRequest{Step: certs.StepDestroy, Year: "2031"}, admin.CodeInvalid, `no step "destroy"`},
		{"import is no command here", admin.StepRequest{Step: certs.StepImport, Year: "2032"}, admin.CodeInvalid, `no step "import"`},
		{"no year", admin.StepRequest{Step: certs.StepCreate}, admin.CodeInvalid, `"" is not a year`},
		{"a path for a year", admin.StepRequest{Step: certs.StepCreate, Year: "../2032"}, admin.CodeInvalid, "is not a year"},
		{"a year for resume", admin.StepRequest{Step: certs.StepResume, Year: "2031"}, admin.CodeInvalid, "names no year"},
		{"rollback without a reason", admin.StepRequest{Step: certs.StepRollback}, admin.CodeInvalid, "needs a reason"},
		{"a long reason", admin.StepRequest{Step: certs.StepRollback, Reason: strings.Repeat("x", 501)}, admin.CodeInvalid, "longer than 500"},
		{"create what is there", admin.StepRequest{Step: certs.StepCreate, Year: "2031"}, admin.CodeRefused, "vernal rotation create 2031b"},
		{"create what is over", admin.StepRequest{Step: certs.StepCreate, Year: "2030"}, admin.CodeRefused, "vernal rotation create 2031b"},
		{"publish nothing", admin.StepRequest{Step: certs.StepPublish, Year: "2032"}, admin.CodeRefused, "vernal rotation create 2032"},
		{"prefer it again", admin.StepRequest{Step: certs.StepPrefer, Year: "2031"}, admin.CodeRefused, "it is preferred already"},
		{"retire the preferred", admin.StepRequest{Step: certs.StepRetire, Year: "2031", Force: true, Reason: "x"}, admin.CodeRefused, "prefer a newer year first"},
		{"and destroy its key", admin.StepRequest{Step: certs.StepRetire, Year: "2031", DestroyNow: true}, admin.CodeRefused, "never retired"},
		{"roll back to nothing", admin.StepRequest{Step: certs.StepRollback, Reason: "x"}, admin.CodeRefused, "no older year is live"},
		{"revoke without a reason", admin.StepRequest{Step: certs.StepRevoke, Year: "2031"}, admin.CodeRefused, "it needs a reason"},
		{"revoke nothing", admin.StepRequest{Step: certs.StepRevoke, Year: "2032", Reason: "x"}, admin.CodeRefused, "vernal rotation status"},
		{"a clock that is right", admin.StepRequest{Step: certs.StepConfirm}, admin.CodeRefused, "the clock is trusted"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, tt.req.DryRun = range []bool{true, false} {
				_, err := c.RotationStep(t.Context(), tt.req)
				var e *admin.Error
				if !errors.As(err, &e) || e.Code != tt.code || !strings.Contains(e.Message, tt.want) {
					t.Errorf("dry run %v: %v, want %s with %q", tt.req.DryRun, err, tt.code, tt.want)
				}
			}
		})
	}
	if diff := cmp.Diff(before, auditKinds(t, store)); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
	for _, years := range []int{-1, 0, admin.MaxPlanYears + 1} {
		if _, err := c.RotationPlan(t.Context(), years); err == nil {
			t.Errorf("a plan of %d years is made", years)
		}
	}
}

// TestRotationRequestCert tells of a request certificate that has ended.
func TestRotationRequestCert(t *testing.T) {
	t.Parallel()
	s, store := newService(t)
	text, err := os.ReadFile("../../testdata/keys/sp1.crt")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	now := cert.NotAfter.Add(-time.Second)
	s.Clock = func() time.Time { return now }
	withRotation(t, s, store)
	c := admin.InProcess(s, admin.Self())
	_, err = c.AddSP(t.Context(), admin.SPChange{EntityID: "urn:one", Edit: sp.Edit{Set: map[string][]string{
		"acs_urls": {"https://sp.example.gov/acs"}, "certs": {string(text)},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	ended := func() (texts []string) {
		t.Helper()
		st, err := c.RotationStatus(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range st.Attention {
			if a.Code == certs.RequestCertEnded {
				texts = append(texts, a.Text)
			}
		}
		return texts
	}
	if got := ended(); got != nil {
		t.Errorf("a second before: %q", got)
	}
	now = cert.NotAfter
	want := []string{"a request certificate of urn:one ended on " + cert.NotAfter.UTC().Format(time.DateOnly)}
	if diff := cmp.Diff(want, ended()); diff != "" {
		t.Errorf("at its end (-want +got):\n%s", diff)
	}
}

// TestRotationUsers asks to retire a year that is used: the answer names who
// uses it, in words and for programs.
func TestRotationUsers(t *testing.T) {
	t.Parallel()
	s, store := newService(t)
	now := testClock()
	s.Clock = func() time.Time { return now }
	withRotation(t, s, store)
	c := admin.InProcess(s, admin.Self())
	step := func(kind certs.StepKind, y idp.Year) error {
		_, err := c.RotationStep(t.Context(), admin.StepRequest{Step: kind, Year: y})
		return err
	}
	for _, kind := range []certs.StepKind{certs.StepCreate, certs.StepPublish, certs.StepPrefer} {
		if err := step(kind, "2032"); err != nil {
			t.Fatal(err)
		}
	}
	_, err := c.AddSP(t.Context(), admin.SPChange{EntityID: "urn:one", Edit: sp.Edit{Set: map[string][]string{
		"acs_urls": {"https://sp.example.gov/acs"}, "sign_requests": {"optional"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	for range 130 {
		now = now.AddDate(0, 0, 1)
		if err := s.Rotation.Tick(t.Context(), 24*time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	s.Rotation.Used("2031", now)
	s.Board.Used(board.Use{SP: "urn:one", Year: "2031", At: now})
	var refused *admin.Error
	err = step(certs.StepRetire, "2031")
	if !errors.As(err, &refused) || refused.Code != admin.CodeRefused {
		t.Fatalf("retire: %v", err)
	}
	if diff := cmp.Diff([]idp.EntityID{"urn:one"}, refused.Users); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
	st, err := c.RotationStatus(t.Context())
	if err != nil || st.Board == nil || len(st.Board.SPs) != 1 || st.Board.SPs[0].Move != board.Unmoved {
		t.Errorf("the board in the answer: %+v, %v", st.Board, err)
	}
	plan, err := c.RotationPlan(t.Context(), 1)
	if err != nil || len(plan.Coming) == 0 {
		t.Errorf("plan: %+v, %v", plan, err)
	}
}
