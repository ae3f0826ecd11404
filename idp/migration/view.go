package migration

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"vernal/idp"
	"vernal/idp/rotation"
	"vernal/idp/usage"
)

// Move is how far a service provider has moved to the target (rotation.History.Target).
// A service provider on a live year that is newer than the target, which a rollback can
// leave behind, has nothing to change and counts as if it used the target.
type Move string

const (
	// Moved: it used the target, and no year that it must leave within 14 days.
	Moved Move = "moved"
	// Both: it used the target, and within 14 days a year that it must leave.
	Both Move = "both"
	// Unmoved: it used other years only, or used last one that is over since.
	Unmoved Move = "unmoved"
	// Unseen: it was never seen.
	Unseen Move = "unseen"
)

// Board is who used what, at one moment.
type Board struct {
	At        time.Time `json:"at"`
	Preferred idp.Year  `json:"preferred"`
	// Target is the year that service providers should move to; "" if none is live.
	Target idp.Year `json:"target"`
	// Years are the columns: every year that is live, or that a service provider used
	// within 30 days, oldest first.
	Years []Year `json:"years"`
	// SPs has a line for every service provider that is registered: the active
	// ones first, the unmoved before those that use both, have moved, or were
	// never seen; then by name.
	SPs []Line `json:"sps"`
	// Fetches are loads of metadata without a hint, or with the hint of an SP
	// that is not registered, the latest first; bounded.
	Fetches []Fetches `json:"metadata_fetches"`
}

// Year is a column of the board.
type Year struct {
	Year      idp.Year       `json:"year"`
	State     rotation.State `json:"state"`
	CertEndAt time.Time      `json:"certificate_end_at,omitzero"`
	// RetireAt is its retiring date in the calendar.
	RetireAt time.Time `json:"retire_at,omitzero"`
	// SPs counts the active service providers that used it within 30 days,
	// Unmoved the lines that list it in UnmovedFrom; 0 for the target.
	SPs     int `json:"sps"`
	Unmoved int `json:"unmoved"`
}

// Line is one service provider.
type Line struct {
	SP     idp.EntityID `json:"entity_id"`
	Name   string       `json:"name"`
	Active bool         `json:"active"`
	Move   Move         `json:"move"`
	// UnmovedFrom are the years that an active service provider has still to move
	// from, oldest first. Empty if it has moved or was never seen.
	UnmovedFrom []idp.Year `json:"unmoved_from"`
	Contacts    []string   `json:"contacts"`
	// Years has an entry for each year that it used, oldest first.
	Years []Seen `json:"years"`
	// Certs are its request certificates, the one that ends first first.
	Certs []RequestCert `json:"request_certificates"`
	// Fetches are loads of metadata with its hint: a hint, never proof.
	Fetches []Fetches `json:"metadata_fetches"`
	// Warnings are what to see to about its requests of the last 30 days: a
	// RelayState over 80 bytes, a clock that is wrong, no signature, a request
	// certificate that ended or soon will.
	Warnings []rotation.Reason `json:"warnings"`
}

// Seen is the use of one year by one service provider.
type Seen struct {
	Year    idp.Year  `json:"year"`
	FirstAt time.Time `json:"first_at"`
	LastAt  time.Time `json:"last_at"`
	// Days7 and Days30 count its requests on the last 7 and 30 days of the
	// calendar (UTC), today among them.
	Days7  int `json:"requests_7_days"`
	Days30 int `json:"requests_30_days"`
	// Signed reports whether its latest request was.
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

// Fetches are loads of metadata by one client, without the hint in a line of the board.
type Fetches = usage.Loads

const (
	day = 24 * time.Hour
	// recentTime is what the counts look back.
	recentTime = 30 * day
)

// MustLeave reports whether the users of a year of the board have to move to the
// target.
func (b *Board) MustLeave(y Year) bool { return rotation.MustLeave(y.Year, y.State, b.Target) }

// UnmovedFrom lists the active service providers that have still to move from a
// year, sorted.
func (b *Board) UnmovedFrom(y idp.Year) (ids []idp.EntityID) {
	for i := range b.SPs {
		if slices.Contains(b.SPs[i].UnmovedFrom, y) {
			ids = append(ids, b.SPs[i].SP)
		}
	}
	slices.Sort(ids)
	return ids
}

// within reports whether a moment is at most d before now.
func within(d time.Duration, now, t time.Time) bool { return !t.IsZero() && now.Sub(t) <= d }

// Board is how things stand: what is stored and what is noted.
func (s *Service) Board(ctx context.Context) (*Board, error) {
	now := s.Clock.Now()
	known, err := s.Usage.Read(ctx)
	if err != nil {
		return nil, err
	}
	providers, err := s.Registry.All(ctx)
	if err != nil {
		return nil, err
	}
	b := &Board{At: now, SPs: make([]Line, 0, len(providers))}
	if preferred, err := s.Years.Preferred(now); err == nil {
		b.Preferred = preferred.Year()
	}
	if target, ok := s.Years.Target(now); ok {
		b.Target = target.Year()
	}
	l := liner{now: now, target: b.Target, state: func(y idp.Year) rotation.State {
		e, _ := s.Years.Lookup(y, now)
		return e.State
	}}
	for _, p := range providers {
		b.SPs = append(b.SPs, l.line(p, known))
		delete(known.Fetches, p.EntityID)
	}
	sortLines(b.SPs)
	b.Years = s.columns(b.SPs, now)
	b.Fetches = append([]Fetches{}, known.OtherFetches()...)
	return b, nil
}

// Unmoved has Year.Unmoved of every live year.
func (b *Board) Unmoved() rotation.Counts {
	counts := make(rotation.Counts)
	for _, y := range b.Years {
		if y.State.Live() {
			counts[y.Year] = y.Unmoved
		}
	}
	return counts
}

// columns are the years to be shown, and who uses them.
func (s *Service) columns(lines []Line, now time.Time) []Year {
	users, unmoved := map[idp.Year]int{}, map[idp.Year]int{}
	for _, e := range s.Years.Live(now) {
		users[e.Year()] = 0
	}
	for _, l := range lines {
		for _, seen := range l.Years {
			if !within(recentTime, now, seen.LastAt) {
				continue
			}
			users[seen.Year] += 0 // it is shown
			if l.Active {
				users[seen.Year]++
			}
		}
		for _, y := range l.UnmovedFrom {
			unmoved[y]++
		}
	}
	years := make([]Year, 0, len(users))
	for _, y := range slices.Sorted(maps.Keys(users)) {
		c := Year{Year: y, State: rotation.Planned, SPs: users[y], Unmoved: unmoved[y]}
		if y.Valid() { // whatever the store holds
			c.RetireAt = s.Years.Dates(y).RetireAt
		}
		if e, made := s.Years.Lookup(y, now); made {
			c.State = e.State
			if e.Key.Cert != nil {
				c.CertEndAt = e.Key.Cert.NotAfter.UTC()
			}
		}
		years = append(years, c)
	}
	return years
}

var order = []Move{Unmoved, Both, Moved, Unseen}

func sortLines(lines []Line) {
	rank := func(l Line) int {
		if !l.Active {
			return slices.Index(order, l.Move) + len(order)
		}
		return slices.Index(order, l.Move)
	}
	slices.SortFunc(lines, func(a, b Line) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Name, b.Name), cmp.Compare(a.SP, b.SP))
	})
}
