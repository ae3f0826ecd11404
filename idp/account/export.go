package account

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"vernal/idp"
	"vernal/idp/audit"
)

// ExportOptions selects the data to export.
type ExportOptions struct {
	// Secrets includes password hashes, TOTP secrets and social security numbers. Without
	// them, no user can sign in after an import.
	Secrets bool `json:"secrets,omitempty"`
	// After is the Next of the previous page; "" for the first.
	After string `json:"after,omitempty"`
	// Limit is the maximum number of records on a page.
	Limit int `json:"limit,omitempty"`
}

// ExportPage is a part of an export. Next continues it; "" at the end.
type ExportPage struct {
	Records []Record `json:"records"`
	Next    string   `json:"next,omitempty"`
}

// The marks of ExportPage.Next. An export lists the users by ID, then the deleted users, whose
// NameIDs must stay taken in the new installation.
const (
	usersMark    = "p"
	deletedUsersMark = "d"
)

// markPattern is the form of ExportOptions.After: a mark and our own ID. Anything else is
// refused, because the value is written to the audit trail.
var markPattern = regexp.MustCompile(`^[pd][A-Za-z0-9_-]{0,64}$`)

// Export returns users in the form that Import reads, a page at a time. Each page is recorded
// in the audit trail before it is returned: the number of users, where the page begins, and
// whether it contains secrets. Users added during an export may be missing. Errors:
// *InputError.
func (s *Service) Export(ctx context.Context, o ExportOptions, actor string) (*ExportPage, error) {
	if o.After == "" {
		o.After = usersMark
	}
	if !markPattern.MatchString(o.After) {
		return nil, &InputError{"after", "invalid", "must be the next of the previous page"}
	}
	page, err := s.exportPage(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := s.Store.AppendAudit(ctx, newExportEvent(o, page, actor)); err != nil {
		return nil, fmt.Errorf("record the export: %w", err)
	}
	return page, nil
}

// newExportEvent returns the audit event of a page. The page contains the users between the marks
// after and next, so that the trail shows which users' secrets were exported.
func newExportEvent(o ExportOptions, page *ExportPage, actor string) idp.AuditEvent {
	e := audit.UsersExported.Event()
	e.Actor = actor
	e.Detail = map[string]string{"secrets": strconv.FormatBool(o.Secrets), "count": strconv.Itoa(len(page.Records)), "after": o.After}
	if page.Next != "" {
		e.Detail["next"] = page.Next
	}
	return e
}

func (s *Service) exportPage(ctx context.Context, o ExportOptions) (*ExportPage, error) {
	known, err := s.newScopeFinder(ctx, false)
	if err != nil {
		return nil, err
	}
	keys, err := known.listKeys(ctx)
	if err != nil {
		return nil, err
	}
	mark := o.After[:1]
	q := idp.UserQuery{After: idp.UserID(o.After[1:]), Limit: max(1, o.Limit), Deleted: mark == deletedUsersMark}
	users, err := s.Store.Users(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	page := &ExportPage{Records: []Record{}}
	for _, u := range users {
		rec := Record{Deleted: true}
		if !q.Deleted {
			profile, err := s.Profile(ctx, u)
			if err != nil {
				return nil, err
			}
			rec = newRecord(u, profile, o.Secrets)
		}
		if rec.NameIDs, err = s.listNameIDs(ctx, u.ID, keys); err != nil {
			return nil, err
		}
		if !q.Deleted || len(rec.NameIDs) > 0 {
			page.Records = append(page.Records, rec)
		}
	}
	switch {
	case len(users) == q.Limit:
		page.Next = mark + string(users[len(users)-1].ID)
	case !q.Deleted:
		page.Next = deletedUsersMark
	}
	return page, nil
}

// listNameIDs returns all NameIDs of a user, by the keys of their scopes.
func (s *Service) listNameIDs(ctx context.Context, id idp.UserID, keys map[idp.NameIDScope]string) (map[string]idp.NameID, error) {
	var names map[string]idp.NameID
	for scope, key := range keys {
		name, err := s.Store.NameID(ctx, scope, id)
		if errors.Is(err, idp.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look up NameID: %w", err)
		}
		if names == nil {
			names = make(map[string]idp.NameID)
		}
		names[key] = name
	}
	return names, nil
}

// newRecord returns the record of a user, without NameIDs.
func newRecord(u *idp.User, profile *idp.Profile, secrets bool) Record {
	rec := Record{
		Role: u.Role, CreatedAt: u.CreatedAt,
		Locked: u.IsLocked(), LockedAt: u.LockedAt, LockReason: u.LockReason,
	}
	for _, e := range u.Emails {
		rec.Emails = append(rec.Emails, RecordEmail{
			Address: e.Address, ConfirmedAt: e.ConfirmedAt, LastSignInAt: e.LastSignInAt, DisclosedTo: e.DisclosedTo,
		})
	}
	if profile != nil {
		p := RecordProfile(*profile)
		if !secrets {
			p.SSN = ""
		}
		rec.Profile = &p
	}
	if !secrets {
		return rec
	}
	rec.PasswordHash, rec.PasswordChangedAt = u.PasswordHash, u.PasswordChangedAt
	for _, t := range u.TOTPs {
		rec.TOTPs = append(rec.TOTPs, RecordTOTP{
			Name: t.Name, Secret: base32NoPad.EncodeToString(t.Secret), Period: t.Period, LastStep: t.LastStep, AddedAt: t.AddedAt,
		})
	}
	return rec
}
