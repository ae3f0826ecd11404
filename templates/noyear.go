package templates

import "vernal/idp"

// NoYearPage answers at an endpoint URL with a wrong or missing year (status 404) and lists
// the same endpoint in the years that answer. An unpublished year and one that was never
// made have the same page.
type NoYearPage struct {
	Base
	Path string // that was requested
	// Years are those that answer, the newest first.
	Years []YearURL
	// Preferred is the one for new integrations, "" if that does not answer. Target is the
	// one to move to, where it is another.
	Preferred, Target idp.Year
	// Load is set for an endpoint with a file to be loaded, which messages are not sent to.
	Load bool
}

// YearURL is an endpoint in one year.
type YearURL struct {
	Year      idp.Year `json:"year"`
	URL       string   `json:"url"`
	Preferred bool     `json:"preferred"`
}
