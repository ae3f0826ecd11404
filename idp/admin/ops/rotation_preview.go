package ops

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/rotation"
	"vernal/idp/sharelink"
	"vernal/idp/yearaccess"
	"vernal/metadata"
)

// MaxPreviewDays is the longest lifetime of a preview link.
const MaxPreviewDays = 90

// PreviewRequest asks for a preview link.
type PreviewRequest struct {
	Year idp.Year     `json:"year"`
	SP   idp.EntityID `json:"entity_id"`
	// Days is the lifetime, 1 to MaxPreviewDays.
	Days int `json:"days"`
	// DryRun makes nothing. The answer has no ID and no secret.
	DryRun bool `json:"dry_run,omitzero"`
}

// PreviewLink is the answer to rotation/preview.
type PreviewLink struct {
	DryRun bool           `json:"dry_run"`
	Link   sharelink.Link `json:"link"`
	Name   string         `json:"name"`
	// URL is the link, disclosed only in this answer. MetadataURL and CertificateURL contain
	// its secret too.
	URL            string `json:"url,omitzero"`
	MetadataURL    string `json:"metadata_url,omitzero"`
	CertificateURL string `json:"certificate_url,omitzero"`
	AuthURL        string `json:"auth_url"`
	// Notes are warnings about the link, and Suggestions are the ways to fix them.
	Notes       []string         `json:"notes"`
	Suggestions []idp.Suggestion `json:"suggestions,omitempty"`
}

// CreatePreview makes a preview link. In a dry run, it makes none and returns the terms that the
// link would have.
var CreatePreview = declare("rotation/preview", func(s *Service, ctx context.Context, by admin.Caller, req PreviewRequest) (PreviewLink, error) {
	if err := checkYear(req.Year); err != nil {
		return PreviewLink{}, err
	}
	if req.Days < 1 || req.Days > MaxPreviewDays {
		return PreviewLink{}, invalidError("a preview link lasts 1 to %d days", MaxPreviewDays)
	}
	now := s.Clock.Now()
	if why := s.findPreviewProblem(req.Year, now); why != nil {
		return PreviewLink{}, why
	}
	p, err := s.Registry.Lookup(ctx, req.SP)
	switch {
	case errors.Is(err, idp.ErrNotFound) || req.SP == idp.RehearsalSP:
		return PreviewLink{}, refuse(idp.Suggest(idp.DoSPList).WithLabel(idp.LabelListRegistered),
			"no service provider is registered as %q", req.SP)
	case err != nil:
		return PreviewLink{}, err
	case !p.Active:
		return PreviewLink{}, refuse(idp.Suggest(idp.DoSPEdit, string(req.SP)).WithOption(idp.OptionActive, "").WithLabel(idp.LabelActivate),
			"%s is not active: no one can sign in to it", req.SP)
	}
	d := metadata.IdP{BaseURL: s.IdP.BaseURL}
	answer := PreviewLink{
		DryRun: req.DryRun, Name: p.Name, AuthURL: d.AuthnURL(req.Year),
		Link: sharelink.Link{Kind: sharelink.Preview, Year: req.Year, SP: req.SP, ExpiresAt: now.AddDate(0, 0, req.Days)},
	}
	answer.Notes, answer.Suggestions = s.listPreviewNotes(&p.ServiceProvider, req.Year)
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
})

// findPreviewProblem returns the reason why a year cannot be previewed, or nil.
func (s *Service) findPreviewProblem(y idp.Year, now time.Time) *admin.Error {
	entry, ok := s.Years.Lookup(y, now)
	switch {
	case !ok:
		return refuse(idp.Suggest(idp.DoRotationCreate, string(y)).WithLabel(idp.LabelCreateFirst), "%s is not created yet", y)
	case entry.Fault != "":
		return renderRefusal(&rotation.RefusedError{Kind: "preview", Year: y, Reason: entry.Fault.Reason(y), Suggestions: []idp.Suggestion{entry.Fault.Suggestion(y)}})
	case entry.State.IsLive():
		return refuse(idp.Suggest(idp.DoMetadataShow, string(y)).WithLabel(idp.LabelShowMetadata),
			"%s is %s: its URLs answer everyone, without a link", y, entry.State)
	case entry.State.IsOver():
		return refuse(idp.Suggest(idp.DoRotationStatus).WithLabel(idp.LabelListYears), "%s is %s, and does not come back", y, entry.State)
	case entry.Key.Cert == nil || entry.Key.Signer == nil || entry.State != rotation.Created:
		return refuse(idp.Suggest(idp.DoRotationImport, string(y)).WithOption(idp.OptionCert, "").WithLabel(idp.LabelImportCertificate),
			"the key of %s waits for its certificate", y)
	}
	return nil
}

func (s *Service) listPreviewNotes(p *idp.ServiceProvider, y idp.Year) (notes []string, next []idp.Suggestion) {
	notes = []string{}
	if p.Preview == y {
		notes = append(notes, fmt.Sprintf("its registration opens %s to it already, in every browser (preview: %s)", y, y))
	} else if strings.HasPrefix(s.IdP.BaseURL, "http://") {
		// Without https, browsers withhold the link's cookie from other sites' posts.
		notes = append(notes, "base_url is http, so a link does not let in requests by HTTP-POST")
		next = append(next, idp.Suggest(idp.DoSPEdit, string(p.EntityID)).WithOption(idp.OptionPreview, string(y)).WithLabel(idp.LabelAllowPreview))
	}
	return notes, next
}
