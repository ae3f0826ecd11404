package ops_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp/admin"
	"vernal/idp/admin/ops"
	"vernal/idp/sharelink"
)

// TestLinksAreCreatedListedAndRevoked checks that a URL is disclosed once, listed without its
// secret and revoked once. Each change is recorded under the caller's name. A dry run is not.
func TestLinksAreCreatedListedAndRevoked(t *testing.T) {
	t.Parallel()
	s, f := newService(t)
	by := admin.Caller{UID: os.Geteuid(), Name: "ops"}
	c := admin.NewProcessClient(s.Endpoint(os.Geteuid()), by)
	foretold, err := admin.Call(t.Context(), c, ops.CreateLink, ops.LinkRequest{Kind: sharelink.Wallboard, Days: 7, DryRun: true})
	if err != nil || !foretold.DryRun || foretold.URL != "" || foretold.Link.ID != "" {
		t.Fatalf("dry run: %+v, %v", foretold, err)
	}
	if kinds := auditKinds(t, f.Store); len(kinds) != 0 {
		t.Errorf("the dry run is recorded: %q", kinds)
	}
	made, err := admin.Call(t.Context(), c, ops.CreateLink, ops.LinkRequest{Kind: sharelink.Wallboard, Days: 7})
	if err != nil {
		t.Fatal(err)
	}
	token, ok := strings.CutPrefix(made.URL, "https://watch.example/rotation/wall/")
	if l, err := s.Links.Check(t.Context(), sharelink.Wallboard, token); !ok || err != nil || l.ID != made.Link.ID {
		t.Errorf("%s opens nothing: %v", made.URL, err)
	}
	if want := f.Clock.Now().UTC().Add(7 * 24 * time.Hour).Truncate(time.Second); !made.Link.ExpiresAt.Equal(want) || !foretold.Link.ExpiresAt.Equal(want) {
		t.Errorf("ends %s, foretold %s, want %s", made.Link.ExpiresAt, foretold.Link.ExpiresAt, want)
	}
	preview, _, err := s.Links.Create(t.Context(), sharelink.Link{Kind: sharelink.Preview, Year: "2032", SP: "urn:sp"}, by.Actor())
	if err != nil {
		t.Fatal(err)
	}

	if done, err := admin.Call(t.Context(), c, ops.RevokeLink, ops.RevokeLinkRequest{ID: preview.ID, DryRun: true}); err != nil || !done.Link.RevokedAt.IsZero() {
		t.Errorf("dry run: %+v, %v", done, err)
	}
	for _, before := range []bool{false, true} {
		if done, err := admin.Call(t.Context(), c, ops.RevokeLink, ops.RevokeLinkRequest{ID: preview.ID}); err != nil || done.WasRevoked != before || done.Link.RevokedAt.IsZero() {
			t.Errorf("revoke: %+v, %v", done, err)
		}
	}
	list, err := admin.Call(t.Context(), c, ops.ListLinks, ops.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	live := map[string]bool{}
	for _, l := range list.Links {
		live[l.ID] = l.Live
	}
	if diff := cmp.Diff(map[string]bool{made.Link.ID: true, preview.ID: false}, live); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	want := []string{"link.create " + by.Actor(), "link.create " + by.Actor(), "link.revoke " + by.Actor()}
	if diff := cmp.Diff(want, auditKinds(t, f.Store)); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
}

func TestInvalidLinkIsRefused(t *testing.T) {
	t.Parallel()
	s, f := newService(t)
	c := admin.NewProcessClient(s.Endpoint(os.Geteuid()), admin.Self())
	code := func(err error) admin.Code {
		var e *admin.Error
		errors.As(err, &e)
		if e == nil {
			return ""
		}
		return e.Code
	}
	for name, req := range map[string]ops.LinkRequest{
		"no kind": {}, "preview": {Kind: sharelink.Preview}, "unknown": {Kind: "door"},
		"negative": {Kind: sharelink.Wallboard, Days: -1}, "too long": {Kind: sharelink.Wallboard, Days: ops.MaxLinkDays + 1},
	} {
		if _, err := admin.Call(t.Context(), c, ops.CreateLink, req); code(err) != admin.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := admin.Call(t.Context(), c, ops.RevokeLink, ops.RevokeLinkRequest{ID: "nobody"}); code(err) != admin.CodeNotFound {
		t.Errorf("revoke of nothing: %v", err)
	}
	s.AdminURL = ""
	if _, err := admin.Call(t.Context(), c, ops.CreateLink, ops.LinkRequest{Kind: sharelink.Wallboard}); code(err) != admin.CodeRefused {
		t.Errorf("nothing listens: %v", err)
	}
	if kinds := auditKinds(t, f.Store); len(kinds) != 0 {
		t.Errorf("recorded: %q", kinds)
	}
}
