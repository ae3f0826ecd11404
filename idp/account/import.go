package account

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	"vernal/idp"
)

// Bounds of a record. How many NameIDs a user has is bounded by maxRecord alone:
// it is as many as there are service providers.
const (
	maxEmails = 20
	maxReason = 500
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

// OptionUnregistered names ImportOptions.Unregistered.
const OptionUnregistered = "unregistered"

// ImportProblem is what is wrong with a line.
type ImportProblem struct {
	Line  int    `json:"line"`
	Field string `json:"field,omitempty"`
	Text  string `json:"text"`
	// Option is the one of ImportOptions that takes it all the same; zero if none does.
	Option idp.Option `json:"option,omitzero"`
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
		// Before the users, so that no hash is in use whose cost is not in the
		// document, whatever happens in between.
		if err := s.importWorks(ctx, people); err != nil {
			return nil, fmt.Errorf("import people: %w", err)
		}
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
	im.result.Problems = append(im.result.Problems, ImportProblem{Line: line, Field: fieldName(field), Text: text})
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
	u, profile, wrong := im.person(&l.Record)
	names, faults, err := im.nameIDs(ctx, &l.Record)
	if err != nil {
		return nil, err
	}
	for _, w := range append(wrong, faults...) {
		im.problem(l.Line, w.Field, w.Detail)
		if w.Problem == problemUnregistered {
			im.result.Problems[len(im.result.Problems)-1].Option = idp.Option{Name: OptionUnregistered}
		}
	}
	if len(wrong)+len(faults) > 0 {
		return nil, nil
	}
	p := &idp.ImportedUser{User: u, Profile: profile, NameIDs: names, Deleted: l.Record.Deleted}
	there, several, err := im.find(ctx, u)
	switch {
	case err != nil:
		return nil, err
	case several:
		im.problem(l.Line, "emails", "the addresses are of different people here")
		return nil, nil
	case there != nil:
		p, err = im.compare(ctx, l, p, there)
	default:
		p, err = im.unclaimed(ctx, l, p)
	}
	if p != nil {
		level := p.Profile.Proofed()
		if p.Existing {
			level = p.User.Proofed
		}
		p.Event = event(idp.AuditUserImport, p.User.ID, im.actor)
		n := len(p.NameIDs)
		for _, e := range p.User.Emails {
			n += len(e.DisclosedTo) // an email address that was given as a NameID is one
		}
		p.Event.Detail = map[string]string{"name_ids": strconv.Itoa(n), "level": levelOf(level)}
	}
	return p, err
}

var roleForm = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

// person makes a person of a record, with their profile and all that is wrong
// with it.
func (im *importer) person(rec *Record) (*idp.User, *idp.Profile, InputErrors) {
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
		return u, nil, f.wrong
	}
	u.Emails = f.emails(rec.Emails, u.CreatedAt)
	f.password(rec, u)
	f.totps(rec, u)
	if u.Role = rec.Role; rec.Role != "" && !roleForm.MatchString(rec.Role) {
		f.add("role", "must be a word in lower case")
	}
	f.lock(rec, u)
	var profile *idp.Profile
	if rec.Profile != nil {
		p, err := CheckProfile((*idp.Profile)(rec.Profile), im.now)
		var wrong InputErrors
		errors.As(err, &wrong)
		for _, w := range wrong {
			f.add("profile."+w.Field, w.Detail)
		}
		profile = p
	}
	return u, profile, f.wrong
}

// nameIDs gives the NameIDs of a record by scope.
func (im *importer) nameIDs(ctx context.Context, rec *Record) (map[idp.NameIDScope]idp.NameID, InputErrors, error) {
	f := &faults{}
	names := make(map[idp.NameIDScope]idp.NameID, len(rec.NameIDs))
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
		case fault == faultUnregistered:
			f.addProblem(field, problemUnregistered, fault)
			continue
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
