package account

import (
	"cmp"
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

// Limits of a record. Only maxRecord limits the number of a user's NameIDs, because a user can have
// one for each service provider.
const (
	maxEmails     = 20
	maxLockReason = 500
)

// ImportLine is one record and its line in the file.
type ImportLine struct {
	Line   int    `json:"line"`
	Record Record `json:"record"`
}

// ImportOptions are the options of an import.
type ImportOptions struct {
	// DryRun checks everything and changes nothing.
	DryRun bool `json:"dry_run,omitempty"`
	// UnregisteredKeys accepts NameIDs for agencies and service providers that are not
	// registered.
	Unregistered bool `json:"unregistered,omitempty"`
}

// OptionUnregistered names ImportOptions.Unregistered.
const OptionUnregistered = "unregistered"

// ImportProblem is one problem of a line.
type ImportProblem struct {
	Line  int    `json:"line"`
	Field string `json:"field,omitempty"`
	Text  string `json:"text"`
	// Option is the import option that accepts the line anyway, zero without such an option.
	Option idp.Option `json:"option,omitzero"`
}

func (p ImportProblem) String() string {
	if p.Field == "" {
		return fmt.Sprintf("line %d: %s", p.Line, p.Text)
	}
	return fmt.Sprintf("line %d: %s: %s", p.Line, p.Field, p.Text)
}

// ImportResult is the result of an import or, in a dry run, the result that it would have. Each
// line is counted in one of the first three fields or has a problem.
type ImportResult struct {
	// AddedCount counts new users. ExtendedCount counts existing users to whom NameIDs were
	// added.
	AddedCount    int `json:"added"`
	ExtendedCount int `json:"extended"`
	// PresentLines are the lines of users that already exist with the same data.
	PresentLines []int           `json:"present,omitempty"`
	Problems     []ImportProblem `json:"problems,omitempty"`
	// UnregisteredKeys are keys of NameIDs that match no service provider or agency.
	UnregisteredKeys []string `json:"unregistered,omitempty"`
}

// Import adds users with their data from another identity provider, all valid lines in one step. An
// existing user is never changed, except that NameIDs are added in scopes without one. A line that
// differs from the existing user is a problem, and an identical one is not. Problems of lines are
// in the result. An error is a fault on our side.
func (s *Service) Import(ctx context.Context, lines []ImportLine, options ImportOptions, actor string) (*ImportResult, error) {
	finder, err := s.newScopeFinder(ctx, options.Unregistered)
	if err != nil {
		return nil, err
	}
	im := &importer{s: s, finder: finder, now: s.Clock.Now().Truncate(time.Second), actor: actor, result: &ImportResult{}}
	var users []idp.ImportedUser
	var lineNumbers []int // of users
	for i := range lines {
		u, err := im.prepareUser(ctx, &lines[i])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", lines[i].Line, err)
		}
		if u != nil {
			users, lineNumbers = append(users, *u), append(lineNumbers, lines[i].Line)
		}
	}
	outcomes := make([]error, len(users))
	if !options.DryRun && len(users) > 0 {
		// This precedes the users, so that the cost of every hash in use is recorded, even if
		// a later step fails.
		if err := s.addImportCosts(ctx, users); err != nil {
			return nil, fmt.Errorf("import users: %w", err)
		}
		if outcomes, err = s.Store.ImportUsers(ctx, users); err != nil {
			return nil, fmt.Errorf("import users: %w", err)
		}
	}
	for i, err := range outcomes {
		isReservation := users[i].IsDeleted && len(users[i].NameIDs) == 0
		switch {
		case isReservation && errors.Is(err, idp.ErrExists):
			im.result.PresentLines = append(im.result.PresentLines, lineNumbers[i])
		case err != nil:
			im.addConflict(lineNumbers[i], err)
		case users[i].AlreadyExists:
			im.result.ExtendedCount++
		default:
			im.result.AddedCount++
		}
	}
	slices.SortStableFunc(im.result.Problems, func(a, b ImportProblem) int { return a.Line - b.Line })
	return im.result, nil
}

// importer processes the lines of one call.
type importer struct {
	s      *Service
	finder *scopeFinder
	now    time.Time
	actor  string
	result *ImportResult
}

func (im *importer) addProblem(line int, field, text string) {
	im.result.Problems = append(im.result.Problems, ImportProblem{Line: line, Field: fieldName(field), Text: text})
}

// addConflict adds a problem that only the store found, because another request or an earlier
// line changed a user after the checks.
func (im *importer) addConflict(line int, err error) {
	var takenErr *idp.TakenError
	switch {
	case errors.As(err, &takenErr):
		im.addProblem(line, "name_ids", "one of the NameIDs belongs to another user")
	case errors.Is(err, idp.ErrNotFound):
		im.addProblem(line, "emails", "the user was deleted during the import")
	default:
		im.addProblem(line, "emails", "another user has one of these email addresses, or had it when it was disclosed as a NameID")
	}
}

// prepareUser converts a line into the user to import. It returns nil if the line changes
// nothing or has problems, which it adds to the result.
func (im *importer) prepareUser(ctx context.Context, line *ImportLine) (*idp.ImportedUser, error) {
	u, profile, problems := im.newUser(&line.Record)
	nameIDs, nameIDProblems, err := im.readNameIDs(ctx, &line.Record)
	if err != nil {
		return nil, err
	}
	for _, w := range append(problems, nameIDProblems...) {
		im.addProblem(line.Line, w.Field, w.Detail)
		if w.Problem == problemUnregistered {
			im.result.Problems[len(im.result.Problems)-1].Option = idp.Option{Name: OptionUnregistered}
		}
	}
	if len(problems)+len(nameIDProblems) > 0 {
		return nil, nil
	}
	candidate := &idp.ImportedUser{User: u, Profile: profile, NameIDs: nameIDs, IsDeleted: line.Record.Deleted}
	storedUser, isAmbiguous, err := im.findUser(ctx, u)
	switch {
	case err != nil:
		return nil, err
	case isAmbiguous:
		im.addProblem(line.Line, "emails", "the email addresses belong to different users")
		return nil, nil
	case storedUser != nil:
		candidate, err = im.compareUser(ctx, line, candidate, storedUser)
	default:
		candidate, err = im.checkUnclaimed(ctx, line, candidate)
	}
	if candidate != nil {
		level := candidate.Profile.Proofing()
		if candidate.AlreadyExists {
			level = candidate.User.Proofing
		}
		candidate.Event = newChangeEvent(idp.AuditUserImport, candidate.User.ID, im.actor)
		n := len(candidate.NameIDs)
		for _, e := range candidate.User.Emails {
			n += len(e.DisclosedTo) // an email address disclosed as a NameID counts as one
		}
		candidate.Event.Detail = map[string]string{"name_ids": strconv.Itoa(n), "level": getLevel(level)}
	}
	return candidate, err
}

var rolePattern = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

// newUser converts a record into a user and a profile, and returns all problems of the record.
func (im *importer) newUser(rec *Record) (*idp.User, *idp.Profile, InputErrors) {
	u := &idp.User{ID: idp.UserID(rand.Text()), CreatedAt: cmp.Or(rec.CreatedAt.UTC(), im.now), UpdatedAt: im.now}
	f := &faults{now: im.now}
	f.checkPast("created_at", rec.CreatedAt)
	if rec.Deleted {
		if len(rec.Emails)+len(rec.TOTPs) > 0 || rec.PasswordHash != "" || rec.Profile != nil || rec.Locked || len(rec.Services) > 0 {
			f.addInvalid("deleted", "a deleted user can have only name_ids and reserved_emails: remove the other fields")
		}
		if len(rec.NameIDs)+len(rec.ReservedEmails) == 0 {
			f.addInvalid("name_ids", "is missing")
		}
		u.ReservedEmails = f.readHashes(rec.ReservedEmails)
		return u, nil, f.problems
	}
	u.ReservedEmails = f.readHashes(rec.ReservedEmails)
	u.Emails = f.readEmails(rec.Emails, u.CreatedAt)
	f.readPassword(rec, u)
	f.readTOTPs(rec, u)
	if u.Role = rec.Role; rec.Role != "" && !rolePattern.MatchString(rec.Role) {
		f.addInvalid("role", "must be a lower-case word of at most 32 letters, digits, _ and -")
	}
	f.readLock(rec, u)
	f.readServices(rec.Services, u)
	var profile *idp.Profile
	if rec.Profile != nil {
		p, err := CheckProfile((*idp.Profile)(rec.Profile), im.now)
		var problems InputErrors
		errors.As(err, &problems)
		for _, w := range problems {
			f.addInvalid("profile."+w.Field, w.Detail)
		}
		profile = p
	}
	return u, profile, f.problems
}

// readNameIDs returns the NameIDs of a record by scope.
func (im *importer) readNameIDs(ctx context.Context, rec *Record) (map[idp.NameIDScope]idp.NameID, InputErrors, error) {
	f := &faults{}
	nameIDs := make(map[idp.NameIDScope]idp.NameID, len(rec.NameIDs))
	for _, key := range sortedKeys(rec.NameIDs) {
		field, value := "name_ids."+key, rec.NameIDs[key]
		if text := checkNameID(value); text != "" {
			f.addInvalid(field, text)
			continue
		}
		scope, isRegistered, fault, err := im.finder.findScope(ctx, key)
		switch {
		case err != nil:
			return nil, nil, err
		case fault == faultUnregistered:
			f.addProblem(field, problemUnregistered, fault)
			continue
		case fault != "":
			f.addInvalid(field, fault)
			continue
		case nameIDs[scope] != "" && nameIDs[scope] != value:
			f.addInvalid(field, "names the same agency or service provider as another key, but has another value")
			continue
		case !isRegistered && !slices.Contains(im.result.UnregisteredKeys, key):
			im.result.UnregisteredKeys = append(im.result.UnregisteredKeys, key)
		}
		nameIDs[scope] = value
	}
	return nameIDs, f.problems, nil
}
