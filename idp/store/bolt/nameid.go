package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"vernal/idp"
)

// NameID returns the user's identifier in the scope.
func (s *Store) NameID(ctx context.Context, scope idp.NameIDScope, user idp.UserID) (idp.NameID, error) {
	return readValue(ctx, s, func(r *reader) (idp.NameID, error) {
		value, err := r.find(inNameIDs, pairKey(string(scope), string(user)))
		return idp.NameID(value), err
	})
}

// UserByNameID is the reverse of NameID. It also finds deleted users.
func (s *Store) UserByNameID(ctx context.Context, scope idp.NameIDScope, name idp.NameID) (idp.UserID, error) {
	return readValue(ctx, s, func(r *reader) (idp.UserID, error) {
		value, err := r.find(inNameIDUsers, pairKey(string(scope), string(name)))
		return idp.UserID(value), err
	})
}

// assignNameID returns the user's NameID for a service provider. If the user has none, it queues
// proposed as the NameID. scope is the service provider's scope as the caller read it. If the
// scope has changed since, the user may be new there: a new NameID must be in the scope that the
// service provider uses from now on, or it would get a second NameID for the same user. Only
// users without a NameID pay for the look-up.
func (w *writer) assignNameID(sp idp.EntityID, scope idp.NameIDScope, user idp.UserID, proposed idp.NameID) (idp.NameID, error) {
	key := pairKey(string(scope), string(user))
	if value, err := w.get(inNameIDs, key); value != nil || err != nil {
		return idp.NameID(value), err
	}
	p, err := w.readProvider(sp)
	switch {
	case errors.Is(err, idp.ErrNotFound): // removed: its scope is never read again
	case err != nil:
		return "", err
	case p.NameIDScope != scope:
		scope, key = p.NameIDScope, pairKey(string(p.NameIDScope), string(user))
		if value, err := w.get(inNameIDs, key); value != nil || err != nil {
			return idp.NameID(value), err
		}
	}
	if proposed == "" {
		return "", errors.New("user has no NameID and none is proposed")
	}
	reverse := pairKey(string(scope), string(proposed))
	if w.has(inNameIDUsers, reverse) {
		return "", fmt.Errorf("proposed NameID: %w", existsError(inNameIDUsers))
	}
	w.put(inNameIDs, key, []byte(proposed))
	w.put(inNameIDUsers, reverse, []byte(user))
	return proposed, nil
}

// checkNameID reports whether the NameID is the user's in the scope, and whether it can
// become so: neither of the two has another one there.
func (r *reader) checkNameID(scope idp.NameIDScope, user idp.UserID, name idp.NameID) (has, isFree bool, err error) {
	current, err := r.get(inNameIDs, pairKey(string(scope), string(user)))
	owner, reverseErr := r.get(inNameIDUsers, pairKey(string(scope), string(name)))
	has = current != nil && string(current) == string(name) && string(owner) == string(user)
	return has, current == nil && owner == nil, errors.Join(err, reverseErr)
}

// copyNameIDs queues copies of all NameIDs of one scope in another one, and returns how many
// were missing there. It returns *idp.ClashError if the other scope has a different NameID
// for a user, or a different user for a NameID.
func (w *writer) copyNameIDs(from, to idp.NameIDScope) (copied int, err error) {
	clashes := 0
	prefix := pairKey(string(from), "")
	for key, value := range w.scan(inNameIDs, prefix) {
		name, err := w.verifyValue(inNameIDs, key, value)
		if err != nil {
			return 0, err
		}
		user := key[len(prefix):]
		has, isFree, err := w.checkNameID(to, idp.UserID(user), idp.NameID(name))
		switch {
		case err != nil:
			return 0, err
		case has:
		case !isFree:
			clashes++
		default:
			copied++
			w.put(inNameIDs, pairKey(string(to), string(user)), bytes.Clone(name))
			w.put(inNameIDUsers, pairKey(string(to), string(name)), bytes.Clone(user))
		}
	}
	if clashes > 0 {
		return 0, &idp.ClashError{NameIDs: clashes}
	}
	return copied, nil
}
