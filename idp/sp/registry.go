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

// Permission names one of Options: a change that needs the operator's explicit consent.
type Permission string

// The permissions.
const (
	PermitInsecureURL Permission = "allow_insecure_url"
	PermitKeepNameIDs Permission = "keep_name_ids"
	PermitNewNameIDs  Permission = "new_name_ids"
	PermitResume      Permission = "resume"
	PermitReplace     Permission = "replace"
)

// Permissions lists all permissions.
func Permissions() []Permission {
	return []Permission{PermitInsecureURL, PermitKeepNameIDs, PermitNewNameIDs, PermitResume, PermitReplace}
}

// Registry finds and changes registrations. Its methods may be called
// concurrently.
type Registry struct {
	// BaseIsHTTP reports that our own URL is http, which allows providers to have http
	// URLs too. Set it before use.
	BaseIsHTTP bool
	// OurCerts returns our own signing certificates, of all years. A provider registered
	// with one of them was set up with the roles swapped, and is refused. If nil, nothing
	// is checked. Set it before use.
	OurCerts func() []*x509.Certificate

	store Store
	clock idp.Clock

	// logoMu is held while logos are stored or removed together with the registrations that
	// name them.
	logoMu sync.Mutex

	// editMu is held while a registration is read, changed and written.
	editMu sync.Mutex

	mu sync.RWMutex
	// providers caches the results of Lookup by EntityID; guarded by mu. It only contains
	// registered providers, so requests for unknown ones cannot make it grow.
	providers map[idp.EntityID]*Provider
	// rehearsal is the provider of a running rehearsal; nil without one.
	rehearsal atomic.Pointer[rehearsal]
	// changeCount counts invalidations, so that a look-up that began before a change does not cache
	// outdated data; guarded by mu.
	changeCount uint64
	// all is the result of All when changeCount was allAtChange; guarded by mu.
	all         []*Provider
	allAtChange uint64

	answerGate gate.Gate
}

// BeginAnswer must be called before looking up a provider to answer, and end once the answer
// is signed. A change of a registration returns only after the answers that began before it
// have ended.
func (r *Registry) BeginAnswer() (end func()) { return r.answerGate.Enter() }

// settleTime is how long a change waits for answers in progress: far longer than a signature
// takes, unless a token hangs.
const settleTime = 30 * time.Second

// settleCache drops the cached entity after it changed in the store, and waits until no
// answer that uses the dropped data is in progress. It waits even if the caller has left,
// because the change is made.
func (r *Registry) settleCache(ctx context.Context, id idp.EntityID) error {
	r.forgetProvider(id)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	if err := r.answerGate.Drain(ctx); err != nil {
		return fmt.Errorf("the registration of %q is changed, but an answer that began before has not ended: %w", id, err)
	}
	return nil
}

// Store holds the records that the registry reads and writes.
type Store interface {
	idp.ProviderStore
	idp.DocumentStore
}

// New returns a registry on a store in which nothing else changes providers.
func New(store Store, clock idp.Clock) *Registry {
	return &Registry{store: store, clock: clock, providers: make(map[idp.EntityID]*Provider), OurCerts: func() []*x509.Certificate { return nil }}
}

// Options contains an operator's consent to changes that need it.
type Options struct {
	// Replace lets Add replace another registration. The new one keeps the NameIDScope,
	// and the Agency unless it names one.
	Replace bool `json:"replace,omitempty"`
	// Resume gives a removed provider that is added again its previous NameIDs.
	Resume bool `json:"resume,omitempty"`
	// KeepNameIDs and NewNameIDs decide about a provider's NameIDs when its agency changes. If
	// kept, those of its old scope are copied to the new one, where the agency's other
	// providers see them from then on. That is refused if it contradicts a NameID there.
	KeepNameIDs bool `json:"keep_name_ids,omitempty"`
	NewNameIDs  bool `json:"new_name_ids,omitempty"`
	// AllowInsecureURL allows http URLs on hosts other than this one.
	AllowInsecureURL bool `json:"allow_insecure_url,omitempty"`
}

// RefusedError is a change that needs the operator's consent, or is never made.
type RefusedError struct {
	// Code names the reason, for programs: "replace", "resume", "name_ids".
	Code string
	// Text describes the effect of the change.
	Text string
	// Permissions lists the permissions of which any one allows the change.
	Permissions []Permission
}

func (e *RefusedError) Error() string { return e.Text }

// Defaults returns a registration with the default values.
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
		Consent:          idp.ConsentAsk,
		State:            idp.StateApproved,
		Active:           true,
	}
}

// LookupName returns the name of a provider to display: its name, or its EntityID if it is no
// longer registered.
func (r *Registry) LookupName(ctx context.Context, id idp.EntityID) string {
	if p, err := r.Lookup(ctx, id); err == nil {
		return p.Name
	}
	return string(id)
}

// Lookup returns the registration of an entity, active or not, or idp.ErrNotFound. A second
// look-up reads and allocates nothing.
func (r *Registry) Lookup(ctx context.Context, id idp.EntityID) (*Provider, error) {
	if id == idp.RehearsalSP {
		return r.lookupRehearsal()
	}
	r.mu.RLock()
	p, ok := r.providers[id]
	before := r.changeCount
	r.mu.RUnlock()
	if ok {
		return p, nil
	}
	record, err := r.store.Provider(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("load provider %q: %w", id, err)
	}
	if p, err = Parse(record); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changeCount == before {
		r.providers[id] = p
	}
	return p, nil
}

// Reload does what Lookup does without the cache, for a caller that got
// idp.ErrProviderChanged: a write in the store is visible there a moment earlier.
func (r *Registry) Reload(ctx context.Context, id idp.EntityID) (*Provider, error) {
	r.forgetProvider(id)
	return r.Lookup(ctx, id)
}

// forgetProvider drops the cached entity after it changed in the store.
func (r *Registry) forgetProvider(id idp.EntityID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changeCount++
	delete(r.providers, id)
}

// List returns all registrations, sorted by EntityID. With an *idp.TamperedError it returns
// the authentic ones.
func (r *Registry) List(ctx context.Context) ([]*idp.ServiceProvider, error) {
	list, err := r.store.Providers(ctx)
	if err != nil {
		return list, fmt.Errorf("list providers: %w", err)
	}
	return list, nil
}

// All returns all authentic registrations parsed, active or not, sorted by EntityID. The
// result is shared and read-only. A registration that does not parse, which Validate prevents,
// is included without its certificates. A second call reads nothing until a registration
// changes.
func (r *Registry) All(ctx context.Context) ([]*Provider, error) {
	r.mu.RLock()
	all, before, isFresh := r.all, r.changeCount, r.all != nil && r.allAtChange == r.changeCount
	r.mu.RUnlock()
	if isFresh {
		return all, nil
	}
	records, err := r.List(ctx)
	if err != nil && !errors.Is(err, idp.ErrTampered) { // one forged registration must not block the others
		return nil, err
	}
	all = make([]*Provider, len(records))
	for i, p := range records {
		if all[i], err = Parse(p); err != nil {
			all[i] = &Provider{ServiceProvider: *p}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changeCount == before {
		r.all, r.allAtChange = all, before
	}
	return all, nil
}

// HasPreview reports whether any provider's registration gives access to a year before it is
// published.
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

// Get returns a copy of one registration, which belongs to the caller, or idp.ErrNotFound.
func (r *Registry) Get(ctx context.Context, id idp.EntityID) (*idp.ServiceProvider, error) {
	p, err := r.store.Provider(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("load provider %q: %w", id, err)
	}
	return p, nil
}

// Remove removes a registration. Its NameIDs stay taken; see Options.Resume.
func (r *Registry) Remove(ctx context.Context, id idp.EntityID, actor string) error {
	return r.changeLogo(ctx, id, nil, func() error { return r.removeProvider(ctx, id, actor) })
}

func (r *Registry) removeProvider(ctx context.Context, id idp.EntityID, actor string) error {
	err := r.store.RemoveProvider(ctx, id, newEvent(idp.AuditSPRemove, id, actor, nil))
	if err != nil {
		r.forgetProvider(id)
		return fmt.Errorf("remove provider %q: %w", id, err)
	}
	return r.settleCache(ctx, id)
}

// Change is the result of Add or Edit.
type Change struct {
	// Provider is the registration after the change.
	Provider *idp.ServiceProvider `json:"sp"`
	// Created is set if the registration is new.
	Created bool `json:"created,omitempty"`
	// Fields are the JSON names of the fields that changed.
	Fields []string `json:"changed,omitempty"`
	// NameIDsCopied is how many NameIDs were copied to another agency.
	NameIDsCopied int `json:"name_ids_copied,omitempty"`
	// Warnings describe allowed but unusual settings.
	Warnings []string `json:"warnings,omitempty"`
	// Suggestions are ways to fix them.
	Suggestions []idp.Suggestion `json:"suggestions,omitempty"`
}

// newChange returns the report of a change. old is nil for a new registration.
func (r *Registry) newChange(old, p *idp.ServiceProvider) *Change {
	c := &Change{Provider: p, Created: old == nil}
	c.Warnings, c.Suggestions = ListWarnings(p, r.clock.Now())
	if old != nil {
		for name := range diffFields(old, p) {
			c.Fields = append(c.Fields, name)
		}
	}
	return c
}

// newHTTPCheck returns a function that reports whether an http URL may be registered: if the
// operator allows it, or if it is one of old, allowed earlier. old may be nil.
func newHTTPCheck(old *idp.ServiceProvider, o Options) func(rawURL string) bool {
	var oldURLs []string
	if old != nil {
		for _, f := range listURLFields(old) {
			oldURLs = append(oldURLs, f.values...)
		}
	}
	return func(a string) bool { return o.AllowInsecureURL || slices.Contains(oldURLs, a) }
}

// validateProvider checks p, which replaces old.
func (r *Registry) validateProvider(old, p *idp.ServiceProvider, o Options) error {
	c := checker{isBaseHTTP: r.BaseIsHTTP, isHTTPAllowed: newHTTPCheck(old, o), ourCerts: r.OurCerts()}
	if problems := c.checkAll(p); len(problems) > 0 {
		return &InvalidError{Problems: problems}
	}
	return nil
}

func newEvent(kind idp.AuditKind, id idp.EntityID, actor string, detail map[string]string) idp.AuditEvent {
	return idp.AuditEvent{Kind: kind, Outcome: "ok", Actor: actor, SP: id, Detail: detail}
}

func isNotFound(err error) bool { return errors.Is(err, idp.ErrNotFound) }

// truncateNow returns the time to write into a record.
func (r *Registry) truncateNow() time.Time { return r.clock.Now().Truncate(time.Second) }
