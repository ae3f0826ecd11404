package admin

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/link"
	"vernal/idp/shell"
	"vernal/idp/yearaccess"
	"vernal/metadata"
)

// MaxPreviewDays is how long a preview link lasts at most.
const MaxPreviewDays = 90

// PreviewRequest asks for a preview link.
type PreviewRequest struct {
	Year idp.Year     `json:"year"`
	SP   idp.EntityID `json:"entity_id"`
	// Days is how long it lasts, 1 to MaxPreviewDays.
	Days int `json:"days"`
	// DryRun makes nothing; the answer has no ID and no secret.
	DryRun bool `json:"dry_run,omitzero"`
}

// PreviewLink is the answer to rotation/preview.
type PreviewLink struct {
	DryRun bool      `json:"dry_run"`
	Link   link.Link `json:"link"`
	Name   string    `json:"name"`
	// URL is the link, told this once. MetadataURL and CertificateURL hold its
	// secret too.
	URL            string `json:"url,omitzero"`
	MetadataURL    string `json:"metadata_url,omitzero"`
	CertificateURL string `json:"certificate_url,omitzero"`
	AuthURL        string `json:"auth_url"`
	// Notes are worth knowing before it is sent.
	Notes []string `json:"notes"`
}

func (s *Service) rotationPreview(ctx context.Context, by Caller, req PreviewRequest) (PreviewLink, error) {
	if !req.Year.Valid() {
		return PreviewLink{}, &Error{Code: CodeInvalid, Message: fmt.Sprintf("%q is not a year, such as 2027 or 2027b", req.Year)}
	}
	if req.Days < 1 || req.Days > MaxPreviewDays {
		return PreviewLink{}, &Error{Code: CodeInvalid, Message: fmt.Sprintf("a preview link lasts 1 to %d days", MaxPreviewDays)}
	}
	now := s.Clock.Now()
	if why := s.unpreviewable(req.Year, now); why != "" {
		return PreviewLink{}, &Error{Code: CodeRefused, Message: why}
	}
	p, err := s.Registry.Lookup(ctx, req.SP)
	switch {
	case errors.Is(err, idp.ErrNotFound) || req.SP == idp.RehearsalSP:
		return PreviewLink{}, &Error{Code: CodeRefused, Message: fmt.Sprintf(
			"no service provider is registered as %q\n  those that are: vernal sp list", req.SP)}
	case err != nil:
		return PreviewLink{}, err
	case !p.Active:
		return PreviewLink{}, &Error{Code: CodeRefused, Message: fmt.Sprintf(
			"%s is not active: nobody can sign in to it\n  to open it: vernal sp edit %s --active", req.SP, shell.Quote(string(req.SP)))}
	}
	d := metadata.IdP{BaseURL: s.Rotation.BaseURL}
	answer := PreviewLink{
		DryRun: req.DryRun, Name: p.Name, AuthURL: d.AuthnURL(req.Year), Notes: s.previewNotes(&p.ServiceProvider, req.Year),
		Link: link.Link{Kind: link.Preview, Year: req.Year, SP: req.SP, ExpiresAt: now.AddDate(0, 0, req.Days)},
	}
	if req.DryRun {
		answer.Link.CreatedAt, answer.Link.Actor = now, by.Actor()
		return answer, nil
	}
	made, token, err := s.Links.Create(ctx, answer.Link, by.Actor())
	if err != nil {
		return PreviewLink{}, err
	}
	secret := url.QueryEscape(token)
	answer.Link = made
	answer.URL = d.BaseURL + yearaccess.Path + "?link=" + secret
	answer.MetadataURL = d.MetadataURL(req.Year) + "?preview=" + secret
	answer.CertificateURL = d.CertificateURL(req.Year) + "?preview=" + secret
	return answer, nil
}

// unpreviewable says why a year has nothing to preview, and what to do; "" if it
// has.
func (s *Service) unpreviewable(y idp.Year, now time.Time) string {
	entry, ok := s.Ring.Lookup(y, now)
	switch {
	case !ok:
		return fmt.Sprintf("%s is not created yet\n  make it first: vernal rotation create %s", y, y)
	case entry.Fault != "":
		return fmt.Sprintf("%s cannot sign: %s", y, entry.Fault.Describe(y))
	case entry.State.Live():
		return fmt.Sprintf("%s is %s: its addresses answer everybody, without a link\n  what to send: vernal metadata show %s", y, entry.State, y)
	case entry.State.Over():
		return fmt.Sprintf("%s is %s, and does not come back\n  the years: vernal rotation status", y, entry.State)
	case entry.Key.Cert == nil || entry.Key.Signer == nil || entry.State != certs.Created:
		return fmt.Sprintf("the key of %s waits for its certificate\n  once it is there: vernal rotation import %s --cert FILE", y, y)
	}
	return ""
}

func (s *Service) previewNotes(p *idp.ServiceProvider, y idp.Year) []string {
	notes := []string{}
	if p.Preview == y {
		notes = append(notes, fmt.Sprintf("its registration opens %s to it already, in every browser (preview: %s)", y, y))
	} else if strings.HasPrefix(s.Rotation.BaseURL, "http://") {
		// yearaccess: the link's cookie stays behind when another site posts.
		notes = append(notes, fmt.Sprintf(
			"base_url is http: requests by HTTP-POST are not let in by a link: vernal sp edit %s --preview %s lets them in", shell.Quote(string(p.EntityID)), y))
	}
	return notes
}
