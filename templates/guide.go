package templates

import (
	"embed"
	htmltemplate "html/template"
	"io/fs"
)

// HelpPath is the index of the guides for users and operators, DevelopersPath
// that of the guides for integrators. A guide is one level below.
const (
	HelpPath       = "/help"
	DevelopersPath = "/developers"
)

//go:embed guide
var guides embed.FS

// Guides returns the guides in Markdown, in a folder per audience. Package guide fills in and
// renders them.
func Guides() fs.FS {
	sub, err := fs.Sub(guides, "guide")
	if err != nil {
		panic(err) // "guide" is a valid path
	}
	return sub
}

// GuidePage shows one guide. Guides are in English, even on a page in another language.
type GuidePage struct {
	Base
	Title string
	// Body is the rendered guide, with its h1.
	Body htmltemplate.HTML
	// IsForIntegrators reports whether the guide belongs to the index for integrators.
	IsForIntegrators bool
}

// GuidesPage is an index of guides: the one for integrators, or the one for users and
// operators. Lists without guides are omitted.
type GuidesPage struct {
	Base
	Users, Operators, Integrators []GuideLink
}

// GuideLink leads to a guide.
type GuideLink struct{ URL, Title, Summary string }
