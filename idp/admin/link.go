package admin

import (
	"context"
	"fmt"
	"slices"
	"time"

	"vernal/idp"
	"vernal/idp/link"
	"vernal/idp/watch"
)

// LinkRequest asks for a secret URL of the admin listener.
type LinkRequest struct {
	// Kind is link.Wall or link.Calendar.
	Kind link.Kind `json:"kind"`
	// Days is the lifetime, at most MaxLinkDays. 0: the link never expires.
	Days   int  `json:"days,omitzero"`
	DryRun bool `json:"dry_run,omitzero"`
}

// MaxLinkDays is the longest lifetime of a link that expires.
const MaxLinkDays = 3660

// LinkMade is the answer to link/create. For a dry run it has neither ID nor URL.
type LinkMade struct {
	DryRun bool      `json:"dry_run"`
	Link   link.Link `json:"link"`
	// URL is secret and disclosed only here.
	URL string `json:"url,omitzero"`
}

// LinkList is the answer to link/list: links of all kinds, newest first, including those
// that no longer open anything.
type LinkList struct {
	Links []LinkState `json:"links"`
}

// LinkState is a link and whether it opens anything.
type LinkState struct {
	link.Link
	Live bool `json:"live"`
}

// LinkRevoke asks to revoke a link.
type LinkRevoke struct {
	ID     string `json:"id"`
	DryRun bool   `json:"dry_run,omitzero"`
}

// LinkRevoked is the answer to link/revoke.
type LinkRevoked struct {
	DryRun bool      `json:"dry_run"`
	Link   link.Link `json:"link"`
	// Before reports that it was revoked already, so nothing changed.
	Before bool `json:"before,omitzero"`
}

func (s *Service) createLink(ctx context.Context, by Caller, req LinkRequest) (LinkMade, error) {
	l := link.Link{Kind: req.Kind}
	switch {
	case watch.Path(req.Kind, "") == "":
		return LinkMade{}, &Error{Code: CodeInvalid, Message: fmt.Sprintf("there is no link to a %q: it is wall or calendar", req.Kind)}
	case req.Days < 0 || req.Days > MaxLinkDays:
		return LinkMade{}, &Error{Code: CodeInvalid, Message: fmt.Sprintf("a link lives 1 to %d days, or for ever", MaxLinkDays)}
	case s.WatchURL == "":
		return LinkMade{}, &Error{Code: CodeRefused, Message: "nothing would answer there: admin_listen is empty"}
	}
	if req.Days > 0 {
		l.ExpiresAt = s.Clock.Now().UTC().Add(time.Duration(req.Days) * 24 * time.Hour).Truncate(time.Second)
	}
	if req.DryRun {
		l.CreatedAt, l.Actor = s.Clock.Now(), by.Actor()
		return LinkMade{DryRun: true, Link: l}, nil
	}
	made, token, err := s.Links.Create(ctx, l, by.Actor())
	if err != nil {
		return LinkMade{}, err
	}
	return LinkMade{Link: made, URL: s.WatchURL + watch.Path(made.Kind, token)}, nil
}

func (s *Service) listLinks(ctx context.Context, _ Caller, _ Empty) (LinkList, error) {
	all, err := s.allLinks(ctx)
	if err != nil {
		return LinkList{}, err
	}
	now := s.Clock.Now()
	answer := LinkList{Links: []LinkState{}}
	for _, l := range all {
		answer.Links = append(answer.Links, LinkState{Link: l, Live: l.Live(now)})
	}
	return answer, nil
}

// allLinks returns the links of every kind, newest first.
func (s *Service) allLinks(ctx context.Context) (all []link.Link, err error) {
	for _, kind := range []link.Kind{link.Preview, link.Wall, link.Calendar} {
		links, err := s.Links.List(ctx, kind)
		if err != nil {
			return nil, err
		}
		all = append(all, links...)
	}
	slices.SortStableFunc(all, func(a, b link.Link) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return all, nil
}

func (s *Service) revokeLink(ctx context.Context, by Caller, req LinkRevoke) (LinkRevoked, error) {
	all, err := s.allLinks(ctx)
	if err != nil {
		return LinkRevoked{}, err
	}
	i := slices.IndexFunc(all, func(l link.Link) bool { return l.ID == req.ID })
	if i < 0 {
		return LinkRevoked{}, &Error{Code: CodeNotFound, Message: fmt.Sprintf("there is no link %.40q", req.ID),
			Suggestions: []idp.Suggestion{idp.Suggest(idp.DoRotationLinkList).Labeled(idp.LabelListLinks)}}
	}
	before := !all[i].RevokedAt.IsZero()
	if req.DryRun || before {
		return LinkRevoked{DryRun: req.DryRun, Link: all[i], Before: before}, nil
	}
	l, err := s.Links.Revoke(ctx, req.ID, by.Actor())
	if err != nil {
		return LinkRevoked{}, fmt.Errorf("link %s: %w", req.ID, err)
	}
	return LinkRevoked{Link: *l}, nil
}

// CreateLink makes a secret URL.
func (c *Client) CreateLink(ctx context.Context, req LinkRequest) (LinkMade, error) {
	return call[LinkMade](ctx, c, "link/create", req)
}

// Links lists the secret URLs without their secrets.
func (c *Client) Links(ctx context.Context) ([]LinkState, error) {
	list, err := call[LinkList](ctx, c, "link/list", Empty{})
	return list.Links, err
}

// RevokeLink revokes a secret URL permanently.
func (c *Client) RevokeLink(ctx context.Context, req LinkRevoke) (LinkRevoked, error) {
	return call[LinkRevoked](ctx, c, "link/revoke", req)
}
