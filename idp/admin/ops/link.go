package ops

import (
	"context"
	"fmt"
	"slices"
	"time"

	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/adminhttp"
	"vernal/idp/sharelink"
)

// LinkRequest asks for a secret URL of the admin listener.
type LinkRequest struct {
	// Kind is sharelink.Wall or sharelink.Calendar.
	Kind sharelink.Kind `json:"kind"`
	// Days is the number of days until the link expires, at most MaxLinkDays. Zero means that
	// it never expires.
	Days   int  `json:"days,omitzero"`
	DryRun bool `json:"dry_run,omitzero"`
}

// MaxLinkDays is the longest lifetime of a link that expires.
const MaxLinkDays = 3660

// CreatedLink is the answer to link/create. For a dry run it has neither ID nor URL.
type CreatedLink struct {
	DryRun bool           `json:"dry_run"`
	Link   sharelink.Link `json:"link"`
	// URL contains the secret and is disclosed only in this answer.
	URL string `json:"url,omitzero"`
}

// LinkList is the answer to link/list: links of all kinds, newest first, including those
// that no longer open anything.
type LinkList struct {
	Links []LinkState `json:"links"`
}

// LinkState is a link and whether it still opens.
type LinkState struct {
	sharelink.Link
	Live bool `json:"live"`
}

// RevokeLinkRequest asks to revoke a link.
type RevokeLinkRequest struct {
	ID     string `json:"id"`
	DryRun bool   `json:"dry_run,omitzero"`
}

// RevokedLink is the answer to link/revoke.
type RevokedLink struct {
	DryRun bool           `json:"dry_run"`
	Link   sharelink.Link `json:"link"`
	// WasRevoked reports that the link had been revoked before, so nothing was changed.
	WasRevoked bool `json:"before,omitzero"`
}

// CreateLink makes a secret URL of the admin listener.
var CreateLink = declare("link/create", func(s *Service, ctx context.Context, by admin.Caller, req LinkRequest) (CreatedLink, error) {
	l := sharelink.Link{Kind: req.Kind}
	switch {
	case adminhttp.Path(req.Kind, "") == "":
		return CreatedLink{}, invalidError("unknown kind of link %q: use wall or calendar", req.Kind)
	case req.Days < 0 || req.Days > MaxLinkDays:
		return CreatedLink{}, invalidError("a link expires after 1 to %d days, or never", MaxLinkDays)
	case s.AdminURL == "":
		return CreatedLink{}, &admin.Error{Code: admin.CodeRefused, Message: "nothing would answer there: admin_listen is empty"}
	}
	if req.Days > 0 {
		l.ExpiresAt = s.Clock.Now().UTC().Add(time.Duration(req.Days) * 24 * time.Hour).Truncate(time.Second)
	}
	if req.DryRun {
		l.CreatedAt, l.Actor = s.Clock.Now(), by.Actor()
		return CreatedLink{DryRun: true, Link: l}, nil
	}
	made, token, err := s.Links.Create(ctx, l, by.Actor())
	if err != nil {
		return CreatedLink{}, err
	}
	return CreatedLink{Link: made, URL: s.AdminURL + adminhttp.Path(made.Kind, token)}, nil
})

// ListLinks returns all secret URLs without their secrets.
var ListLinks = declare("link/list", func(s *Service, ctx context.Context, _ admin.Caller, _ Empty) (LinkList, error) {
	all, err := s.Links.List(ctx)
	if err != nil {
		return LinkList{}, err
	}
	now := s.Clock.Now()
	answer := LinkList{Links: []LinkState{}}
	for _, l := range all {
		answer.Links = append(answer.Links, LinkState{Link: l, Live: l.IsLive(now)})
	}
	return answer, nil
})

// RevokeLink revokes a secret URL permanently.
var RevokeLink = declare("link/revoke", func(s *Service, ctx context.Context, by admin.Caller, req RevokeLinkRequest) (RevokedLink, error) {
	all, err := s.Links.List(ctx)
	if err != nil {
		return RevokedLink{}, err
	}
	i := slices.IndexFunc(all, func(l sharelink.Link) bool { return l.ID == req.ID })
	if i < 0 {
		return RevokedLink{}, &admin.Error{Code: admin.CodeNotFound, Message: fmt.Sprintf("unknown link %.40q", req.ID),
			Suggestions: []idp.Suggestion{idp.Suggest(idp.DoRotationLinkList).WithLabel(idp.LabelListLinks)}}
	}
	before := !all[i].RevokedAt.IsZero()
	if req.DryRun || before {
		return RevokedLink{DryRun: req.DryRun, Link: all[i], WasRevoked: before}, nil
	}
	l, err := s.Links.Revoke(ctx, req.ID, by.Actor())
	if err != nil {
		return RevokedLink{}, fmt.Errorf("link %s: %w", req.ID, err)
	}
	return RevokedLink{Link: *l}, nil
})
