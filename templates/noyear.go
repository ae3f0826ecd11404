package templates

import "vernal/idp"

// NoYearPage answers at an endpoint URL with a wrong or missing year (status 404) and lists
// the same endpoint in the years that answer. An unpublished year and one that was never
// created have the same page.
type NoYearPage struct {
	Base
	Path string // the requested path
	// Years are the years that answer, the newest first.
	Years []YearURL
	// IsPreferred is the year for new integrations, "" if it does not answer. Target is the
	// year to move to, if it differs.
	Preferred, Target idp.Year
	// ServesFile is set for an endpoint that serves a file and receives no messages.
	ServesFile bool
}

// YearURL is an endpoint in one year.
type YearURL struct {
	Year      idp.Year `json:"year"`
	URL       string   `json:"url"`
	IsPreferred bool     `json:"preferred"`
}
