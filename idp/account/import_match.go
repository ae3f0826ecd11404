package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"vernal/idp"
)

// findUser returns the user who has one of the email addresses. several is true if they belong
// to more than one user.
func (im *importer) findUser(ctx context.Context, u *idp.User) (existing *idp.User, several bool, err error) {
	for _, e := range u.Emails {
		found, err := im.s.Store.UserByEmail(ctx, e.Address)
		switch {
		case errors.Is(err, idp.ErrNotFound):
		case err != nil:
			return nil, false, fmt.Errorf("look up account: %w", err)
		case existing != nil && existing.ID != found.ID:
			return nil, true, nil
		default:
			existing = found
		}
	}
	return existing, false, nil
}

// checkUnclaimed checks that no user has the NameIDs of a new one. The record of a deleted
// user is present if its NameIDs belong to a user that was deleted here.
func (im *importer) checkUnclaimed(ctx context.Context, l *ImportLine, p *idp.ImportedUser) (*idp.ImportedUser, error) {
	var before idp.UserID // a deleted user who had the NameIDs
	had := 0
	for _, key := range sortedKeys(l.Record.NameIDs) {
		scope, _, _, err := im.finder.findScope(ctx, key)
		if err != nil {
			return nil, err
		}
		owner, err := im.s.Store.UserByNameID(ctx, scope, l.Record.NameIDs[key])
		if errors.Is(err, idp.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look up NameID: %w", err)
		}
		_, err = im.s.Store.User(ctx, owner)
		switch {
		case errors.Is(err, idp.ErrNotFound) && p.IsDeleted && (before == "" || before == owner):
			before = owner
			had++
		case errors.Is(err, idp.ErrNotFound):
			im.addProblem(l.Line, "name_ids."+key, "belonged to a user who was deleted; a NameID is never reused")
			return nil, nil
		case err != nil:
			return nil, fmt.Errorf("look up user: %w", err)
		default:
			im.addProblem(l.Line, "name_ids."+key, "is the NameID of another user")
			return nil, nil
		}
	}
	switch {
	case had == 0:
		return p, nil
	case had == len(l.Record.NameIDs):
		im.result.PresentLines = append(im.result.PresentLines, l.Line)
	default:
		im.addProblem(l.Line, "name_ids", "some of them belonged to a user who was deleted here, and others did not")
	}
	return nil, nil
}

// compareUser compares a line with the existing user: the same, the same with NameIDs
// to add (disclosed email addresses included), or different.
func (im *importer) compareUser(ctx context.Context, l *ImportLine, p *idp.ImportedUser, existing *idp.User) (*idp.ImportedUser, error) {
	differs := im.findDifferences(&l.Record, p.User, existing)
	if p.Profile != nil {
		profile, err := im.s.Profile(ctx, existing)
		if err != nil {
			return nil, err
		}
		if !hasValues(profile, p.Profile) {
			differs = append(differs, "profile")
		}
	}
	more := map[idp.NameIDScope]idp.NameID{}
	for scope, want := range p.NameIDs {
		has, err := im.s.Store.NameID(ctx, scope, existing.ID)
		if errors.Is(err, idp.ErrNotFound) {
			owner, err := im.s.Store.UserByNameID(ctx, scope, want)
			switch {
			case errors.Is(err, idp.ErrNotFound):
				more[scope] = want
			case err != nil:
				return nil, fmt.Errorf("look up NameID: %w", err)
			case owner != existing.ID:
				differs = append(differs, "name_ids")
			}
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look up NameID: %w", err)
		}
		if has != want {
			differs = append(differs, "name_ids")
		}
	}
	disclosed := newDisclosures(p.User, existing)
	switch {
	case len(differs) > 0:
		slices.Sort(differs)
		im.addProblem(l.Line, strings.Join(slices.Compact(differs), ", "), "the existing user with this email address differs; nothing was changed")
	case len(more)+len(disclosed) > 0:
		known := *existing
		known.Emails = disclosed
		return &idp.ImportedUser{User: &known, NameIDs: more, AlreadyExists: true}, nil
	default:
		im.result.PresentLines = append(im.result.PresentLines, l.Line)
	}
	return nil, nil
}

// newDisclosures returns the email addresses with those service providers that received them as
// NameIDs according to the record, but not according to the existing user.
func newDisclosures(u, existing *idp.User) (list []idp.Email) {
	for _, e := range u.Emails {
		e.DisclosedTo = slices.DeleteFunc(slices.Clone(e.DisclosedTo), func(id idp.EntityID) bool { return existing.DisclosedEmail(id, e.Address) != nil })
		if len(e.DisclosedTo) > 0 {
			list = append(list, e)
		}
	}
	return list
}

// findDifferences returns the fields in which a record differs from the existing user. Absent
// fields do not count, nor does a hash that a sign-in replaced because the old one was cheap.
// compareUser compares the profile.
func (im *importer) findDifferences(rec *Record, u, existing *idp.User) []string {
	var differs []string
	differ := func(field string, same bool) {
		if !same {
			differs = append(differs, field)
		}
	}
	for _, e := range u.Emails {
		differ("emails", slices.ContainsFunc(existing.Emails, func(h idp.Email) bool { return strings.EqualFold(h.Address, e.Address) }))
	}
	renewed := im.s.Hasher.NeedsRehash(u.PasswordHash) && !existing.PasswordChangedAt.After(existing.CreatedAt)
	if !rec.PasswordChangedAt.IsZero() {
		renewed = im.s.Hasher.NeedsRehash(u.PasswordHash) && existing.PasswordChangedAt.Equal(u.PasswordChangedAt)
	}
	differ("password_hash", u.PasswordHash == "" || u.PasswordHash == existing.PasswordHash || existing.PasswordHash != "" && renewed)
	for _, t := range u.TOTPs {
		differ("totps", slices.ContainsFunc(existing.TOTPs, func(h idp.TOTP) bool { return string(h.Secret) == string(t.Secret) && h.Period == t.Period }))
	}
	differ("role", u.Role == "" || u.Role == existing.Role)
	differ("locked", !u.IsLocked() || existing.IsLocked())
	return differs
}

// hasValues reports whether a profile contains all values of another. A nil profile contains
// none.
func hasValues(p, said *idp.Profile) bool {
	if p == nil {
		return false
	}
	full := *said
	if full.VerifiedAt.IsZero() {
		full.VerifiedAt = p.VerifiedAt
	}
	for _, f := range profileFields {
		if *f.locate(&full) == "" {
			*f.locate(&full) = *f.locate(p)
		}
	}
	return len(changedFields(p, &full)) == 0
}
