package link

import (
	"context"
	"errors"
	"fmt"

	"vernal/idp"
)

// Outstanding reports whether a live link previews the year for the service
// provider, whoever holds it.
func (s *Service) Outstanding(ctx context.Context, y idp.Year, sp idp.EntityID) (bool, error) {
	links, err := s.List(ctx, Preview)
	if err != nil {
		return false, err
	}
	now := s.Clock.Now()
	for i := range links {
		if l := &links[i]; l.Year == y && l.SP == sp && l.Live(now) {
			return true, nil
		}
	}
	return false, nil
}

// Remove forgets a link; nil if it is not there. What a person made is revoked
// instead, so that it stays in the list; this is for links that the server made
// for itself.
func (s *Service) Remove(ctx context.Context, id, actor string) error {
	l, err := s.read(ctx, id)
	if errors.Is(err, idp.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	err = s.Store.UpdateDocuments(ctx, documents, []string{id},
		func(string, []byte) ([]byte, error) { return nil, nil }, s.event(idp.AuditLinkRemove, l, actor))
	if err != nil {
		return fmt.Errorf("remove link: %w", err)
	}
	return nil
}
