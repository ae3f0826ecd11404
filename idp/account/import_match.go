package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"vernal/idp"
)

// find is the person who has one of the addresses; several is true if they are
// of more than one.
func (im *importer) find(ctx context.Context, u *idp.User) (there *idp.User, several bool, err error) {
	for _, e := range u.Emails {
		found, err := im.s.Store.UserByEmail(ctx, e.Address)
		switch {
		case errors.Is(err, idp.ErrNotFound):
		case err != nil:
			return nil, false, fmt.Errorf("look up account: %w", err)
		case there != nil && there.ID != found.ID:
			return nil, true, nil
		default:
			there = found
		}
	}
	return there, false, nil
}

// unclaimed makes sure that nobody has the NameIDs of a person who is not here.
// The record of a deleted person is there already if its NameIDs are those of
// one who was deleted here.
func (im *importer) unclaimed(ctx context.Context, l *ImportLine, p *idp.ImportedUser) (*idp.ImportedUser, error) {
	var before idp.UserID // who had them and was deleted
	had := 0
	for _, key := range sortedKeys(l.Record.NameIDs) {
		scope, _, _, err := im.keys.of(ctx, key)
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
		case errors.Is(err, idp.ErrNotFound) && p.Deleted && (before == "" || before == owner):
			before = owner
			had++
		case errors.Is(err, idp.ErrNotFound):
			im.problem(l.Line, "name_ids."+key, "belonged to somebody who was deleted; a NameID is never given again")
			return nil, nil
		case err != nil:
			return nil, fmt.Errorf("look up person: %w", err)
		default:
			im.problem(l.Line, "name_ids."+key, "is the NameID of somebody else already")
			return nil, nil
		}
	}
	switch {
	case had == 0:
		return p, nil
	case had == len(l.Record.NameIDs):
		im.result.Present = append(im.result.Present, l.Line)
	default:
		im.problem(l.Line, "name_ids", "some of them belonged to somebody who was deleted here, and others not")
	}
	return nil, nil
}

// compare holds a line against the person who is here: the same, the same with
// NameIDs to add, email addresses that were given as NameIDs included, or another.
func (im *importer) compare(ctx context.Context, l *ImportLine, p *idp.ImportedUser, there *idp.User) (*idp.ImportedUser, error) {
	differs := im.differences(&l.Record, p.User, there)
	if p.Profile != nil {
		profile, err := im.s.Profile(ctx, there)
		if err != nil {
			return nil, err
		}
		if !agrees(profile, p.Profile) {
			differs = append(differs, "profile")
		}
	}
	more := map[idp.NameIDScope]idp.NameID{}
	for scope, want := range p.NameIDs {
		has, err := im.s.Store.NameID(ctx, scope, there.ID)
		if errors.Is(err, idp.ErrNotFound) {
			owner, err := im.s.Store.UserByNameID(ctx, scope, want)
			switch {
			case errors.Is(err, idp.ErrNotFound):
				more[scope] = want
			case err != nil:
				return nil, fmt.Errorf("look up NameID: %w", err)
			case owner != there.ID:
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
	disclosed := newDisclosures(p.User, there)
	switch {
	case len(differs) > 0:
		slices.Sort(differs)
		im.problem(l.Line, strings.Join(slices.Compact(differs), ", "), "somebody with this address is there already, and differs; nothing was changed")
	case len(more)+len(disclosed) > 0:
		known := *there
		known.Emails = disclosed
		return &idp.ImportedUser{User: &known, NameIDs: more, Existing: true}, nil
	default:
		im.result.Present = append(im.result.Present, l.Line)
	}
	return nil, nil
}

// newDisclosures are the email addresses that service providers were given as NameIDs,
// as far as it is not known here.
func newDisclosures(u, there *idp.User) (list []idp.Email) {
	for _, e := range u.Emails {
		e.DisclosedTo = slices.DeleteFunc(slices.Clone(e.DisclosedTo), func(id idp.EntityID) bool { return there.DisclosedEmail(id, e.Address) != nil })
		if len(e.DisclosedTo) > 0 {
			list = append(list, e)
		}
	}
	return list
}

// differences names what a record says otherwise of a person who is here. What
// it does not speak of does not count, nor does what sign-ins change: a hash
// that was made anew because the old one was cheap. The profile is compare's.
func (im *importer) differences(rec *Record, u, there *idp.User) []string {
	var differs []string
	differ := func(field string, same bool) {
		if !same {
			differs = append(differs, field)
		}
	}
	for _, e := range u.Emails {
		differ("emails", slices.ContainsFunc(there.Emails, func(h idp.Email) bool { return strings.EqualFold(h.Address, e.Address) }))
	}
	renewed := im.s.Hasher.NeedsRehash(u.PasswordHash) && !there.PasswordChangedAt.After(there.CreatedAt)
	if !rec.PasswordChangedAt.IsZero() {
		renewed = im.s.Hasher.NeedsRehash(u.PasswordHash) && there.PasswordChangedAt.Equal(u.PasswordChangedAt)
	}
	differ("password_hash", u.PasswordHash == "" || u.PasswordHash == there.PasswordHash || there.PasswordHash != "" && renewed)
	for _, t := range u.TOTPs {
		differ("totps", slices.ContainsFunc(there.TOTPs, func(h idp.TOTP) bool { return string(h.Secret) == string(t.Secret) && h.Period == t.Period }))
	}
	differ("role", u.Role == "" || u.Role == there.Role)
	differ("locked", !u.Locked() || there.Locked())
	return differs
}

// agrees reports whether a profile is what is said of it; a value that is not
// said is not denied. Of nobody's profile, nil, nothing that is said is true.
func agrees(p, said *idp.Profile) bool {
	if p == nil {
		return false
	}
	full := *said
	if full.VerifiedAt.IsZero() {
		full.VerifiedAt = p.VerifiedAt
	}
	for _, f := range profileFields {
		if *f.at(&full) == "" {
			*f.at(&full) = *f.at(p)
		}
	}
	return len(changedFields(p, &full)) == 0
}
