package admin

import (
	"context"
	"fmt"
	"slices"
	"time"

	"vernal/idp"
	"vernal/idp/adminhttp"
	"vernal/idp/sharelink"
)

// LinkRequest makes a secret address of the admin listener.
type LinkRequest struct {
	// Kind is link.Wall or link.Calendar.
	Kind sharelink.Kind `json:"kind"`
	// Days is after how many days it ends by itself, at most MaxLinkDays; 0: it
	// never does.
	Days   int  `json:"days,omitzero"`
	DryRun bool `json:"dry_run,omitzero"`
}

// MaxLinkDays is the longest life of a link that ends.
const MaxLinkDays = 3660

// LinkMade is the answer to link/create. For a dry run the link has no ID, and
// there is no address.
type LinkMade struct {
	DryRun bool           `json:"dry_run"`
	Link   sharelink.Link `json:"link"`
	// URL is the secret, told this once.
	URL string `json:"url,omitzero"`
}

// LinkList is the answer to link/list, newest first: of all kinds, with those
// that open nothing any more.
type LinkList struct {
	Links []LinkState `json:"links"`
}

// LinkState is a link and whether it opens anything.
type LinkState struct {
	sharelink.Link
	Live bool `json:"live"`
}

// LinkRevoke takes a link back.
type LinkRevoke struct {
	ID     string `json:"id"`
	DryRun bool   `json:"dry_run,omitzero"`
}

// LinkRevoked is the answer to link/revoke.
type LinkRevoked struct {
	DryRun bool           `json:"dry_run"`
	Link   sharelink.Link `json:"link"`
	// Before tells that it had been revoked before: nothing was changed.
	Before bool `json:"before,omitzero"`
}

func (s *Service) createLink(ctx context.Context, by Caller, req LinkRequest) (LinkMade, error) {
	l := sharelink.Link{Kind: req.Kind}
	switch {
	case adminhttp.Path(req.Kind, "") == "":
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
	return LinkMade{Link: made, URL: s.WatchURL + adminhttp.Path(made.Kind, token)}, nil
}

func (s *Service) listLinks(ctx context.Context, _ Caller, _ Empty) (LinkList, error) {
	all, err := s.Links.List(ctx)
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

func (s *Service) revokeLink(ctx context.Context, by Caller, req LinkRevoke) (LinkRevoked, error) {
	all, err := s.Links.List(ctx)
	if err != nil {
		return LinkRevoked{}, err
	}
	i := slices.IndexFunc(all, func(l sharelink.Link) bool { return l.ID == req.ID })
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

// CreateLink makes a secret address.
func (c *Client) CreateLink(ctx context.Context, req LinkRequest) (LinkMade, error) {
	return call[LinkMade](ctx, c, "link/create", req)
}

// Links lists the secret addresses without their secrets.
func (c *Client) Links(ctx context.Context) ([]LinkState, error) {
	list, err := call[LinkList](ctx, c, "link/list", Empty{})
	return list.Links, err
}

// RevokeLink takes a secret address back for good.
func (c *Client) RevokeLink(ctx context.Context, req LinkRevoke) (LinkRevoked, error) {
	return call[LinkRevoked](ctx, c, "link/revoke", req)
}
