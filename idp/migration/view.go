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

// Move says how far a service provider has moved to the target (rotation.History.Target). Use of a
// live year newer than the target, which a rollback can leave behind, counts as use of the target,
// because the service provider has nothing to change.
type Move string

const (
	// Moved: it used the target, and no year to leave within 14 days.
	Moved Move = "moved"
	// Both: it used the target, and a year to leave within 14 days.
	Both Move = "both"
	// CountUnmoved: it used other years only, or last used one that is over now.
	Unmoved Move = "unmoved"
	Unseen  Move = "unseen"
)

// Board shows which service provider used which year, at one moment.
type Board struct {
	At        time.Time `json:"at"`
	Preferred idp.Year  `json:"preferred"`
	// Target is the year that service providers should move to, or "" if none is live.
	Target idp.Year `json:"target"`
	// Years are the columns: every live year, and every year used by a service provider
	// within 30 days, oldest first.
	Years []Year `json:"years"`
	// SPs has a line for every registered service provider: active ones first, then by Move
	// (unmoved, both, moved, unseen), then by name.
	SPs []Line `json:"sps"`
	// Fetches are loads of metadata without a hint, or with the hint of an SP that is not
	// registered, latest first and bounded.
	Fetches []Fetches `json:"metadata_fetches"`
}

// Year is a column of the migration board.
type Year struct {
	Year      idp.Year       `json:"year"`
	State     rotation.State `json:"state"`
	CertEndAt time.Time      `json:"certificate_end_at,omitzero"`
	// RetireAt is the retirement date in the calendar.
	RetireAt time.Time `json:"retire_at,omitzero"`
	// SPs counts the active service providers that used the year within 30 days. Unmoved
	// counts the lines that list it in UnmovedFrom, and is 0 for the target.
	SPs     int `json:"sps"`
	UnmovedCount int `json:"unmoved"`
}

// Line is one service provider.
type Line struct {
	SP     idp.EntityID `json:"entity_id"`
	Name   string       `json:"name"`
	Active bool         `json:"active"`
	Move   Move         `json:"move"`
	// ListUnmoved are the years that an active service provider must still leave, oldest
	// first. Empty if it has moved or was never seen.
	YearsToLeave []idp.Year `json:"unmoved_from"`
	Contacts    []string   `json:"contacts"`
	// Years has an entry for each year used, oldest first.
	Years []YearUse `json:"years"`
	// Certs are its request certificates, sorted by expiry.
	Certs []RequestCert `json:"request_certificates"`
	// Fetches are loads of metadata with its entity ID as a hint, which proves nothing.
	Fetches []Fetches `json:"metadata_fetches"`
	// Warnings are about its requests of the last 30 days: a RelayState over 80 bytes, a
	// wrong clock, no signature, or an expiring or expired request certificate.
	Warnings []rotation.Reason `json:"warnings"`
}

// YearUse is the use of one year by one service provider.
type YearUse struct {
	Year    idp.Year  `json:"year"`
	FirstAt time.Time `json:"first_at"`
	LastAt  time.Time `json:"last_at"`
	// Days7 and Days30 count its requests on the last 7 and 30 UTC days, including today.
	Days7  int `json:"requests_7_days"`
	Days30 int `json:"requests_30_days"`
	// Signed reports whether its latest request was signed.
	Signed bool `json:"signed"`
	// CertSHA256 names the certificate that verified the latest signed request.
	CertSHA256 string `json:"certificate_sha256,omitzero"`
}

// RequestCert is a registered request certificate of a service provider.
type RequestCert struct {
	SHA256 string    `json:"sha256"`
	EndAt  time.Time `json:"end_at"`
	Ended  bool      `json:"ended"`
	// LastAt is when it last verified a request, or zero.
	LastAt time.Time `json:"last_at,omitzero"`
}

// Fetches are loads of metadata by one client, without the hint in a line of the migration board.
type Fetches = usage.Loads

const (
	day = 24 * time.Hour
	// recentTime is the length of the time that the counts cover.
	recentTime = 30 * day
)

// MustLeave reports whether the users of a year must move to the target.
func (b *Board) MustLeave(y Year) bool { return rotation.MustLeave(y.Year, y.State, b.Target) }

// ListUnmoved lists the active service providers that must still leave a year, sorted.
func (b *Board) ListUnmoved(y idp.Year) (ids []idp.EntityID) {
	for i := range b.SPs {
		if slices.Contains(b.SPs[i].YearsToLeave, y) {
			ids = append(ids, b.SPs[i].SP)
		}
	}
	slices.Sort(ids)
	return ids
}

// isWithin reports whether t is at most d before now.
func isWithin(d time.Duration, now, t time.Time) bool { return !t.IsZero() && now.Sub(t) <= d }

// Board reads the stored uses and those not written yet.
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
	l := lineBuilder{now: now, target: b.Target, state: func(y idp.Year) rotation.State {
		e, _ := s.Years.Lookup(y, now)
		return e.State
	}}
	for _, p := range providers {
		b.SPs = append(b.SPs, l.buildLine(p, known))
		delete(known.Fetches, p.EntityID)
	}
	sortLines(b.SPs)
	b.Years = s.listColumns(b.SPs, now)
	b.Fetches = append([]Fetches{}, known.ListOtherFetches()...)
	return b, nil
}

// CountUnmoved returns Year.Unmoved of every live year.
func (b *Board) CountUnmoved() rotation.Counts {
	counts := make(rotation.Counts)
	for _, y := range b.Years {
		if y.State.IsLive() {
			counts[y.Year] = y.UnmovedCount
		}
	}
	return counts
}

// listColumns returns the years to show and counts their users.
func (s *Service) listColumns(lines []Line, now time.Time) []Year {
	users, unmoved := map[idp.Year]int{}, map[idp.Year]int{}
	for _, e := range s.Years.Live(now) {
		users[e.Year()] = 0
	}
	for _, l := range lines {
		for _, seen := range l.Years {
			if !isWithin(recentTime, now, seen.LastAt) {
				continue
			}
			users[seen.Year] += 0 // shown even if no active service provider uses it
			if l.Active {
				users[seen.Year]++
			}
		}
		for _, y := range l.YearsToLeave {
			unmoved[y]++
		}
	}
	years := make([]Year, 0, len(users))
	for _, y := range slices.Sorted(maps.Keys(users)) {
		c := Year{Year: y, State: rotation.Planned, SPs: users[y], UnmovedCount: unmoved[y]}
		if y.IsValid() { // the store can contain another text
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

var moveOrder = []Move{Unmoved, Both, Moved, Unseen}

func sortLines(lines []Line) {
	rank := func(l Line) int {
		if !l.Active {
			return slices.Index(moveOrder, l.Move) + len(moveOrder)
		}
		return slices.Index(moveOrder, l.Move)
	}
	slices.SortFunc(lines, func(a, b Line) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Name, b.Name), cmp.Compare(a.SP, b.SP))
	})
}
