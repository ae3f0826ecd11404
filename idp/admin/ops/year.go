package ops

import (
	"context"
	"errors"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/keyring"
	"vernal/idp/rotation"
	"vernal/idp/web"
	"vernal/idp/yearaccess"
	"vernal/metadata"
	"vernal/templates"
)

// MetadataRequest asks for the metadata document of a year, or with "" for the stable one.
type MetadataRequest struct {
	Year idp.Year `json:"year,omitempty"`
}

// Document is the answer to metadata/show.
type Document struct {
	Year     idp.Year `json:"year,omitempty"`
	Document string   `json:"document"`
}

// YearList is the answer to year/list, oldest first.
type YearList struct {
	Years []Year `json:"years"`
	// PreferredMetadataURL is the metadata URL of the preferred year, "" without one.
	PreferredMetadataURL string `json:"preferred_metadata_url,omitempty"`
}

// Year is the current state of one year.
type Year struct {
	Year  idp.Year `json:"year"`
	State string   `json:"state"`
	// NotBefore, NotAfter and SHA256 describe the signing certificate. They are absent without
	// one.
	NotBefore time.Time `json:"not_before,omitzero"`
	NotAfter  time.Time `json:"not_after,omitzero"`
	SHA256    string    `json:"sha256,omitempty"`
}

// ShowMetadata returns a metadata document.
var ShowMetadata = declare("metadata/show", func(s *Service, ctx context.Context, _ admin.Caller, req MetadataRequest) (Document, error) {
	if err := checkYear(req.Year); req.Year != "" && err != nil {
		return Document{}, err
	}
	doc, err := s.newDiscoveryHandler().Document(req.Year)
	if err != nil {
		return Document{}, explainMetadataError(req.Year, err)
	}
	return Document{Year: req.Year, Document: string(doc)}, nil
})

// ListYears returns every year that was created, oldest first.
var ListYears = declare("year/list", func(s *Service, _ context.Context, _ admin.Caller, _ Empty) (YearList, error) {
	list := YearList{Years: []Year{}}
	for _, e := range s.Years.All(s.Clock.Now()) {
		y := Year{Year: e.Key.Year, State: string(e.State)}
		if cert := e.Key.Cert; cert != nil {
			y.NotBefore, y.NotAfter, y.SHA256 = cert.NotBefore.UTC(), cert.NotAfter.UTC(), certs.CertSHA256(cert)
		}
		list.Years = append(list.Years, y)
		if e.State == rotation.Preferred {
			list.PreferredMetadataURL = metadata.IdP{BaseURL: s.IdP.BaseURL}.MetadataURL(e.Key.Year)
		}
	}
	return list, nil
})

// explainMetadataError returns the answer for a year without metadata.
func explainMetadataError(y idp.Year, err error) error {
	var goneErr *web.GoneYear
	var closedErr *web.ClosedYear
	switch {
	case errors.Is(err, yearaccess.ErrNotPublished):
		e := newNotFoundError("the year %s has no metadata, because it is not published: name a live year", y)
		e.Suggestions = []idp.Suggestion{idp.Suggest(idp.DoRotationStatus)}
		return e
	case errors.Is(err, keyring.ErrNoSigner):
		return newNotFoundError("no year can sign, because the data folder has no private key: restore keys/ from a backup")
	case errors.As(err, &goneErr):
		e := newNotFoundError("the year %s is retired: name a live year", y)
		e.Suggestions = []idp.Suggestion{idp.Suggest(idp.DoRotationStatus)}
		return e
	case errors.As(err, &closedErr):
		reason := closedErr.Fault.Reason(y)
		reason.Text = templates.TerminalPhrases().Reason(reason)
		e := newNotFoundError("the year %s is closed: %s", y, reason.Text)
		e.Reason, e.Suggestions = &reason, []idp.Suggestion{closedErr.Fault.Suggestion(y)}
		return e
	}
	return err
}
