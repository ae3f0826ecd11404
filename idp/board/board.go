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
// from here. What is shown of metadata fetches is what clients say of
// themselves, cleaned and bounded; it is a hint for people and never use.
//
// The files:
//
//	board.go    what is told: Used, Fetched
//	noted.go    what is not written yet
//	usage.go    one provider's use of one year: what is kept, and how it adds up
//	fetch.go    loads of metadata, likewise
//	flush.go    noted to stored, every minute; what is old is removed
//	read.go     stored and noted together
//	view.go     the board as it is shown
//	line.go     one provider's line: how far it has moved, what is odd
//
// In the store, all under the kind "board":
//
//	use NUL ENTITYID NUL YEAR  -> usage
//	fetch NUL ENTITYID         -> loads with that hint, of a registered provider
//	fetch NUL                  -> all other loads
package board

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/sp"
)

// Use is one use of a year by a service provider: a verified AuthnRequest or
// LogoutRequest or, where requests are unsigned, an issued assertion. Previews, rehearsals and
// metadata fetches are none.
type Use struct {
	SP   idp.EntityID
	Year idp.Year
	At   time.Time
	// CertSHA256 is the SP's request certificate that verified; "" if unsigned.
	CertSHA256 string
	// RelayState is its length in bytes.
	RelayState int
	// IssuedAt is the request's IssueInstant, for the SP's clock; ReceivedAt is
	// when it came, At if zero. The SP's clock is not looked at without both.
	IssuedAt, ReceivedAt time.Time
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

// Service is the board of one installation. Fields are required unless they say
// otherwise. All methods may be called concurrently.
type Service struct {
	Store    idp.DocumentStore
	Registry *sp.Registry
	Years    *certs.Ring
	Clock    idp.Clock
	Log      *slog.Logger
	// Counted is told by Flush how many service providers have still to move
	// from each live year, as Year.Unmoved; optional.
	Counted func(ctx context.Context, unmoved map[idp.Year]int) error

	noted noted
	// writing is held while what was noted goes to the store, so that a reader
	// sees it in one of the two places, once.
	writing sync.RWMutex
	pruned  time.Time // when old rows were last removed; guarded by writing
}

// Used notes a use. It does not block on the store.
func (s *Service) Used(u Use) { s.noted.use(u) }

// Fetched notes a load of metadata. It does not block on the store.
func (s *Service) Fetched(f Fetch) { s.noted.fetch(f) }
