package sp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"vernal/idp"
)

// Add registers p and sets its NameIDScope, CreatedAt and UpdatedAt. A registered EntityID is
// idp.ErrExists, unless o.Replace. Other errors are an *InvalidError with all problems, and a
// *RefusedError.
func (r *Registry) Add(ctx context.Context, p *idp.ServiceProvider, o Options, actor string) (*Change, error) {
	p = cloneProvider(p)
	normalizeProvider(p)
	if err := r.validateProvider(nil, p, o); err != nil {
		return nil, err
	}
	if o.Replace {
		c, err := r.replaceProvider(ctx, p, o, actor)
		if !isNotFound(err) {
			return c, err
		}
	}
	for {
		next := cloneProvider(p)
		err := r.createProvider(ctx, next, o, actor)
		switch {
		case errors.Is(err, idp.ErrProviderChanged):
			continue // it was removed in the meantime, so o.Resume decides about its NameIDs
		case err != nil:
			return nil, err
		}
		return r.newChange(nil, next), nil
	}
}

// createProvider adds p with the scope that follows from its history and o.
func (r *Registry) createProvider(ctx context.Context, p *idp.ServiceProvider, o Options, actor string) error {
	var last idp.NameIDScope
	_, err := r.store.Provider(ctx, p.EntityID)
	removedErr, isRemoved := errors.AsType[*idp.RemovedError](err)
	switch {
	case err == nil:
		return fmt.Errorf("register provider %q: %w", p.EntityID, idp.ErrExists)
	case isRemoved:
		last = removedErr.Scope
	case !isNotFound(err):
		return fmt.Errorf("find earlier NameIDs of %q: %w", p.EntityID, err)
	}
	if p.NameIDScope, err = r.chooseScope(p, last, o); err != nil {
		return err
	}
	p.CreatedAt = r.truncateNow()
	p.UpdatedAt = p.CreatedAt
	detail := maps.Collect(diffFields(&idp.ServiceProvider{}, p))
	err = r.store.CreateProvider(ctx, p, last, newEvent(idp.AuditSPAdd, p.EntityID, actor, detail))
	r.forgetProvider(p.EntityID)
	if err != nil {
		return fmt.Errorf("register provider %q: %w", p.EntityID, err)
	}
	return nil
}

// replaceProvider replaces the registration with the EntityID of p.
func (r *Registry) replaceProvider(ctx context.Context, p *idp.ServiceProvider, o Options, actor string) (*Change, error) {
	return r.Edit(ctx, p.EntityID, func(old *idp.ServiceProvider) error {
		next := cloneProvider(p)
		if next.Agency == "" { // leaving an agency must be explicit
			next.Agency = old.Agency
		}
		next.NameIDScope, next.CreatedAt = old.NameIDScope, old.CreatedAt
		*old = *next
		return nil
	}, o, actor)
}

// chooseScope returns the scope whose NameIDs a new provider will see. last is its scope when
// it was removed, "" if it never was.
func (r *Registry) chooseScope(p *idp.ServiceProvider, last idp.NameIDScope, o Options) (idp.NameIDScope, error) {
	switch {
	case last == "" && o.Resume:
		return "", &RefusedError{Code: "resume", Text: fmt.Sprintf(
			"%s was never registered here before, so it has no NameIDs to resume: register it without resume", p.EntityID)}
	case last == "":
		return chooseFirstScope(p), nil
	case p.Agency != "" && idp.AgencyScope(p.Agency) != last && o.Resume:
		return "", &RefusedError{Code: "resume", Text: fmt.Sprintf(
			"%s did not belong to the agency %q when it was removed, so its old NameIDs are not those of the agency: choose resume or the agency",
			p.EntityID, p.Agency)}
	case p.Agency != "" && idp.AgencyScope(p.Agency) == last && !o.Resume:
		return "", &RefusedError{Code: "resume", Permissions: []Permission{PermitResume}, Text: fmt.Sprintf(
			"%s was registered with the agency %q before, and would recognize its previous users", p.EntityID, p.Agency)}
	case o.Resume:
		if name, ok := last.Agency(); ok {
			p.Agency = name
		}
		return last, nil
	case p.Agency != "":
		return idp.AgencyScope(p.Agency), nil
	}
	return makeFreshScope(p.EntityID, last, r.clock.Now()), nil
}

// Edit changes a registration, or returns idp.ErrNotFound. change must not call the registry, and
// must not set EntityID, NameIDScope or the times. Errors are those of change, an *InvalidError, or
// a *RefusedError if Agency changes and o neither keeps nor renews the NameIDs, or if they cannot
// be kept.
func (r *Registry) Edit(ctx context.Context, id idp.EntityID, change func(*idp.ServiceProvider) error, o Options, actor string) (*Change, error) {
	r.editMu.Lock()
	defer r.editMu.Unlock()
	old, err := r.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	next := cloneProvider(old)
	if err := r.editRecord(old, next, change, o); err != nil {
		return nil, err
	}
	detail := maps.Collect(diffFields(old, next))
	if len(detail) == 0 {
		return r.newChange(old, old), nil
	}
	c := r.newChange(old, next)
	c.NameIDsCopied, err = r.writeEdit(ctx, old, next, o, newEvent(idp.AuditSPEdit, id, actor, detail))
	r.forgetProvider(id)
	var clash *idp.ClashError
	switch {
	case errors.As(err, &clash):
		return nil, newClashError(next, clash)
	case err != nil:
		return nil, fmt.Errorf("change provider %q: %w", id, err)
	}
	return c, r.settleCache(ctx, id)
}

// writeEdit replaces old by next, and copies the NameIDs in the same step if they are kept: a
// user who signs in meanwhile has one NameID before and after. It returns the number of copied
// NameIDs.
func (r *Registry) writeEdit(ctx context.Context, old, next *idp.ServiceProvider, o Options, e idp.AuditEvent) (copyCount int, err error) {
	u := idp.ProviderUpdate{ID: next.EntityID, Change: func(current *idp.ServiceProvider) error {
		if !reflect.DeepEqual(current, old) { // the event contains the difference to old
			return errChanged
		}
		*current = *cloneProvider(next)
		return nil
	}}
	switch {
	case next.NameIDScope == old.NameIDScope:
	case o.KeepNameIDs:
		u.KeepNameIDs, e.Detail["name_ids"] = true, "kept"
	default:
		e.Detail["name_ids"] = "new"
	}
	return r.store.UpdateProvider(ctx, u, e)
}

func newClashError(next *idp.ServiceProvider, clash *idp.ClashError) error {
	owner := "the agency " + strconv.Quote(next.Agency)
	if next.Agency == "" {
		owner = string(next.NameIDScope)
	}
	return &RefusedError{Code: "name_ids", Permissions: []Permission{PermitNewNameIDs}, Text: fmt.Sprintf(
		"nothing was changed: %d of this provider's NameIDs cannot be kept, because %s has other NameIDs for these users, or these NameIDs for other users. "+
			"With new NameIDs, each user gets the NameID that they have there, or a new one",
		clash.NameIDs, owner)}
}

// editRecord applies change to next, a copy of old, and checks the result.
func (r *Registry) editRecord(old, next *idp.ServiceProvider, change func(*idp.ServiceProvider) error, o Options) error {
	if err := change(next); err != nil {
		return err
	}
	normalizeProvider(next)
	next.EntityID, next.CreatedAt = old.EntityID, old.CreatedAt
	next.NameIDScope, next.UpdatedAt = old.NameIDScope, r.truncateNow()
	if err := r.validateProvider(old, next, o); err != nil {
		return err
	}
	if next.Agency == old.Agency {
		return nil
	}
	switch {
	case o.KeepNameIDs && o.NewNameIDs:
		return &RefusedError{Code: "name_ids", Text: "NameIDs cannot be both kept and new",
			Permissions: []Permission{PermitKeepNameIDs, PermitNewNameIDs}}
	case !o.KeepNameIDs && !o.NewNameIDs:
		return &RefusedError{Code: "name_ids", Permissions: []Permission{PermitKeepNameIDs, PermitNewNameIDs}, Text: fmt.Sprintf(
			"changing the agency from %q to %q affects the NameIDs of all users of this provider: keep the NameIDs, and the provider recognizes its users, "+
				"or make new ones, and it sees every user as a new user",
			old.Agency, next.Agency)}
	case next.Agency != "":
		next.NameIDScope = idp.AgencyScope(next.Agency)
	default:
		next.NameIDScope = makeFreshScope(next.EntityID, old.NameIDScope, r.clock.Now())
	}
	return nil
}

// normalizeProvider uses the EntityID as the missing name of a registration, writes the implied
// values, removes indexes that equal the position, and writes its certificates as single PEM
// blocks, each once. It leaves unreadable values for Validate to report.
func normalizeProvider(p *idp.ServiceProvider) {
	p.Consent = cmp.Or(p.Consent, idp.ConsentAsk)
	if strings.TrimSpace(p.Name) == "" {
		p.Name = p.EntityID.DisplayName()
	}
	(&applier{p: p}).dropDefaultIndexes()
	for _, list := range []*[]string{&p.Certs, &p.EncryptionCerts} {
		certificates, err := parseAll(*list)
		if err != nil {
			continue
		}
		*list = appendMissing(nil, encodeEach(certificates))
	}
}

// diffFields yields the JSON names of the fields in which the registrations differ, with the
// new value, shortened so that none fills an audit record.
func diffFields(old, p *idp.ServiceProvider) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for i := range fieldTable {
			f := &fieldTable[i]
			if slices.Equal(f.Read(old), f.Read(p)) {
				continue
			}
			if !yield(f.Name, idp.Clip(f.shortValue(p), 500)) {
				return
			}
		}
		if old.NameIDScope != p.NameIDScope {
			yield("name_id_scope", string(p.NameIDScope))
		}
	}
}
