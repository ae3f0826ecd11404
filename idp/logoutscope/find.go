// Package logoutscope decides which sessions a LogoutRequest ends, and the status of the answer.
// find.go looks up the user that it names, and judge.go decides. It changes nothing: package logout
// carries out the decision, and package inspect only reports it.
package logoutscope

import (
	"context"
	"errors"
	"fmt"

	"vernal/idp"
	"vernal/idp/saml"
	"vernal/idp/sp"
)

// Store reads the records that identify the user of a message.
type Store interface {
	UserByNameID(ctx context.Context, scope idp.NameIDScope, name idp.NameID) (idp.UserID, error)
	UserByEmail(ctx context.Context, email string) (*idp.User, error)
	NameID(ctx context.Context, scope idp.NameIDScope, user idp.UserID) (idp.NameID, error)
}

// Find fills in the user that a request names, by its NameID and by its SessionIndexes. The
// user is "" if the provider was sent no such name.
func Find(ctx context.Context, store Store, p *sp.Provider, req *idp.LogoutRequest, id *saml.NameID) (err error) {
	if req.User, err = findNamed(ctx, store, p, id); err != nil {
		return err
	}
	return readUUIDs(ctx, store, p, req)
}

// readUUIDs looks among the SessionIndexes for UUIDs that the provider was sent for users. On
// the back channel, a single SessionIndex names the user. Beside others a UUID only says that
// every session is meant, because one message reaches one user.
func readUUIDs(ctx context.Context, store Store, p *sp.Provider, req *idp.LogoutRequest) error {
	for _, index := range req.SessionIndexes {
		user, err := store.UserByNameID(ctx, p.NameIDScope, idp.NameID(index))
		if errors.Is(err, idp.ErrNotFound) {
			continue
		}
		if err != nil {
			return wrapError(err)
		}
		if user == req.User {
			req.UUIDIndex = true
		}
		if len(req.SessionIndexes) == 1 {
			req.IndexUser = user
		}
	}
	return nil
}

// findNamed returns the user that was disclosed to the provider under a NameID, or "" if none
// was. The format is ignored, because software sends it wrong or not at all, and the value is
// sufficient.
//
// An email address names a user only to a provider that may use email addresses, and only if
// it was sent this one as a NameID. Another email address of the same user is answered like an
// unknown one. Otherwise an SP could reach users who never signed in there, and find out which
// email addresses belong together.
func findNamed(ctx context.Context, store Store, p *sp.Provider, id *saml.NameID) (idp.UserID, error) {
	user, err := store.UserByNameID(ctx, p.NameIDScope, idp.NameID(id.Value))
	if err == nil || !errors.Is(err, idp.ErrNotFound) {
		return user, wrapError(err)
	}
	if !p.AllowsNameIDFormat(idp.NameIDFormatEmail) {
		return "", nil
	}
	u, err := store.UserByEmail(ctx, id.Value)
	switch {
	case errors.Is(err, idp.ErrNotFound):
		return "", nil
	case err != nil:
		return "", wrapError(err)
	case u.DisclosedEmail(p.EntityID, id.Value) == nil:
		return "", nil
	}
	// A provider that was removed and added again may be another organization's. It knows no
	// user before the user signs in there.
	_, err = store.NameID(ctx, p.NameIDScope, u.ID)
	if errors.Is(err, idp.ErrNotFound) {
		return "", nil
	}
	return u.ID, wrapError(err)
}

func wrapError(err error) error {
	if err != nil {
		return fmt.Errorf("look up user of logout: %w", err)
	}
	return nil
}
