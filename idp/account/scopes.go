package account

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"vernal/idp"
)

// In a file, NameIDs are keyed by the name of an agency or an entity ID. The registrations
// decide which scope that is:
//
//	KEY            a registered entity ID: the scope that this provider has now,
//	               an agency's if it belongs to one; or the agency of one
//	agency:NAME    the agency, whether or not a provider belongs to it yet
//	sp:ENTITY_ID   the provider alone, whether or not it is registered yet
//
// A string with a prefix is never a plain KEY. Whether an entity ID "sp:x" is registered must
// not change the meaning of a file.
//
// Any other key is refused unless the caller accepts it. A typo would give every user a NameID
// that no provider ever asks for, and then a new one at the first sign-in.

// problemUnregistered is the code of a key that OptionUnregistered accepts.
const problemUnregistered = "unregistered"

// faultUnregistered is the fault of a key that OptionUnregistered accepts.
const faultUnregistered = "no service provider is registered under this name, nor belongs to an agency of this name; register it first"

// Prefixes that state the kind of a key.
const (
	keyAgency = "agency:"
	keyAlone  = "sp:"
)

// maxNameID is the longest NameID (saml-core §8.3.7), in bytes.
const maxNameID = 256

// scopes finds the scope of a key, and the key of a scope.
type scopes struct {
	store     Store
	providers map[idp.EntityID]*idp.ServiceProvider
	agencies  map[string]bool
	// unregistered accepts keys that are not registered.
	unregistered bool
}

func (s *Service) scopes(ctx context.Context, unregistered bool) (*scopes, error) {
	list, err := s.Store.Providers(ctx)
	if err != nil {
		return nil, fmt.Errorf("load service providers: %w", err)
	}
	k := &scopes{store: s.Store, providers: map[idp.EntityID]*idp.ServiceProvider{}, agencies: map[string]bool{}, unregistered: unregistered}
	for _, p := range list {
		k.providers[p.EntityID] = p
		if name, ok := p.NameIDScope.Agency(); ok {
			k.agencies[name] = true
		}
	}
	return k, nil
}

// of returns the scope of a key. known is false for an unregistered one. fault is the reason why
// the key has no scope.
func (k *scopes) of(ctx context.Context, key string) (scope idp.NameIDScope, known bool, fault string, err error) {
	p, agency := k.providers[idp.EntityID(key)], k.agencies[key]
	name, isAgency := strings.CutPrefix(key, keyAgency)
	id, isAlone := strings.CutPrefix(key, keyAlone)
	switch {
	case isAgency && isPlainKey(name):
		return idp.AgencyScope(name), true, "", nil
	case isAlone && isPlainKey(id):
		scope, fault, err = k.ownScope(ctx, idp.EntityID(id))
		return scope, true, fault, err
	case isAgency, isAlone, !isPlainKey(key):
		return "", false, "is no agency and no entity ID", nil
	case p != nil && agency && p.NameIDScope != idp.AgencyScope(key):
		return "", false, "is an agency and an entity ID; write " + keyAgency + "NAME or " + keyAlone + "ENTITY_ID", nil
	case p != nil:
		return p.NameIDScope, true, "", nil
	case agency:
		return idp.AgencyScope(key), true, "", nil
	case !k.unregistered:
		return "", false, faultUnregistered, nil
	case strings.Contains(key, ":"): // entity IDs are URIs
		scope, fault, err = k.ownScope(ctx, idp.EntityID(key))
		return scope, false, fault, err
	}
	return idp.AgencyScope(key), false, "", nil
}

func isPlainKey(key string) bool {
	return isOneLine(key) && strings.TrimSpace(key) == key && key != "" && len(key) <= idp.MaxEntityID
}

// ownScope returns the scope of a provider without an agency.
func (k *scopes) ownScope(ctx context.Context, id idp.EntityID) (scope idp.NameIDScope, fault string, err error) {
	if p := k.providers[id]; p != nil {
		if agency, ok := p.NameIDScope.Agency(); ok {
			return "", fmt.Sprintf("belongs to the agency %q; write %s%s", agency, keyAgency, agency), nil
		}
		return p.NameIDScope, "", nil
	}
	_, err = k.store.Provider(ctx, id)
	if removed, ok := errors.AsType[*idp.RemovedError](err); ok {
		if owner, own := removed.Scope.Owner(); own && owner == id {
			return removed.Scope, "", nil // the scope that it gets when it is added again
		}
	}
	if err != nil && !errors.Is(err, idp.ErrNotFound) {
		return "", "", fmt.Errorf("find earlier NameIDs of a provider: %w", err)
	}
	return idp.OwnScope(id), "", nil
}

// keys returns, for each scope that holds NameIDs, the key from which of returns it. It leaves
// out scopes that no provider will use again: those of earlier registrations of a provider.
func (k *scopes) keys(ctx context.Context) (map[idp.NameIDScope]string, error) {
	list, err := k.store.NameIDScopes(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the scopes of NameIDs: %w", err)
	}
	keys := make(map[idp.NameIDScope]string, len(list))
	for _, scope := range list {
		agency, ok := scope.Agency()
		if ok {
			keys[scope] = k.key(ctx, scope, agency, keyAgency)
			continue
		}
		id, ok := scope.Owner()
		if !ok || id == idp.RehearsalSP { // specific to this installation
			continue
		}
		live, fault, err := k.ownScope(ctx, id)
		if err != nil {
			return nil, err
		}
		if fault == "" && live == scope {
			keys[scope] = k.key(ctx, scope, string(id), keyAlone)
		}
	}
	return keys, nil
}

// key returns the plain name if that is enough to find the scope again, otherwise the name
// with its prefix.
func (k *scopes) key(ctx context.Context, scope idp.NameIDScope, name, prefix string) string {
	if k.providers[idp.EntityID(name)] != nil || k.agencies[name] {
		if found, known, fault, err := k.of(ctx, name); err == nil && fault == "" && known && found == scope {
			return name
		}
	}
	return prefix + name
}

// checkNameID returns the reason why a value cannot be a NameID, or "" if it can.
func checkNameID(v idp.NameID) string {
	switch {
	case v == "":
		return "is empty"
	case len(v) > maxNameID:
		return fmt.Sprintf("is longer than %d bytes", maxNameID)
	case !isOneLine(string(v)) || strings.TrimSpace(string(v)) != string(v):
		return "must be text without control characters and without space around it"
	}
	return ""
}

// sortedKeys returns the keys of a map in order, so that the same file always gives the same
// list of errors.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
