package account

import (
	"context"
	"encoding/hex"
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
	// After is the Next of the previous page, "" for the first page.
	After string `json:"after,omitempty"`
	// Limit is the maximum number of records on a page.
	Limit int `json:"limit,omitempty"`
}

// ExportPage is a part of an export. Next is the After of the next page, "" on the last page.
type ExportPage struct {
	Records []Record `json:"records"`
	Next    string   `json:"next,omitempty"`
}

// Marks at the beginning of ExportPage.Next. An export lists the users by ID, then the deleted
// users, whose NameIDs and disclosed email addresses must never be reused in the new installation.
const (
	usersMark        = "p"
	deletedUsersMark = "d"
)

// markPattern describes ExportOptions.After: a mark and a user ID. Anything else is refused,
// because the value is written to the audit trail.
var markPattern = regexp.MustCompile(`^[pd][A-Za-z0-9_-]{0,64}$`)

// Export returns users in the form that Import reads, a page at a time. Each page is recorded
// in the audit trail before it is returned: the number of users, where the page begins, and
// whether it contains secrets. Users added during an export may be missing. Errors:
// *InputError.
func (s *Service) Export(ctx context.Context, options ExportOptions, actor string) (*ExportPage, error) {
	if options.After == "" {
		options.After = usersMark
	}
	if !markPattern.MatchString(options.After) {
		return nil, &InputError{"after", "invalid", "must be the value of \"next\" from the previous page"}
	}
	page, err := s.exportPage(ctx, options)
	if err != nil {
		return nil, err
	}
	if err := s.Store.AppendAudit(ctx, newExportEvent(options, page, actor)); err != nil {
		return nil, fmt.Errorf("record the export: %w", err)
	}
	return page, nil
}

// newExportEvent returns the audit event of a page. Its after and next show which users'
// secrets were exported.
func newExportEvent(options ExportOptions, page *ExportPage, actor string) idp.AuditEvent {
	e := audit.UsersExported.Event()
	e.Actor = actor
	e.Detail = map[string]string{"secrets": strconv.FormatBool(options.Secrets), "count": strconv.Itoa(len(page.Records)), "after": options.After}
	if page.Next != "" {
		e.Detail["next"] = page.Next
	}
	return e
}

func (s *Service) exportPage(ctx context.Context, options ExportOptions) (*ExportPage, error) {
	finder, err := s.newScopeFinder(ctx, false)
	if err != nil {
		return nil, err
	}
	keys, err := finder.listKeys(ctx)
	if err != nil {
		return nil, err
	}
	mark := options.After[:1]
	query := idp.UserQuery{After: idp.UserID(options.After[1:]), Limit: max(1, options.Limit), Deleted: mark == deletedUsersMark}
	users, err := s.Store.Users(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	page := &ExportPage{Records: []Record{}}
	for _, u := range users {
		rec := Record{Deleted: true, ReservedEmails: encodeHashes(u.ReservedEmails)}
		if !query.Deleted {
			profile, err := s.Profile(ctx, u)
			if err != nil {
				return nil, err
			}
			rec = newRecord(u, profile, options.Secrets)
		}
		if rec.NameIDs, err = s.listNameIDs(ctx, u.ID, keys); err != nil {
			return nil, err
		}
		if !query.Deleted || len(rec.NameIDs)+len(rec.ReservedEmails) > 0 {
			page.Records = append(page.Records, rec)
		}
	}
	switch {
	case len(users) == query.Limit:
		page.Next = mark + string(users[len(users)-1].ID)
	case !query.Deleted:
		page.Next = deletedUsersMark
	}
	return page, nil
}

// listNameIDs returns all NameIDs of a user, by the keys of their scopes.
func (s *Service) listNameIDs(ctx context.Context, id idp.UserID, keys map[idp.NameIDScope]string) (map[string]idp.NameID, error) {
	var nameIDs map[string]idp.NameID
	for scope, key := range keys {
		nameID, err := s.Store.NameID(ctx, scope, id)
		if errors.Is(err, idp.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look up NameID: %w", err)
		}
		if nameIDs == nil {
			nameIDs = make(map[string]idp.NameID)
		}
		nameIDs[key] = nameID
	}
	return nameIDs, nil
}

// newRecord returns the record of a user, without NameIDs.
func newRecord(u *idp.User, profile *idp.Profile, includeSecrets bool) Record {
	rec := Record{
		Role: u.Role, CreatedAt: u.CreatedAt,
		Locked: u.IsLocked(), LockedAt: u.LockedAt, LockReason: u.LockReason,
		ReservedEmails: encodeHashes(u.ReservedEmails),
	}
	for _, e := range u.Emails {
		rec.Emails = append(rec.Emails, RecordEmail{
			Address: e.Address, ConfirmedAt: e.ConfirmedAt, LastSignInAt: e.LastSignInAt, DisclosedTo: e.DisclosedTo,
		})
	}
	for _, service := range u.Services {
		rec.Services = append(rec.Services, RecordService(service))
	}
	if profile != nil {
		p := RecordProfile(*profile)
		if !includeSecrets {
			p.SSN = ""
		}
		rec.Profile = &p
	}
	if !includeSecrets {
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

func encodeHashes(hashes [][]byte) (texts []string) {
	for _, hash := range hashes {
		texts = append(texts, hex.EncodeToString(hash))
	}
	return texts
}
