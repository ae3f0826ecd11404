// Package sharelink makes secret URLs that can be revoked: the preview of a year for one
// service provider, the wallboard, and the calendar feed of the plan.
//
// A token is the link's ID and a MAC over the link's kind, ID, year and service provider:
//
//	token = id "." base64url(MAC(kind, id, year, sp))
//
// The store keeps the link without the token, so a copy of the store opens nothing. The keys
// alone open nothing either: a link that is not stored, has expired or was revoked is
// refused. A token for one thing never opens another. Renewing the installation's keys ends
// all tokens.
//
// The caller decides which content a link opens.
package sharelink

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"vernal/idp"
)

// Kind is the purpose of a link.
type Kind string

const (
	// Preview opens a year that is not published, for one service provider.
	Preview Kind = "preview"
	// Wallboard shows the migration board without contacts.
	Wallboard Kind = "wall"
	// Calendar is the plan as an iCalendar feed.
	Calendar Kind = "calendar"
)

// documentKind is the kind under which the store keeps links.
const documentKind = "link"

// Link is a secret URL without its secret.
type Link struct {
	// ID names the link in lists and logs. It opens nothing.
	ID   string `json:"id"`
	Kind Kind   `json:"kind"`
	// Year and SP bind a Preview, and are empty for other kinds.
	Year      idp.Year     `json:"year,omitzero"`
	SP        idp.EntityID `json:"sp,omitzero"`
	CreatedAt time.Time    `json:"created_at"`
	// ExpiresAt is zero if the link never expires.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	RevokedAt time.Time `json:"revoked_at,omitzero"`
	// Actor is the operator that made it.
	Actor string `json:"actor"`
}

// IsLive reports whether the link opens anything at now.
func (l *Link) IsLive(now time.Time) bool {
	return l.RevokedAt.IsZero() && (l.ExpiresAt.IsZero() || now.Before(l.ExpiresAt))
}

// Service makes and checks links. All fields are required.
type Service struct {
	Store  idp.DocumentStore
	Sealer idp.Sealer
	Clock  idp.Clock
}

// Create makes a link of l's Kind, Year, SP and ExpiresAt. The token is disclosed only here.
func (s *Service) Create(ctx context.Context, l Link, actor string) (made Link, token string, err error) {
	switch {
	case l.Kind != Preview && l.Kind != Wallboard && l.Kind != Calendar:
		return l, "", fmt.Errorf("link: unknown kind %q", l.Kind)
	case (l.Kind == Preview) != (l.Year != "" && l.SP != ""):
		return l, "", errors.New("link: a preview, and nothing else, has a year and a service provider")
	}
	var id [8]byte
	rand.Read(id[:])
	l.ID, l.CreatedAt, l.RevokedAt, l.Actor = hex.EncodeToString(id[:]), s.Clock.Now(), time.Time{}, actor
	err = s.openLinks().Update(ctx, []string{l.ID}, func(r *idp.Record[Link]) error {
		if r.Value != nil {
			return idp.ErrExists // the same 64 random bits twice are a fault, so report it
		}
		r.Value = &l
		return nil
	}, s.newLinkEvent(idp.AuditLinkCreate, &l, actor))
	if err != nil {
		return l, "", fmt.Errorf("store link: %w", err)
	}
	return l, s.computeToken(&l), nil
}

// Check returns the link that a token opens now. The error for every unusable token is
// idp.ErrNotFound, so that it discloses no reason.
func (s *Service) Check(ctx context.Context, kind Kind, token string) (*Link, error) {
	id, _, ok := strings.Cut(token, ".")
	if !ok || len(token) > 128 {
		return nil, idp.ErrNotFound
	}
	l, err := s.openLinks().Get(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read link: %w", err)
	}
	if l.Kind != kind || !s.isTokenValid(l, token) || !l.IsLive(s.Clock.Now()) {
		return nil, idp.ErrNotFound
	}
	return l, nil
}

// List returns every link that was not removed, of the given kinds or of all if none is
// given, the newest first.
func (s *Service) List(ctx context.Context, kinds ...Kind) ([]Link, error) {
	stored, err := s.openLinks().List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	var all []Link
	for _, r := range stored {
		if len(kinds) == 0 || slices.Contains(kinds, r.Value.Kind) {
			all = append(all, *r.Value)
		}
	}
	slices.SortFunc(all, func(a, b Link) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), strings.Compare(a.ID, b.ID))
	})
	return all, nil
}

// Revoke ends a link permanently. It returns idp.ErrNotFound for an unknown link, and
// leaves a revoked one unchanged.
func (s *Service) Revoke(ctx context.Context, id, actor string) (*Link, error) {
	l, err := s.openLinks().Get(ctx, id)
	if err == nil && l.RevokedAt.IsZero() {
		err = s.openLinks().Update(ctx, []string{id}, func(r *idp.Record[Link]) error {
			if r.Value == nil {
				return idp.ErrNotFound
			}
			if r.Value.RevokedAt.IsZero() {
				r.Value.RevokedAt = s.Clock.Now()
			}
			l = r.Value
			return nil
		}, s.newLinkEvent(idp.AuditLinkRevoke, l, actor))
	}
	if err != nil {
		return nil, fmt.Errorf("revoke link: %w", err)
	}
	return l, nil
}

// Remove deletes a link, and returns nil if it does not exist. It is for links that the server
// made for its own use. An operator's link is revoked instead, so that it stays in the list.
func (s *Service) Remove(ctx context.Context, id, actor string) error {
	l, err := s.openLinks().Get(ctx, id)
	if errors.Is(err, idp.ErrNotFound) {
		return nil
	}
	if err == nil {
		err = s.openLinks().Update(ctx, []string{id}, func(r *idp.Record[Link]) error {
			r.Value = nil
			return nil
		}, s.newLinkEvent(idp.AuditLinkRemove, l, actor))
	}
	if err != nil {
		return fmt.Errorf("remove link: %w", err)
	}
	return nil
}

func (s *Service) openLinks() idp.Records[Link] {
	return idp.Records[Link]{Store: s.Store, Kind: documentKind, Clock: s.Clock}
}

// computeToken returns the token that opens the link until the installation's keys are renewed.
func (s *Service) computeToken(l *Link) string {
	return l.ID + "." + base64.RawURLEncoding.EncodeToString(s.Sealer.MAC(buildMACContext(l), encodeMACText(l)))
}

// isTokenValid reports whether the token belongs to the link. The MAC has one valid spelling only.
func (s *Service) isTokenValid(l *Link, token string) bool {
	id, text, _ := strings.Cut(token, ".")
	mac, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return err == nil && id == l.ID && s.Sealer.VerifyMAC(buildMACContext(l), encodeMACText(l), mac)
}

func buildMACContext(l *Link) string { return "link/" + string(l.Kind) }

// encodeMACText encodes the parts of the link, each with its length, as input of the MAC.
func encodeMACText(l *Link) (text []byte) {
	for _, part := range []string{l.ID, string(l.Year), string(l.SP)} {
		text = binary.BigEndian.AppendUint64(text, uint64(len(part)))
		text = append(text, part...)
	}
	return text
}

func (s *Service) newLinkEvent(kind idp.AuditKind, l *Link, actor string) idp.AuditEvent {
	return idp.AuditEvent{
		Kind: kind, Outcome: "ok", Actor: actor, Year: l.Year, SP: l.SP,
		Detail: map[string]string{"link": l.ID, "opens": string(l.Kind)},
	}
}
