package sp_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/sp"
)

const entity = idp.EntityID("https://sp.example.gov/saml")

// mustAdd registers a provider.
func mustAdd(t *testing.T, r *sp.Registry, p *idp.ServiceProvider, o sp.Options) *idp.ServiceProvider {
	t.Helper()
	c, err := r.Add(t.Context(), p, o, "test")
	if err != nil {
		t.Fatal(err)
	}
	return c.Provider
}

func mustRemove(t *testing.T, r *sp.Registry, id idp.EntityID) {
	t.Helper()
	if err := r.Remove(t.Context(), id, "test"); err != nil {
		t.Fatal(err)
	}
}

func TestLookupFollowsEdits(t *testing.T) {
	t.Parallel()
	r, _ := newRegistry(t)
	if _, err := r.Lookup(t.Context(), entity); !errors.Is(err, idp.ErrNotFound) {
		t.Fatalf("before it is added: %v", err)
	}
	mustAdd(t, r, newProvider(t, entity), sp.Options{})
	p, err := r.Lookup(t.Context(), entity)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.RequestCerts) != 1 || p.Name != "Permits" || !p.CreatedAt.Equal(testTime) {
		t.Errorf("got %+v", p)
	}
	if _, err := r.Edit(t.Context(), entity, func(p *idp.ServiceProvider) error { p.Active = false; return nil }, sp.Options{}, "test"); err != nil {
		t.Fatal(err)
	}
	after, err := r.Lookup(t.Context(), entity)
	if err != nil || after.Active {
		t.Errorf("after the edit: %+v, %v", after, err)
	}
	if !p.Active {
		t.Error("the edit changed what an earlier look-up gave")
	}
	mustRemove(t, r, entity)
	if _, err := r.Lookup(t.Context(), entity); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("after it is removed: %v", err)
	}
}

// TestLookupAllocatesNothing checks that the look-up of every request allocates nothing.
func TestLookupAllocatesNothing(t *testing.T) {
	r, _ := newRegistry(t)
	mustAdd(t, r, newProvider(t, entity), sp.Options{})
	ctx := t.Context()
	n := testing.AllocsPerRun(100, func() {
		if _, err := r.Lookup(ctx, entity); err != nil {
			t.Error(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// slowStore returns a provider it has read only once another goroutine allows it, so that a
// change can happen in between.
type slowStore struct {
	sp.Store
	read, release chan struct{}
	waited        atomic.Bool // only the first read waits
}

func (s *slowStore) Provider(ctx context.Context, id idp.EntityID) (*idp.ServiceProvider, error) {
	p, err := s.Store.Provider(ctx, id)
	if !s.waited.Swap(true) {
		s.read <- struct{}{}
		<-s.release
	}
	return p, err
}

// TestLookupForgetsWhatChanged checks that data read before a change is not cached after it.
// Otherwise a removed certificate would stay valid permanently.
func TestLookupForgetsWhatChanged(t *testing.T) {
	t.Parallel()
	registry, store := newRegistry(t)
	mustAdd(t, registry, newProvider(t, entity), sp.Options{})
	slow := &slowStore{Store: store, read: make(chan struct{}), release: make(chan struct{})}
	r := sp.New(slow, testClock)

	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := r.Lookup(t.Context(), entity); err != nil {
			t.Error(err)
		}
	})
	<-slow.read
	mustRemove(t, r, entity)
	slow.release <- struct{}{}
	wg.Wait()
	if _, err := r.Lookup(t.Context(), entity); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("the removed provider is still found: %v", err)
	}
}

func TestConcurrentEditsAreAllKept(t *testing.T) {
	t.Parallel()
	r, _ := newRegistry(t)
	mustAdd(t, r, newProvider(t, entity), sp.Options{})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 10 {
				attribute := fmt.Sprintf("https://sp.example.gov/%d/%d", i, j)
				_, err := r.Edit(t.Context(), entity, func(p *idp.ServiceProvider) error {
					p.RedirectURIs = append(p.RedirectURIs, attribute)
					return nil
				}, sp.Options{}, "test")
				if err != nil {
					t.Error(err)
				}
				if _, err := r.Lookup(t.Context(), entity); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	p, err := r.Lookup(t.Context(), entity)
	if err != nil || len(p.RedirectURIs) != 40 {
		t.Errorf("%d of 40 changes are there, %v", len(p.RedirectURIs), err)
	}
}

func TestAddRefusesExistingOrInvalid(t *testing.T) {
	t.Parallel()
	r, _ := newRegistry(t)
	mustAdd(t, r, newProvider(t, entity), sp.Options{})
	var invalid *sp.InvalidError
	var refused *sp.RefusedError

	_, err := r.Add(t.Context(), newProvider(t, entity), sp.Options{}, "test")
	if !errors.Is(err, idp.ErrExists) {
		t.Errorf("the same again: %v", err)
	}
	bad := newProvider(t, "https://other.example.gov/")
	bad.ACSURLs = []string{"http://other.example.gov/"}
	if _, err = r.Add(t.Context(), bad, sp.Options{}, "test"); !errors.As(err, &invalid) || invalid.Problems[0].Option.Name != string(sp.PermitInsecureURL) {
		t.Errorf("http: %v", err)
	}
	if _, err = r.Add(t.Context(), newProvider(t, "https://other.example.gov/"), sp.Options{Resume: true}, "test"); !errors.As(err, &refused) {
		t.Errorf("nothing to resume: %v", err)
	}
	ours := newProvider(t, "https://other.example.gov/")
	r.OurCerts = func() []*x509.Certificate { return []*x509.Certificate{certOf(t, ours)} }
	if _, err = r.Add(t.Context(), ours, sp.Options{}, "test"); !errors.As(err, &invalid) || invalid.Problems[0].Field != "certs" {
		t.Errorf("our own certificate: %v", err)
	}
}

func TestReplaceKeepsAgencyAndNameIDScope(t *testing.T) {
	t.Parallel()
	r, _ := newRegistry(t)
	old := newProvider(t, entity)
	old.Agency = "Parks"
	old.IAL = idp.IALVerified
	mustAdd(t, r, old, sp.Options{})

	c, err := r.Add(t.Context(), newProvider(t, entity), sp.Options{Replace: true}, "test")
	if err != nil {
		t.Fatal(err)
	}
	if c.Created || c.Provider.Agency != "Parks" || c.Provider.NameIDScope != "agency:Parks" || c.Provider.IAL != idp.IALAuthOnly {
		t.Errorf("got %+v", c.Provider)
	}
	if diff := cmp.Diff([]string{"ial"}, c.Fields); diff != "" {
		t.Errorf("changed fields (-want +got)\n%s", diff)
	}
	other := newProvider(t, entity)
	other.Agency = "Roads"
	var refused *sp.RefusedError
	if _, err = r.Add(t.Context(), other, sp.Options{Replace: true}, "test"); !errors.As(err, &refused) || refused.Code != "name_ids" {
		t.Errorf("another agency: %v", err)
	}
	c, err = r.Add(t.Context(), newProvider(t, "https://new.example.gov/"), sp.Options{Replace: true}, "test")
	if err != nil || !c.Created {
		t.Errorf("nothing to replace: %+v, %v", c, err)
	}
}

func TestEditKeepsPermittedInsecureURL(t *testing.T) {
	t.Parallel()
	r, _ := newRegistry(t)
	p := newProvider(t, entity)
	p.ACSURLs = []string{"http://old.example.gov/acs"}
	mustAdd(t, r, p, sp.Options{AllowInsecureURL: true})
	rename := func(p *idp.ServiceProvider) error { p.Name = "Other"; return nil }
	if _, err := r.Edit(t.Context(), entity, rename, sp.Options{}, "test"); err != nil {
		t.Errorf("an edit of something else: %v", err)
	}
	further := func(p *idp.ServiceProvider) error { p.LogoutURL = "http://old.example.gov/slo"; return nil }
	var invalid *sp.InvalidError
	if _, err := r.Edit(t.Context(), entity, further, sp.Options{}, "test"); !errors.As(err, &invalid) || len(invalid.Problems) != 1 {
		t.Errorf("a further http address: %v", err)
	}
}

func TestEditKeepsIdentity(t *testing.T) {
	t.Parallel()
	r, _ := newRegistry(t)
	mustAdd(t, r, newProvider(t, entity), sp.Options{})
	c, err := r.Edit(t.Context(), entity, func(p *idp.ServiceProvider) error {
		p.EntityID, p.NameIDScope, p.Name = "other", "agency:Parks", "New"
		return nil
	}, sp.Options{}, "test")
	if err != nil {
		t.Fatal(err)
	}
	if c.Provider.EntityID != entity || c.Provider.NameIDScope != "sp:"+idp.NameIDScope(entity) || c.Provider.Name != "New" {
		t.Errorf("got %+v", c.Provider)
	}
	if _, err := r.Edit(t.Context(), "https://nobody.example/", func(*idp.ServiceProvider) error { return nil }, sp.Options{}, "test"); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("unknown: %v", err)
	}
}

func TestRegistryChangesAreAudited(t *testing.T) {
	t.Parallel()
	r, store := newRegistry(t)
	p := newProvider(t, entity)
	p.Contacts = []string{"ana@example.gov"}
	mustAdd(t, r, p, sp.Options{})
	edit := func(p *idp.ServiceProvider) error {
		p.Active, p.Contacts = false, []string{"bo@example.gov"}
		return nil
	}
	if _, err := r.Edit(t.Context(), entity, edit, sp.Options{}, "cli:uid=1(ops)"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Edit(t.Context(), entity, edit, sp.Options{}, "nothing to record"); err != nil {
		t.Fatal(err)
	}
	mustRemove(t, r, entity)
	records, err := audit.Records(t.Context(), store, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	var got []idp.AuditEvent
	for _, rec := range records {
		if rec.Kind == "sp.add" {
			if rec.Detail["acs_urls"] != "https://sp.example.gov/acs" || rec.Detail["contacts"] != "1 entries" ||
				rec.Detail["certs"] != certs.CertSHA256(certOf(t, p)) {
				t.Errorf("detail of sp.add: %v", rec.Detail)
			}
			rec.Detail = nil
		}
		got = append(got, rec.AuditEvent)
	}
	want := []idp.AuditEvent{
		{Kind: "sp.add", Outcome: "ok", Actor: "test", SP: entity},
		{Kind: "sp.edit", Outcome: "ok", Actor: "cli:uid=1(ops)", SP: entity, Detail: map[string]string{"active": "false", "contacts": "1 entries"}},
		{Kind: "sp.remove", Outcome: "ok", Actor: "test", SP: entity},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
