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
	agencyPrefix = "agency:"
	providerPrefix  = "sp:"
)

// maxNameID is the longest NameID (saml-core §8.3.7), in bytes.
const maxNameID = 256

// newScopeFinder finds the scope of a key, and the key of a scope.
type scopeFinder struct {
	store     Store
	providers map[idp.EntityID]*idp.ServiceProvider
	agencies  map[string]bool
	// acceptsUnregistered accepts keys that are not registered.
	acceptsUnregistered bool
}

func (s *Service) newScopeFinder(ctx context.Context, unregistered bool) (*scopeFinder, error) {
	list, err := s.Store.Providers(ctx)
	if err != nil {
		return nil, fmt.Errorf("load service providers: %w", err)
	}
	k := &scopeFinder{store: s.Store, providers: map[idp.EntityID]*idp.ServiceProvider{}, agencies: map[string]bool{}, acceptsUnregistered: unregistered}
	for _, p := range list {
		k.providers[p.EntityID] = p
		if name, ok := p.NameIDScope.Agency(); ok {
			k.agencies[name] = true
		}
	}
	return k, nil
}

// findScope returns the scope of a key. known is false for an unregistered one. fault is the reason why
// the key has no scope.
func (k *scopeFinder) findScope(ctx context.Context, key string) (scope idp.NameIDScope, known bool, fault string, err error) {
	p, agency := k.providers[idp.EntityID(key)], k.agencies[key]
	name, isAgency := strings.CutPrefix(key, agencyPrefix)
	id, isAlone := strings.CutPrefix(key, providerPrefix)
	switch {
	case isAgency && isPlainKey(name):
		return idp.AgencyScope(name), true, "", nil
	case isAlone && isPlainKey(id):
		scope, fault, err = k.findOwnScope(ctx, idp.EntityID(id))
		return scope, true, fault, err
	case isAgency, isAlone, !isPlainKey(key):
		return "", false, "is no agency and no entity ID", nil
	case p != nil && agency && p.NameIDScope != idp.AgencyScope(key):
		return "", false, "is an agency and an entity ID; write " + agencyPrefix + "NAME or " + providerPrefix + "ENTITY_ID", nil
	case p != nil:
		return p.NameIDScope, true, "", nil
	case agency:
		return idp.AgencyScope(key), true, "", nil
	case !k.acceptsUnregistered:
		return "", false, faultUnregistered, nil
	case strings.Contains(key, ":"): // entity IDs are URIs
		scope, fault, err = k.findOwnScope(ctx, idp.EntityID(key))
		return scope, false, fault, err
	}
	return idp.AgencyScope(key), false, "", nil
}

func isPlainKey(key string) bool {
	return isOneLine(key) && strings.TrimSpace(key) == key && key != "" && len(key) <= idp.MaxEntityID
}

// findOwnScope returns the scope of a provider without an agency.
func (k *scopeFinder) findOwnScope(ctx context.Context, id idp.EntityID) (scope idp.NameIDScope, fault string, err error) {
	if p := k.providers[id]; p != nil {
		if agency, ok := p.NameIDScope.Agency(); ok {
			return "", fmt.Sprintf("belongs to the agency %q; write %s%s", agency, agencyPrefix, agency), nil
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

// listKeys returns, for each scope that holds NameIDs, the key from which of returns it. It leaves
// out scopes that no provider will use again: those of earlier registrations of a provider.
func (k *scopeFinder) listKeys(ctx context.Context) (map[idp.NameIDScope]string, error) {
	list, err := k.store.NameIDScopes(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the scopes of NameIDs: %w", err)
	}
	keys := make(map[idp.NameIDScope]string, len(list))
	for _, scope := range list {
		agency, ok := scope.Agency()
		if ok {
			keys[scope] = k.formatKey(ctx, scope, agency, agencyPrefix)
			continue
		}
		id, ok := scope.Owner()
		if !ok || id == idp.RehearsalSP { // specific to this installation
			continue
		}
		live, fault, err := k.findOwnScope(ctx, id)
		if err != nil {
			return nil, err
		}
		if fault == "" && live == scope {
			keys[scope] = k.formatKey(ctx, scope, string(id), providerPrefix)
		}
	}
	return keys, nil
}

// formatKey returns the plain name if that is enough to find the scope again, otherwise the name
// with its prefix.
func (k *scopeFinder) formatKey(ctx context.Context, scope idp.NameIDScope, name, prefix string) string {
	if k.providers[idp.EntityID(name)] != nil || k.agencies[name] {
		if found, known, fault, err := k.findScope(ctx, name); err == nil && fault == "" && known && found == scope {
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
