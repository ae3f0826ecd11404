// Package board knows who has moved: for every service provider (SP), which
// year's addresses it used, when, how often, and with which request
// certificate.
//
// What happens in a request is noted in memory (Used, Fetched) and written with
// the next Flush, every minute: the hot path costs no write. What is shown
// (Board) is what is stored and what is noted together. After a crash the last
// minute is missing; the rotation, which closes years, keeps a count of its own.
//
// It decides nothing: which year is retired is the rotation's, with the numbers
// from here.
package board

import (
	"context"
	"log/slog"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/sp"
)

// Use is one use of a year by a service provider: a verified AuthnRequest or,
// where requests are unsigned, an issued assertion. Previews, rehearsals and
// metadata fetches are none.
type Use struct {
	SP   idp.EntityID
	Year idp.Year
	At   time.Time
	// CertSHA256 is the SP's request certificate that verified; "" if unsigned.
	CertSHA256 string
	// RelayState is its length in bytes.
	RelayState int
	// IssuedAt is the request's IssueInstant, for the SP's clock.
	IssuedAt time.Time
}

// Fetch is one load of a metadata document.
type Fetch struct {
	// Year is the document's; "" for the stable one.
	Year idp.Year
	At   time.Time
	// SP is what the address claimed in its parameter "sp": a hint, no proof.
	// "" without one.
	SP idp.EntityID
	// Address and UserAgent are the client's, as foreign as they come.
	Address, UserAgent string
}

// Service is the board of one installation. Fields are required.
type Service struct {
	Store    idp.DocumentStore
	Registry *sp.Registry
	Years    *certs.Ring
	Clock    idp.Clock
	Log      *slog.Logger
}

// Used notes a use. It does not block on the store.
func (s *Service) Used(u Use) {}

// Fetched notes a load of metadata. It does not block on the store.
func (s *Service) Fetched(f Fetch) {}

// Flush writes down what was noted, in one step.
func (s *Service) Flush(ctx context.Context) error { return nil }

// Run flushes every minute until ctx ends, and once more then; wait for it
// before the store is closed.
func (s *Service) Run(ctx context.Context) { <-ctx.Done() }

// Move is how far a service provider has come on its way from the years that
// end to the one that is preferred.
type Move string

const (
	// Moved: it uses the preferred year or a newer one, and no older one.
	Moved Move = "moved"
	// Both: it uses the preferred year or a newer one, and within the last 14
	// days an older one too.
	Both Move = "both"
	// Unmoved: it used an older year, and nothing newer.
	Unmoved Move = "unmoved"
	// Unseen: it was never seen.
	Unseen Move = "unseen"
)

// Board is who used what, at one moment.
type Board struct {
	At        time.Time `json:"at"`
	Preferred idp.Year  `json:"preferred"`
	// Years are the columns: every year that is live, or that somebody used
	// within 30 days, oldest first.
	Years []Year `json:"years"`
	// SPs has a line for every service provider that is registered, the
	// unmoved first, then by name.
	SPs []Line `json:"sps"`
	// Fetches are loads of metadata without a hint, or with the hint of an SP
	// that is not registered, the latest first; bounded.
	Fetches []Fetches `json:"metadata_fetches"`
}

// Year is a column of the board.
type Year struct {
	Year      idp.Year    `json:"year"`
	State     certs.State `json:"state"`
	CertEndAt time.Time   `json:"certificate_end_at,omitzero"`
	// RetireAt is its retiring date in the calendar.
	RetireAt time.Time `json:"retire_at,omitzero"`
	// SPs counts the active service providers that used it within 30 days,
	// Unmoved those that use it and have not moved on: no newer year was used
	// at all, or this one within the last 14 days.
	SPs     int `json:"sps"`
	Unmoved int `json:"unmoved"`
}

// Line is one service provider.
type Line struct {
	SP       idp.EntityID `json:"entity_id"`
	Name     string       `json:"name"`
	Active   bool         `json:"active"`
	Move     Move         `json:"move"`
	Contacts []string     `json:"contacts"`
	// Years has an entry for each year that it used, oldest first.
	Years []Seen `json:"years"`
	// Certs are its request certificates, the one that ends first first.
	Certs []RequestCert `json:"request_certificates"`
	// Fetches are loads of metadata with its hint: a hint, never proof.
	Fetches []Fetches `json:"metadata_fetches"`
	// Odd says what is odd about its requests, in words: a RelayState over 80
	// bytes, a clock that is wrong, a request certificate that ended.
	Odd []string `json:"odd"`
}

// Seen is the use of one year by one service provider.
type Seen struct {
	Year    idp.Year  `json:"year"`
	FirstAt time.Time `json:"first_at"`
	LastAt  time.Time `json:"last_at"`
	// Days7 and Days30 count its requests within 7 and 30 days.
	Days7  int `json:"requests_7_days"`
	Days30 int `json:"requests_30_days"`
	// Signed tells whether its latest request was.
	Signed bool `json:"signed"`
	// CertSHA256 is the certificate that verified the latest signed one.
	CertSHA256 string `json:"certificate_sha256,omitzero"`
}

// RequestCert is a request certificate of a service provider.
type RequestCert struct {
	SHA256 string    `json:"sha256"`
	EndAt  time.Time `json:"end_at"`
	Ended  bool      `json:"ended"`
	// LastAt is when it last verified a request; zero: never seen.
	LastAt time.Time `json:"last_at,omitzero"`
}

// Fetches are loads of metadata by one client.
type Fetches struct {
	// Year is the document's; "" for the stable one.
	Year idp.Year `json:"year"`
	// Hint is the entity ID in the address that is not registered.
	Hint      string    `json:"hint,omitzero"`
	Address   string    `json:"address"`
	UserAgent string    `json:"user_agent"`
	LastAt    time.Time `json:"last_at"`
	Count     int       `json:"count"`
}

// Board is how things stand.
func (s *Service) Board(ctx context.Context) (*Board, error) { return &Board{}, nil }

// Users lists the registered, active service providers that used a year since a
// moment, sorted: who keeps it from being retired.
func (s *Service) Users(ctx context.Context, y idp.Year, since time.Time) ([]idp.EntityID, error) {
	return nil, nil
}

// Unmoved lists the active service providers that use the year and have not
// moved on, as Year.Unmoved counts them; sorted.
func (s *Service) Unmoved(ctx context.Context, y idp.Year) ([]idp.EntityID, error) { return nil, nil }
