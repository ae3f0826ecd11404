package templates

import (
	"time"

	"vernal/idp"
)

// FieldPreview is the field of the form that leaves a preview.
const FieldPreview = "preview"

// PreviewPage shows an integrator which unpublished years this browser can use.
type PreviewPage struct {
	Base
	Previews []Preview
	Action   string // where the form that leaves one is posted
}

// Preview is one year for one service provider.
type Preview struct {
	ID     string // identifies it in the form that leaves it
	Year   idp.Year
	SPName string
	SPLogo string // path of the provider's logo, "" for none
	EndAt  time.Time
	// MetadataURL and CertificateURL contain the secret of the link as long as the year is
	// not published.
	MetadataURL, CertificateURL, AuthURL string
	// IsPublished reports whether the year is now public, so that there is no preview to
	// leave.
	IsPublished bool
}
