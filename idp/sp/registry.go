package sp

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"vernal/idp"
	"vernal/idp/gate"
)

// Permission names one of Options: what is not done without the operator's word.
type Permission string

// The permissions.
const (
	PermitInsecureURL Permission = "allow_insecure_url"
	PermitKeepNameIDs Permission = "keep_name_ids"
	PermitNewNameIDs  Permission = "new_name_ids"
	PermitResume      Permission = "resume"
	PermitReplace     Permission = "replace"
)

// Permissions lists them all.
func Permissions() []Permission {
	return []Permission{PermitInsecureURL, PermitKeepNameIDs, PermitNewNameIDs, PermitResume, PermitReplace}
}

// Registry finds and changes registrations. Its methods may be called
// concurrently.
type Registry struct {
	// BaseIsHTTP tells that our own address is http, which lets providers have
	// http addresses too. Set before use.
	BaseIsHTTP bool
	// OurCerts lists our own signing certificates, of all years. A provider
	// that is registered with one of them was set up the wrong way round, and
	// is refused. None if not set; set before use.
	OurCerts func() []*x509.Certificate

	store idp.ProviderStore
	clock idp.Clock

	// editing is held while a registration is read, changed and written.
	editing sync.Mutex

	mu sync.RWMutex
	// parsed holds what Lookup found, by EntityID; guarded by mu. It never
	// holds what is not registered, so strangers cannot make it grow.
	parsed map[idp.EntityID]*Provider
	// rehearsal is the provider of a rehearsal that runs, else nil.
	rehearsal atomic.Pointer[rehearsal]
	// changes counts invalidations, so that a look-up that began before a
	// change does not put back what it read; guarded by mu.
	changes uint64
	// all is what All found when changes was allChanges; guarded by mu.
	all        []*Provider
	allChanges uint64

	answering gate.Gate
}

// BeginAnswer is called before the look-up of a provider that is about to be
// answered, and end when the answer is signed. A change of a registration
// returns only after the answers that began before it have ended.
func (r *Registry) BeginAnswer() (end func()) { return r.answering.Enter() }

// settleTime is how long a change waits for answers under way: far longer than
// a signature takes, unless a token hangs.
const settleTime = 30 * time.Second

// settleParsed drops what was parsed of an entity, after it changed in the store, and
// waits until no answer is under way that rests on what was dropped. It waits
// although the caller is gone: the change is made.
func (r *Registry) settleParsed(ctx context.Context, id idp.EntityID) error {
	r.forgetParsed(id)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	if err := r.answering.Drain(ctx); err != nil {
		return fmt.Errorf("the registration of %q is changed, but an answer that began before has not ended: %w", id, err)
	}
	return nil
}

// New makes a registry on a store that nothing else changes providers in.
func New(store idp.ProviderStore, clock idp.Clock) *Registry {
	return &Registry{store: store, clock: clock, parsed: make(map[idp.EntityID]*Provider), OurCerts: func() []*x509.Certificate { return nil }}
}

// Options are an operator's words for what is not done without them.
type Options struct {
	// Replace lets Add put a registration in the place of another one. It
	// keeps that one's NameIDScope, and its Agency unless it names one.
	Replace bool `json:"replace,omitempty"`
	// Resume gives a provider that was removed and comes back the NameIDs it
	// had.
	Resume bool `json:"resume,omitempty"`
	// KeepNameIDs and NewNameIDs say what becomes of a provider's NameIDs when
	// its agency changes. Kept, those of its old scope are copied to the new
	// one, where the agency's other providers see them from then on; refused if
	// that contradicts a NameID there.
	KeepNameIDs bool `json:"keep_name_ids,omitempty"`
	NewNameIDs  bool `json:"new_name_ids,omitempty"`
	// AllowInsecureURL lets addresses be http on other hosts than this one.
	AllowInsecureURL bool `json:"allow_insecure_url,omitempty"`
}

// RefusedError is a change that is not made without the operator's word, or not
// at all.
type RefusedError struct {
	// Code names the reason, for programs: "replace", "resume", "name_ids".
	Code string
	// Text says what would happen.
	Text string
	// Permissions are those of which one lets the change be made.
	Permissions []Permission
}

func (e *RefusedError) Error() string { return e.Text }

// Defaults is a registration as far as nobody said otherwise.
func Defaults() *idp.ServiceProvider {
	return &idp.ServiceProvider{
		SignRequests:     idp.SignRequestsRequired,
		Compat:           idp.CompatNone,
		Encryption:       idp.EncryptionNone,
		EncryptionDigest: idp.DigestSHA1,
		IAL:              idp.IALAuthOnly,
		AAL:              idp.AALDefault,
		Attributes:       []string{"email"},
		EmailAttribute:   idp.EmailAttributePlain,
		NameIDFormats:    []string{idp.NameIDFormatPersistent},
		State:            idp.StateApproved,
		Active:           true,
	}
}

// NameOf is what people call a provider: its name, or its EntityID where it is
// not registered any more.
func (r *Registry) NameOf(ctx context.Context, id idp.EntityID) string {
	if p, err := r.Lookup(ctx, id); err == nil {
		return p.Name
	}
	return string(id)
}

// Lookup returns the registration of an entity, active or not;
// idp.ErrNotFound if there is none. A second look-up reads and allocates
// nothing.
func (r *Registry) Lookup(ctx context.Context, id idp.EntityID) (*Provider, error) {
	if id == idp.RehearsalSP {
		return r.lookupRehearsal()
	}
	r.mu.RLock()
	p, ok := r.parsed[id]
	before := r.changes
	r.mu.RUnlock()
	if ok {
		return p, nil
	}
	stored, err := r.store.Provider(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("load provider %q: %w", id, err)
	}
	if p, err = Parse(stored); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changes == before {
		r.parsed[id] = p
	}
	return p, nil
}

// Reload is Lookup past what is remembered, for a caller who was given
// idp.ErrProviderChanged: a write in the store is seen there a moment earlier.
func (r *Registry) Reload(ctx context.Context, id idp.EntityID) (*Provider, error) {
	r.forgetParsed(id)
	return r.Lookup(ctx, id)
}

// forgetParsed drops what was parsed of an entity, after it changed in the store.
func (r *Registry) forgetParsed(id idp.EntityID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes++
	delete(r.parsed, id)
}

// List returns all registrations, sorted by EntityID. With an *idp.TamperedError it
// returns those that are authentic.
func (r *Registry) List(ctx context.Context) ([]*idp.ServiceProvider, error) {
	list, err := r.store.Providers(ctx)
	if err != nil {
		return list, fmt.Errorf("list providers: %w", err)
	}
	return list, nil
}

// All returns all authentic registrations parsed, active or not, sorted by EntityID. What
// it returns is shared and read-only. A registration that does not parse, which
// Validate lets none be, is there without its certificates. A second call reads
// nothing until a registration changes.
func (r *Registry) All(ctx context.Context) ([]*Provider, error) {
	r.mu.RLock()
	all, before, fresh := r.all, r.changes, r.all != nil && r.allChanges == r.changes
	r.mu.RUnlock()
	if fresh {
		return all, nil
	}
	stored, err := r.List(ctx)
	if err != nil && !errors.Is(err, idp.ErrTampered) { // one forged registration must not stop the others
		return nil, err
	}
	all = make([]*Provider, len(stored))
	for i, p := range stored {
		if all[i], err = Parse(p); err != nil {
			all[i] = &Provider{ServiceProvider: *p}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changes == before {
		r.all, r.allChanges = all, before
	}
	return all, nil
}

// HasPreview reports whether the registration of some provider opens a year
// before it is published.
func (r *Registry) HasPreview(ctx context.Context) (bool, error) {
	if r.rehearsal.Load() != nil {
		return true, nil
	}
	all, err := r.All(ctx)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(all, func(p *Provider) bool { return p.Preview != "" }), nil
}

// Get returns a copy of one registration, which belongs to the caller;
// idp.ErrNotFound if there is none.
func (r *Registry) Get(ctx context.Context, id idp.EntityID) (*idp.ServiceProvider, error) {
	p, err := r.store.Provider(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("load provider %q: %w", id, err)
	}
	return p, nil
}

// Remove takes a registration away. The NameIDs it saw stay taken; see
// Options.Resume.
func (r *Registry) Remove(ctx context.Context, id idp.EntityID, actor string) error {
	err := r.store.RemoveProvider(ctx, id, registryEvent(idp.AuditSPRemove, id, actor, nil))
	if err != nil {
		r.forgetParsed(id)
		return fmt.Errorf("remove provider %q: %w", id, err)
	}
	return r.settleParsed(ctx, id)
}

// Change says what Add or Edit did.
type Change struct {
	// Provider is the registration as it stands now.
	Provider *idp.ServiceProvider `json:"sp"`
	// Created is set when it was not there before.
	Created bool `json:"created,omitempty"`
	// Fields are the JSON names of the fields that changed.
	Fields []string `json:"changed,omitempty"`
	// NameIDsCopied is how many NameIDs came along to another agency.
	NameIDsCopied int `json:"name_ids_copied,omitempty"`
	// Warnings are things that are allowed, yet worth knowing.
	Warnings []string `json:"warnings,omitempty"`
	// Suggestions are what can be done about them.
	Suggestions []idp.Suggestion `json:"suggestions,omitempty"`
}

// newChange makes the report of a change; old is nil for a new registration.
func (r *Registry) newChange(old, p *idp.ServiceProvider) *Change {
	c := &Change{Provider: p, Created: old == nil}
	c.Warnings, c.Suggestions = Warnings(p, r.clock.Now())
	if old != nil {
		for name := range diffFields(old, p) {
			c.Fields = append(c.Fields, name)
		}
	}
	return c
}

// allowsInsecure reports which http addresses may be registered: those that the
// operator allows, and those that old had, which were allowed once. old may be
// nil.
func allowsInsecure(old *idp.ServiceProvider, o Options) func(address string) bool {
	var had []string
	if old != nil {
		for _, f := range addressFields(old) {
			had = append(had, f.values...)
		}
	}
	return func(a string) bool { return o.AllowInsecureURL || slices.Contains(had, a) }
}

// validateProvider checks p, which takes the place of old.
func (r *Registry) validateProvider(old, p *idp.ServiceProvider, o Options) error {
	c := checker{baseIsHTTP: r.BaseIsHTTP, insecure: allowsInsecure(old, o), ours: r.OurCerts()}
	if problems := c.checkAll(p); len(problems) > 0 {
		return &InvalidError{Problems: problems}
	}
	return nil
}

func registryEvent(kind idp.AuditKind, id idp.EntityID, actor string, detail map[string]string) idp.AuditEvent {
	return idp.AuditEvent{Kind: kind, Outcome: "ok", Actor: actor, SP: id, Detail: detail}
}

// notFound reports whether err says that a record is not there.
func notFound(err error) bool { return errors.Is(err, idp.ErrNotFound) }

// nowForRecord is the time that a record is given.
func (r *Registry) nowForRecord() time.Time { return r.clock.Now().Truncate(time.Second) }
