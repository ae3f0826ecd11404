package templates

import (
	"time"

	"vernal/idp"
)

// FieldPreview is the field of the form that leaves a preview.
const FieldPreview = "preview"

// PreviewPage tells an integrator which years this browser can use before they
// are published.
type PreviewPage struct {
	Base
	Previews []Preview
	Action   string // where the form that leaves one is posted
}

// Preview is one year for one service provider.
type Preview struct {
	ID     string // names it in the form that leaves it
	Year   idp.Year
	SPName string
	EndAt  time.Time
	// MetadataURL and CertificateURL carry the secret of the link as long as
	// the year is not published.
	MetadataURL, CertificateURL, AuthURL string
	// Published: the year answers everybody now, and there is nothing to leave.
	Published bool
}
