package account

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"vernal/idp"
)

// The document of works: what the dearest hashes cost that are stored or ever were.
// It is a JSON list of work. With it, a server knows after each start how long a "no"
// must take without reading all users.
const (
	worksKind = "account"
	worksKey  = "password-works"
)

// maxWorks bounds the list, for imports whose hashes have many costs.
const maxWorks = 8

// Prepare has the Hasher know how long a "no" must take. Call it before the first
// sign-in. It measures the dearest hashes in use, which takes a fraction of a second
// unless users were imported with hashes that take longer.
func (s *Service) Prepare(ctx context.Context) error {
	works, err := s.addWorks(ctx, s.Hasher.current().work())
	if err != nil {
		return err
	}
	if err := s.Hasher.calibrate(ctx, works...); err != nil {
		return fmt.Errorf("measure password hashes: %w", err)
	}
	return nil
}

// learnWork makes up for a hash that takes longer than every one in the document, as
// after a time with an older version. The first "no" takes longer, further ones do not.
func (s *Service) learnWork(ctx context.Context, w work) {
	if !w.valid() || s.Hasher.pace.covers(w) {
		return
	}
	works, err := s.addWorks(ctx, w)
	if err == nil {
		err = s.Hasher.calibrate(ctx, works...)
	}
	if err != nil {
		s.Log.LogAttrs(ctx, slog.LevelWarn, "cost of a password hash was not noted", slog.Any("err", err))
	}
}

// addWorks adds works to the document and returns what it holds then. It writes only
// if one of them is new. Where there is no document yet, as in a store of an older
// version, it goes through all users once. If those cannot be read, the works that are
// known count until the next start tries again: a damaged record stops neither the
// server nor an import.
func (s *Service) addWorks(ctx context.Context, add ...work) ([]work, error) {
	doc, err := idp.LookupDocument(ctx, s.Store, worksKind, worksKey)
	if err != nil && !errors.Is(err, idp.ErrNotFound) {
		return nil, fmt.Errorf("read costs of password hashes: %w", err)
	}
	works, ok := parseWorks(doc)
	if !ok {
		stored, err := s.storedWorks(ctx)
		if err != nil {
			s.Log.LogAttrs(ctx, slog.LevelError, "cannot read what all password hashes cost: a wrong password may disclose who was imported", slog.Any("err", err))
			return mergeWorks(nil, add), nil
		}
		add = append(add, stored...)
	} else if slices.Equal(works, mergeWorks(works, add)) {
		return works, nil
	}
	err = s.Store.UpdateDocuments(ctx, worksKind, []string{worksKey}, idp.ChangeData(func(_ string, old []byte) ([]byte, error) {
		was, _ := parseWorks(old)
		works = mergeWorks(was, add)
		return json.Marshal(works)
	}))
	if err != nil {
		return nil, fmt.Errorf("write costs of password hashes: %w", err)
	}
	return works, nil
}

// storedWorks reads the works from all users' hashes.
func (s *Service) storedWorks(ctx context.Context) (works []work, err error) {
	const page = 500
	for after := idp.UserID(""); ; {
		users, err := s.Store.Users(ctx, idp.UserQuery{After: after, Limit: page})
		if err != nil {
			return nil, fmt.Errorf("read costs of password hashes: %w", err)
		}
		for _, u := range users {
			if p, err := parsePHC(u.PasswordHash); err == nil {
				works = mergeWorks(works, []work{p.work()})
			}
			after = u.ID
		}
		if len(users) < page {
			return works, nil
		}
	}
}

// importWorks adds the works of users who are to be added, and has a server that runs
// measure them.
func (s *Service) importWorks(ctx context.Context, people []idp.ImportedUser) error {
	works, err := s.addWorks(ctx, worksOf(people)...)
	if err == nil && s.Hasher.pace.knows(s.Hasher.current().work()) {
		err = s.Hasher.calibrate(ctx, works...)
	}
	return err
}

// worksOf reads the works from the hashes of users who are to be added.
func worksOf(people []idp.ImportedUser) (works []work) {
	for i := range people {
		if p, err := parsePHC(people[i].User.PasswordHash); err == nil && !people[i].Existing {
			works = mergeWorks(works, []work{p.work()})
		}
	}
	return works
}

// parseWorks reads the document; false if there is none, or one that says nothing.
func parseWorks(doc []byte) (works []work, ok bool) {
	if err := json.Unmarshal(doc, &works); err != nil {
		return nil, false
	}
	return works, true
}

// mergeWorks adds works to a list and leaves out those that another one covers. Of too
// many it keeps the ones that take longest.
func mergeWorks(works, add []work) []work {
	merged := slices.Clone(works)
	for _, w := range add {
		if slices.ContainsFunc(merged, func(o work) bool { return o.covers(w) }) {
			continue
		}
		merged = append(slices.DeleteFunc(merged, w.covers), w)
	}
	slices.SortFunc(merged, work.compare)
	return merged[:min(maxWorks, len(merged))]
}
