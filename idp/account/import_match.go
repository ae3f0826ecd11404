package account

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"vernal/idp"
)

// findUser returns the user who has one of u's email addresses. isAmbiguous is true if they
// belong to more than one user.
func (im *importer) findUser(ctx context.Context, u *idp.User) (storedUser *idp.User, isAmbiguous bool, err error) {
	for _, e := range u.Emails {
		owner, err := im.s.Store.UserByEmail(ctx, e.Address)
		switch {
		case errors.Is(err, idp.ErrNotFound):
		case err != nil:
			return nil, false, fmt.Errorf("look up account: %w", err)
		case storedUser != nil && storedUser.ID != owner.ID:
			return nil, true, nil
		default:
			storedUser = owner
		}
	}
	return storedUser, false, nil
}

// checkUnclaimed checks that no user has the NameIDs of a new one. The record of a deleted
// user is present if its NameIDs belong to a user that was deleted here.
func (im *importer) checkUnclaimed(ctx context.Context, line *ImportLine, candidate *idp.ImportedUser) (*idp.ImportedUser, error) {
	var deletedOwner idp.UserID
	matchCount := 0
	for _, key := range sortedKeys(line.Record.NameIDs) {
		scope, _, _, err := im.finder.findScope(ctx, key)
		if err != nil {
			return nil, err
		}
		owner, err := im.s.Store.UserByNameID(ctx, scope, line.Record.NameIDs[key])
		if errors.Is(err, idp.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look up NameID: %w", err)
		}
		_, err = im.s.Store.User(ctx, owner)
		switch {
		case errors.Is(err, idp.ErrNotFound) && candidate.IsDeleted && (deletedOwner == "" || deletedOwner == owner):
			deletedOwner = owner
			matchCount++
		case errors.Is(err, idp.ErrNotFound):
			im.addProblem(line.Line, "name_ids."+key, "belonged to a deleted user, and a NameID is never reused")
			return nil, nil
		case err != nil:
			return nil, fmt.Errorf("look up user: %w", err)
		default:
			im.addProblem(line.Line, "name_ids."+key, "is the NameID of another user")
			return nil, nil
		}
	}
	switch {
	case matchCount == 0:
		return candidate, nil
	case matchCount == len(line.Record.NameIDs):
		im.result.PresentLines = append(im.result.PresentLines, line.Line)
	default:
		im.addProblem(line.Line, "name_ids", "some of the NameIDs belonged to a deleted user, and others did not")
	}
	return nil, nil
}

// compareUser compares a line with the existing user. It returns the NameIDs and disclosed
// email addresses to add to the user, or nil.
func (im *importer) compareUser(ctx context.Context, line *ImportLine, candidate *idp.ImportedUser, storedUser *idp.User) (*idp.ImportedUser, error) {
	differences := im.findDifferences(&line.Record, candidate.User, storedUser)
	if candidate.Profile != nil {
		profile, err := im.s.Profile(ctx, storedUser)
		if err != nil {
			return nil, err
		}
		if !hasValues(profile, candidate.Profile) {
			differences = append(differences, "profile")
		}
	}
	newNameIDs := map[idp.NameIDScope]idp.NameID{}
	for scope, want := range candidate.NameIDs {
		storedNameID, err := im.s.Store.NameID(ctx, scope, storedUser.ID)
		if errors.Is(err, idp.ErrNotFound) {
			owner, err := im.s.Store.UserByNameID(ctx, scope, want)
			switch {
			case errors.Is(err, idp.ErrNotFound):
				newNameIDs[scope] = want
			case err != nil:
				return nil, fmt.Errorf("look up NameID: %w", err)
			case owner != storedUser.ID:
				differences = append(differences, "name_ids")
			}
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look up NameID: %w", err)
		}
		if storedNameID != want {
			differences = append(differences, "name_ids")
		}
	}
	disclosures := newDisclosures(candidate.User, storedUser)
	newReserved := slices.DeleteFunc(slices.Clone(candidate.User.ReservedEmails), func(hash []byte) bool {
		return slices.ContainsFunc(storedUser.ReservedEmails, func(h []byte) bool { return bytes.Equal(h, hash) })
	})
	switch {
	case len(differences) > 0:
		slices.Sort(differences)
		im.addProblem(line.Line, strings.Join(slices.Compact(differences), ", "), "the existing user with this email address differs, so nothing was changed")
	case len(newNameIDs)+len(disclosures)+len(newReserved) > 0:
		update := *storedUser
		update.Emails, update.ReservedEmails = disclosures, newReserved
		return &idp.ImportedUser{User: &update, NameIDs: newNameIDs, AlreadyExists: true}, nil
	default:
		im.result.PresentLines = append(im.result.PresentLines, line.Line)
	}
	return nil, nil
}

// newDisclosures returns the email addresses, each with the service providers that received it as
// a NameID according to the record, but not according to the existing user.
func newDisclosures(u, storedUser *idp.User) (disclosures []idp.Email) {
	for _, e := range u.Emails {
		e.DisclosedTo = slices.DeleteFunc(slices.Clone(e.DisclosedTo), func(id idp.EntityID) bool { return storedUser.DisclosedEmail(id, e.Address) != nil })
		if len(e.DisclosedTo) > 0 {
			disclosures = append(disclosures, e)
		}
	}
	return disclosures
}

// findDifferences returns the fields in which a record differs from the existing user. Absent
// fields do not count, nor does a hash that a sign-in replaced because the old one was cheap.
// compareUser compares the profile.
func (im *importer) findDifferences(rec *Record, u, storedUser *idp.User) []string {
	var differences []string
	compareField := func(field string, isSame bool) {
		if !isSame {
			differences = append(differences, field)
		}
	}
	for _, e := range u.Emails {
		compareField("emails", slices.ContainsFunc(storedUser.Emails, func(h idp.Email) bool { return strings.EqualFold(h.Address, e.Address) }))
	}
	isRehashed := im.s.Hasher.NeedsRehash(u.PasswordHash) && !storedUser.PasswordChangedAt.After(storedUser.CreatedAt)
	if !rec.PasswordChangedAt.IsZero() {
		isRehashed = im.s.Hasher.NeedsRehash(u.PasswordHash) && storedUser.PasswordChangedAt.Equal(u.PasswordChangedAt)
	}
	compareField("password_hash", u.PasswordHash == "" || u.PasswordHash == storedUser.PasswordHash || storedUser.PasswordHash != "" && isRehashed)
	for _, t := range u.TOTPs {
		compareField("totps", slices.ContainsFunc(storedUser.TOTPs, func(h idp.TOTP) bool { return string(h.Secret) == string(t.Secret) && h.Period == t.Period }))
	}
	compareField("role", u.Role == "" || u.Role == storedUser.Role)
	compareField("locked", !u.IsLocked() || storedUser.IsLocked())
	return differences
}

// hasValues reports whether a profile contains all values of another. A nil profile contains
// none.
func hasValues(profile, want *idp.Profile) bool {
	if profile == nil {
		return false
	}
	union := *want
	if union.VerifiedAt.IsZero() {
		union.VerifiedAt = profile.VerifiedAt
	}
	for _, f := range profileFields {
		if *f.locate(&union) == "" {
			*f.locate(&union) = *f.locate(profile)
		}
	}
	return len(changedFields(profile, &union)) == 0
}
