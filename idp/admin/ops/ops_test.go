package ops_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/admin"
	"vernal/idp/admin/ops"
	"vernal/idp/audit"
	"vernal/idp/doctor"
	"vernal/idp/idptest/fixture"
	"vernal/idp/sp"
)

var testTime = time.Date(2031, 5, 17, 9, 30, 0, 0, time.UTC)

// newService returns a service on an installation of its own, whose rotation is not started.
func newService(t *testing.T) (*ops.Service, *fixture.Fixture) {
	t.Helper()
	f := fixture.New(t, testTime, nil)
	checks := doctor.New(f.Installation, doctor.Settings{DataDir: f.Folder, StoreFile: f.StoreFile(), KeysDir: f.KeysFolder()}, f.Bolt)
	return &ops.Service{Installation: f.Installation, Doctor: checks, AdminURL: "https://watch.example", Version: "v1", Address: "127.0.0.1:1"}, f
}

// overSocket serves the service on a socket in dir and gives a client of it.
func overSocket(t *testing.T, s *ops.Service, dir string) *admin.Client {
	t.Helper()
	l, err := admin.Listen(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Endpoint(os.Geteuid()).Serve(ctx, l) }()
	client := admin.NewSocketClient(dir)
	t.Cleanup(func() {
		client.Close()
		stop()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		if _, err := os.Lstat(filepath.Join(dir, admin.SocketName)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is still there: %v", err)
		}
	})
	return client
}

// TestSocketAndProcessAnswerAlike runs the commands over a socket and in the process, and
// checks that the answers are the same.
func TestSocketAndProcessAnswerAlike(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		client func(*testing.T, *ops.Service) *admin.Client
	}{
		{"over the socket", func(t *testing.T, s *ops.Service) *admin.Client { return overSocket(t, s, t.TempDir()) }},
		{"in the process", func(_ *testing.T, s *ops.Service) *admin.Client {
			return admin.NewProcessClient(s.Endpoint(os.Geteuid()), admin.Self())
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, f := newService(t)
			c := tt.client(t, s)
			pong, err := admin.Call(t.Context(), c, ops.Ping, ops.Empty{})
			if diff := cmp.Diff(ops.Pong{Version: "v1", Address: "127.0.0.1:1"}, pong); err != nil || diff != "" {
				t.Errorf("ping: %v %s", err, diff)
			}
			walkSPs(t, c)
			walkUsers(t, c)
			records, err := audit.Records(t.Context(), f.Store, 0, 100)
			if err != nil || len(records) == 0 {
				t.Fatalf("audit: %d records, %v", len(records), err)
			}
			for _, r := range records {
				if r.Actor != admin.Self().Actor() {
					t.Errorf("%s was done by %q, want %q", r.Kind, r.Actor, admin.Self().Actor())
				}
			}
		})
	}
}

func walkSPs(t *testing.T, c *admin.Client) {
	t.Helper()
	ctx := t.Context()
	const id = idp.EntityID("https://sp.example.gov/")
	set := map[string][]string{"acs_urls": {"https://sp.example.gov/acs"}, "sign_requests": {"optional"}, "name": {"<A&B>"}}
	added, err := admin.Call(ctx, c, ops.AddSP, ops.SPChange{EntityID: id, Edit: sp.Edit{Set: set}})
	if err != nil || !added.Created || added.Provider.Name != "<A&B>" {
		t.Fatalf("add: %+v, %v", added, err)
	}
	_, err = admin.Call(ctx, c, ops.AddSP, ops.SPChange{EntityID: id, Edit: sp.Edit{Set: set}})
	wantCode(t, "add again", err, admin.CodeExists)
	_, err = admin.Call(ctx, c, ops.AddSP, ops.SPChange{EntityID: "x"})
	if e := wantCode(t, "add nothing", err, admin.CodeInvalid); e != nil && len(e.Problems) < 2 {
		t.Errorf("problems: %v", e.Problems)
	}
	_, err = admin.Call(ctx, c, ops.EditSP, ops.SPChange{EntityID: id, Edit: sp.Edit{Set: map[string][]string{"logout_url": {"http://sp.example.gov/"}}}})
	wantCode(t, "edit to http", err, admin.CodeRefused)
	_, err = admin.Call(ctx, c, ops.EditSP, ops.SPChange{EntityID: id, Edit: sp.Edit{Set: map[string][]string{"agency": {"Parks"}}}})
	wantCode(t, "edit the agency", err, admin.CodeRefused)
	edited, err := admin.Call(ctx, c, ops.EditSP, ops.SPChange{EntityID: id, Edit: sp.Edit{Set: map[string][]string{"active": {"false"}}}})
	if diff := cmp.Diff([]string{"active"}, edited.Fields); err != nil || diff != "" {
		t.Errorf("edit: %v %s", err, diff)
	}
	p, err := admin.Call(ctx, c, ops.ShowSP, ops.SPRequest{EntityID: id})
	if err != nil || p.Active {
		t.Errorf("show: %+v, %v", p, err)
	}
	list, err := admin.Call(ctx, c, ops.ListSPs, ops.Empty{})
	if err != nil || len(list.SPs) != 1 || list.SPs[0].EntityID != id {
		t.Errorf("list: %v, %v", list, err)
	}
	if _, err := admin.Call(ctx, c, ops.RemoveSP, ops.SPRequest{EntityID: id}); err != nil {
		t.Errorf("remove: %v", err)
	}
	_, err = admin.Call(ctx, c, ops.RemoveSP, ops.SPRequest{EntityID: id})
	wantCode(t, "remove again", err, admin.CodeNotFound)
	_, err = admin.Call(ctx, c, ops.ShowSP, ops.SPRequest{EntityID: id})
	wantCode(t, "show what is gone", err, admin.CodeNotFound)
	if !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("errors.Is does not find idp.ErrNotFound in %v", err)
	}
}

func walkUsers(t *testing.T, c *admin.Client) {
	t.Helper()
	ctx := t.Context()
	const email = "ana@example.gov"
	added, err := admin.Call(ctx, c, ops.AddUser, account.NewUser{Email: email, Password: "plum jam on nine windows", TOTP: true, TOTPPeriod: 60})
	if err != nil || added.TOTPSecret == "" || !strings.HasPrefix(added.TOTPURL, "otpauth://totp/") || added.User.TOTPs[0].Period != 60 {
		t.Fatalf("add: %+v, %v", added, err)
	}
	_, err = admin.Call(ctx, c, ops.AddUser, account.NewUser{Email: "ANA@example.gov", Password: "plum jam on nine windows"})
	wantCode(t, "add again", err, admin.CodeExists)
	_, err = admin.Call(ctx, c, ops.AddUser, account.NewUser{Email: "bo@example.gov", Password: "x"})
	wantCode(t, "short password", err, admin.CodeInvalid)

	changes := []struct {
		op  ops.Op[ops.UserRequest, ops.ChangedUser]
		req ops.UserRequest
		ok  func(ops.ChangedUser) bool
	}{
		{ops.LockUser, ops.UserRequest{Email: email, Reason: "why"}, func(u ops.ChangedUser) bool { return u.User.Locked && u.User.LockReason == "why" }},
		{ops.UnlockUser, ops.UserRequest{Email: email}, func(u ops.ChangedUser) bool { return !u.User.Locked }},
		{ops.SetPassword, ops.UserRequest{Email: email, Password: "nine jars of plum jam"}, func(u ops.ChangedUser) bool { return u.User.HasPassword }},
		{ops.ResetMFA, ops.UserRequest{Email: email}, func(u ops.ChangedUser) bool { return len(u.User.TOTPs) == 0 && u.TOTPSecret == "" }},
		{ops.ResetMFA, ops.UserRequest{Email: email, TOTPSecret: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"}, func(u ops.ChangedUser) bool {
			return len(u.User.TOTPs) == 1 && u.TOTPSecret == "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
		}},
	}
	for _, ch := range changes {
		if u, err := admin.Call(ctx, c, ch.op, ch.req); err != nil || !ch.ok(u) {
			t.Errorf("%s: %+v, %v", ch.op.Path, u, err)
		}
		_, err := admin.Call(ctx, c, ch.op, ops.UserRequest{Email: "nobody@example.gov", Password: "nine jars of plum jam"})
		wantCode(t, ch.op.Path+" unknown user", err, admin.CodeNotFound)
	}
	// A factor that cannot be takes nothing away.
	for _, req := range []ops.UserRequest{{Email: email, TOTPSecret: "BAD1"}, {Email: email, TOTP: true, TOTPPeriod: 45}} {
		_, err := admin.Call(ctx, c, ops.ResetMFA, req)
		wantCode(t, "reset-mfa to a bad factor", err, admin.CodeInvalid)
		if u, err := admin.Call(ctx, c, ops.ShowUser, ops.UserRequest{Email: email}); err != nil || len(u.TOTPs) != 1 {
			t.Errorf("after reset-mfa to a bad factor: %+v, %v", u, err)
		}
	}
	users, err := allUsers(ctx, c)
	if err != nil || len(users) != 1 || users[0].Emails[0].Address != email {
		t.Errorf("list: %+v, %v", users, err)
	}
	if _, err := admin.Call(ctx, c, ops.DeleteUser, ops.UserRequest{Email: email}); err != nil {
		t.Errorf("delete: %v", err)
	}
	_, err = admin.Call(ctx, c, ops.ShowUser, ops.UserRequest{Email: email})
	wantCode(t, "show who is gone", err, admin.CodeNotFound)
}

func wantCode(t *testing.T, what string, err error, code admin.Code) *admin.Error {
	t.Helper()
	var e *admin.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("%s: got %v, want code %s", what, err, code)
		return nil
	}
	return e
}

func TestAllUsersReadsEveryPage(t *testing.T) {
	t.Parallel()
	s, f := newService(t)
	const n = 1003
	var people []idp.ImportedUser
	for i := range n {
		people = append(people, idp.ImportedUser{User: &idp.User{ID: idp.UserID(string(rune('a'+i%26)) + time.Duration(i).String()), CreatedAt: testTime}})
	}
	if outcome, err := f.Store.ImportUsers(t.Context(), people); errors.Join(append(outcome, err)...) != nil {
		t.Fatal(outcome, err)
	}
	users, err := allUsers(t.Context(), admin.NewProcessClient(s.Endpoint(os.Geteuid()), admin.Self()))
	seen := make(map[idp.UserID]bool)
	for _, u := range users {
		seen[u.ID] = true
	}
	if err != nil || len(users) != n || len(seen) != n {
		t.Errorf("%d people, %d different, %v; want %d", len(users), len(seen), err, n)
	}
}

func TestOnlyOwnerAndRootMayCall(t *testing.T) {
	t.Parallel()
	s, _ := newService(t)
	tests := []struct {
		name   string
		caller admin.Caller
		ok     bool
	}{
		{"owner", admin.Caller{UID: 1000}, true},
		{"root", admin.Caller{UID: 0}, true},
		{"another user", admin.Caller{UID: 1001}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := admin.Call(t.Context(), admin.NewProcessClient(s.Endpoint(1000), tt.caller), ops.Ping, ops.Empty{})
			if tt.ok && err != nil {
				t.Error(err)
			}
			if !tt.ok {
				wantCode(t, "ping", err, admin.CodeForbidden)
			}
		})
	}
	if got := (admin.Caller{UID: 1000, Name: "ops"}).Actor(); got != "cli:uid=1000(ops)" {
		t.Errorf("actor %q", got)
	}
}

// TestUnknownPeerIsRefused holds that a connection whose peer the kernel does not name may do
// nothing.
func TestUnknownPeerIsRefused(t *testing.T) {
	t.Parallel()
	s, _ := newService(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Endpoint(os.Geteuid()).Serve(ctx, l) }()
	resp, err := http.Post("http://"+l.Addr().String()+"/v1/ping", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("status %d", resp.StatusCode)
	}
	stop()
	<-served
}

func TestMalformedAdminRequestIsRefused(t *testing.T) {
	t.Parallel()
	s, _ := newService(t)
	tests := []struct {
		name, method, path, body string
		status                   int
	}{
		{"right", "POST", "/v1/sp/list", "{}", 200},
		{"GET", "GET", "/v1/sp/list", "", 405},
		{"unknown command", "POST", "/v1/sp/burn", "{}", 400},
		{"unknown field", "POST", "/v1/sp/show", `{"entity_id":"x","force":true}`, 400},
		{"two objects", "POST", "/v1/sp/show", `{}{}`, 400},
		{"no JSON", "POST", "/v1/sp/show", "entity_id=x", 400},
		{"nothing", "POST", "/v1/sp/show", "", 400},
		{"too long", "POST", "/v1/sp/show", `{"entity_id":"` + strings.Repeat("a", 5<<20) + `"}`, 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx := admin.WithCaller(t.Context(), admin.Self())
			req, err := http.NewRequestWithContext(ctx, tt.method, tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			w := &answer{header: make(http.Header)}
			s.Endpoint(os.Geteuid()).ServeHTTP(w, req)
			if w.status != tt.status {
				t.Errorf("status %d, want %d", w.status, tt.status)
			}
		})
	}
}

type answer struct {
	header http.Header
	status int
}

func (w *answer) Header() http.Header         { return w.header }
func (w *answer) WriteHeader(status int)      { w.status = status }
func (w *answer) Write(b []byte) (int, error) { return len(b), nil }

// allUsers returns every user, by ID.
func allUsers(ctx context.Context, c *admin.Client) ([]ops.User, error) {
	all := []ops.User{}
	for req := (ops.UsersRequest{}); ; {
		page, err := admin.Call(ctx, c, ops.ListUsers, req)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Users...)
		if req.After = page.Next; req.After == "" {
			return all, nil
		}
	}
}
