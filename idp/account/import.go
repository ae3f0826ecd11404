package account

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"vernal/idp"
)

// Bounds of a record.
const (
	maxEmails  = 20
	maxNameIDs = 200
	maxReason  = 500
)

// ImportLine is one record and where it stands in its file.
type ImportLine struct {
	Line   int    `json:"line"`
	Record Record `json:"record"`
}

// ImportOptions say how to import.
type ImportOptions struct {
	// DryRun checks everything and changes nothing.
	DryRun bool `json:"dry_run,omitempty"`
	// Unregistered takes NameIDs for agencies and service providers that nobody
	// is registered as.
	Unregistered bool `json:"unregistered,omitempty"`
}

// ImportProblem is what is wrong with a line.
type ImportProblem struct {
	Line  int    `json:"line"`
	Field string `json:"field,omitempty"`
	Text  string `json:"text"`
}

func (p ImportProblem) String() string {
	if p.Field == "" {
		return fmt.Sprintf("line %d: %s", p.Line, p.Text)
	}
	return fmt.Sprintf("line %d: %s: %s", p.Line, p.Field, p.Text)
}

// ImportResult is what became of the lines. Each is in one of the first three
// or has a problem; in a dry run they say what would become of it.
type ImportResult struct {
	// Added counts new people, Extended those who were there and got NameIDs
	// that they did not have.
	Added    int `json:"added"`
	Extended int `json:"extended"`
	// Present are the lines of people who are there as the line has them.
	Present  []int           `json:"present,omitempty"`
	Problems []ImportProblem `json:"problems,omitempty"`
	// Unregistered are keys of NameIDs that nobody is registered under.
	Unregistered []string `json:"unregistered,omitempty"`
}

// Import adds people with what another identity provider knows of them, in one
// step all whose lines are good. A person who is there already is never
// changed, but for NameIDs in scopes where they have none; a line that says
// something else of them is a problem, one that says the same is not. What is
// wrong with a line is in the result, errors are faults.
func (s *Service) Import(ctx context.Context, lines []ImportLine, o ImportOptions, actor string) (*ImportResult, error) {
	keys, err := s.scopes(ctx, o.Unregistered)
	if err != nil {
		return nil, err
	}
	im := &importer{s: s, keys: keys, now: s.Clock.Now().Truncate(time.Second), actor: actor, result: &ImportResult{}}
	var people []idp.ImportedUser
	var from []int // the line of each
	for i := range lines {
		p, err := im.line(ctx, &lines[i])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", lines[i].Line, err)
		}
		if p != nil {
			people, from = append(people, *p), append(from, lines[i].Line)
		}
	}
	outcome := make([]error, len(people))
	if !o.DryRun && len(people) > 0 {
		if outcome, err = s.Store.ImportUsers(ctx, people); err != nil {
			return nil, fmt.Errorf("import people: %w", err)
		}
	}
	for i, err := range outcome {
		switch {
		case err != nil:
			im.clash(from[i], err)
		case people[i].Existing:
			im.result.Extended++
		default:
			im.result.Added++
		}
	}
	slices.SortStableFunc(im.result.Problems, func(a, b ImportProblem) int { return a.Line - b.Line })
	return im.result, nil
}

// importer goes through the lines of one call.
type importer struct {
	s      *Service
	keys   *scopes
	now    time.Time
	actor  string
	result *ImportResult
}

func (im *importer) problem(line int, field, text string) {
	im.result.Problems = append(im.result.Problems, ImportProblem{line, fieldName(field), text})
}

// clash says what the store found that was not so when the line was looked at,
// or that an earlier line has made so.
func (im *importer) clash(line int, err error) {
	var taken *idp.TakenError
	switch {
	case errors.As(err, &taken):
		im.problem(line, "name_ids", "one of them is somebody else's already")
	case errors.Is(err, idp.ErrNotFound):
		im.problem(line, "emails", "the person was deleted meanwhile")
	default:
		im.problem(line, "emails", "somebody has one of these addresses already")
	}
}

// line makes of a line the person to import; nil if there is nothing to do or
// nothing that can be done, which is then in the result.
func (im *importer) line(ctx context.Context, l *ImportLine) (*idp.ImportedUser, error) {
	u, wrong := im.person(&l.Record)
	names, faults, err := im.nameIDs(ctx, &l.Record)
	if err != nil {
		return nil, err
	}
	for _, w := range append(wrong, faults...) {
		im.problem(l.Line, w.Field, w.Detail)
	}
	if len(wrong)+len(faults) > 0 {
		return nil, nil
	}
	p := &idp.ImportedUser{User: u, NameIDs: names, Deleted: l.Record.Deleted}
	there, several, err := im.find(ctx, u)
	switch {
	case err != nil:
		return nil, err
	case several:
		im.problem(l.Line, "emails", "the addresses are of different people here")
		return nil, nil
	case there != nil:
		p, err = im.compare(ctx, l, u, there, names)
	default:
		p, err = im.unclaimed(ctx, l, p)
	}
	if p != nil {
		p.Event = event("user.import", p.User.ID, im.actor)
		p.Event.Detail = map[string]string{"name_ids": strconv.Itoa(len(p.NameIDs)), "level": levelOf(p.User.Profile)}
	}
	return p, err
}

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
// NameIDs to add, or another.
func (im *importer) compare(ctx context.Context, l *ImportLine, u, there *idp.User, names map[idp.NameIDScope]idp.NameID) (*idp.ImportedUser, error) {
	differs := im.differences(&l.Record, u, there)
	more := map[idp.NameIDScope]idp.NameID{}
	for scope, want := range names {
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
	switch {
	case len(differs) > 0:
		slices.Sort(differs)
		im.problem(l.Line, strings.Join(slices.Compact(differs), ", "), "somebody with this address is there already, and differs; nothing was changed")
	case len(more) > 0:
		return &idp.ImportedUser{User: there, NameIDs: more, Existing: true}, nil
	default:
		im.result.Present = append(im.result.Present, l.Line)
	}
	return nil, nil
}

// differences names what a record says otherwise of a person who is here. What
// it does not speak of does not count, nor does what sign-ins change: a hash
// that was made anew because the old one was cheap.
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
	differ("profile", agrees(there.Profile, u.Profile))
	return differs
}

// agrees reports whether a profile is what is said of it; a value that is not
// said is not denied.
func agrees(p, said *idp.Profile) bool {
	if said == nil || p == nil {
		return said == nil
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

var roleForm = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

// person makes a person of a record, with all that is wrong with it.
func (im *importer) person(rec *Record) (*idp.User, InputErrors) {
	u := &idp.User{ID: idp.UserID(rand.Text()), CreatedAt: rec.CreatedAt.UTC(), UpdatedAt: im.now}
	if u.CreatedAt.IsZero() {
		u.CreatedAt = im.now
	}
	f := &faults{now: im.now}
	f.past("created_at", rec.CreatedAt)
	if rec.Deleted {
		bare := *rec
		bare.Deleted, bare.NameIDs, bare.CreatedAt = false, nil, time.Time{}
		if len(bare.Emails)+len(bare.TOTPs) > 0 || bare.PasswordHash != "" || bare.Profile != nil || bare.Locked {
			f.add("deleted", "of somebody who was deleted there are only name_ids")
		}
		if len(rec.NameIDs) == 0 {
			f.add("name_ids", "is missing")
		}
		return u, f.wrong
	}
	u.Emails = f.emails(rec.Emails, u.CreatedAt)
	f.password(rec, u)
	f.totps(rec, u)
	if u.Role = rec.Role; rec.Role != "" && !roleForm.MatchString(rec.Role) {
		f.add("role", "must be a word in lower case")
	}
	f.lock(rec, u)
	if rec.Profile != nil {
		p, err := CheckProfile(rec.Profile, im.now)
		var wrong InputErrors
		errors.As(err, &wrong)
		for _, w := range wrong {
			f.add("profile."+w.Field, w.Detail)
		}
		u.Profile = p
	}
	return u, f.wrong
}

// nameIDs gives the NameIDs of a record by scope.
func (im *importer) nameIDs(ctx context.Context, rec *Record) (map[idp.NameIDScope]idp.NameID, InputErrors, error) {
	f := &faults{}
	names := make(map[idp.NameIDScope]idp.NameID, len(rec.NameIDs))
	if len(rec.NameIDs) > maxNameIDs {
		f.add("name_ids", fmt.Sprintf("has more than %d entries", maxNameIDs))
		return nil, f.wrong, nil
	}
	for _, key := range sortedKeys(rec.NameIDs) {
		field, value := "name_ids."+key, rec.NameIDs[key]
		if text := checkNameID(value); text != "" {
			f.add(field, text)
			continue
		}
		scope, known, fault, err := im.keys.of(ctx, key)
		switch {
		case err != nil:
			return nil, nil, err
		case fault != "":
			f.add(field, fault)
			continue
		case names[scope] != "" && names[scope] != value:
			f.add(field, "is the same agency or provider as another key, with another value")
			continue
		case !known && !slices.Contains(im.result.Unregistered, key):
			im.result.Unregistered = append(im.result.Unregistered, key)
		}
		names[scope] = value
	}
	return names, f.wrong, nil
}
