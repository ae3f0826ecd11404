package certs

import (
	"slices"
	"time"

	"vernal/idp"
)

// State is where a year stands in its life.
type State string

// The states in the order of a year's life.
const (
	// Planned: there is neither key nor certificate.
	Planned State = "planned"
	// Created: a key exists, its addresses answer 404 still.
	Created State = "created"
	// Published: addresses and metadata are live.
	Published State = "published"
	// Preferred: signs what names no year. Exactly one year is.
	Preferred State = "preferred"
	// Expiring: live, and a newer year is preferred.
	Expiring State = "expiring"
	// Grace: like Expiring, with the certificate past its end.
	Grace State = "grace"
	// Retired: the key is gone, addresses answer 410.
	Retired State = "retired"
	// Revoked: retired at once, because its key may have leaked.
	Revoked State = "revoked"
)

// States are all of them, in the order of a year's life. The slice belongs to
// the caller.
func States() []State {
	return []State{Planned, Created, Published, Preferred, Expiring, Grace, Retired, Revoked}
}

// Live reports whether the addresses and the metadata of the year answer.
func (s State) Live() bool {
	return s == Published || s == Preferred || s == Expiring || s == Grace
}

// Over reports whether the year has come to its end: its addresses answer 410
// and it never comes back.
func (s State) Over() bool { return s == Retired || s == Revoked }

// Made is what the decision needs to know of a year that exists.
type Made struct {
	Year idp.Year
	// CertEndAt is the end of its certificate; zero while it has none.
	CertEndAt time.Time
	// HasKey is false once the private key was destroyed.
	HasKey bool
	// Elsewhere: its certificate comes, or came, from elsewhere.
	Elsewhere bool
	// CertSHA256 and PublicKeySHA256 are the digests of what is there; "" if it
	// is not.
	CertSHA256, PublicKeySHA256 string
}

// canSign reports whether the year could sign: it has a key and a certificate
// that says whose it is. A certificate past its end still signs.
func (m Made) canSign() bool { return m.HasKey && !m.CertEndAt.IsZero() }

// States is the state of every year in made at now by the calendar alone, for
// an installation that has no History. The order of made does not matter; a year not in it is Planned.
//
// If any year can sign, exactly one of them is Preferred: the newest whose
// preferring date has passed or, before any has, the oldest, so that a fresh
// installation can always sign. A year past its retiring date stays in Grace:
// retirement destroys a key, and the calendar alone destroys nothing.
func (p Policy) States(made []Made, now time.Time) map[idp.Year]State {
	preferred := p.preferred(made, now)
	states := make(map[idp.Year]State, len(made))
	for _, m := range made {
		states[m.Year] = p.state(m, preferred, now)
	}
	return states
}

// State is the state of one year among those made; see States.
func (p Policy) State(made []Made, y idp.Year, now time.Time) State {
	i := slices.IndexFunc(made, func(m Made) bool { return m.Year == y })
	if i < 0 {
		return Planned
	}
	return p.state(made[i], p.preferred(made, now), now)
}

// preferred is the year that is preferred, or "" if none can sign.
func (p Policy) preferred(made []Made, now time.Time) idp.Year {
	var due, oldest idp.Year
	for _, m := range made {
		if !m.canSign() {
			continue
		}
		if oldest == "" || m.Year < oldest {
			oldest = m.Year
		}
		if m.Year > due && !p.Dates(m.Year).PreferAt.After(now) {
			due = m.Year
		}
	}
	if due != "" {
		return due
	}
	return oldest
}

func (p Policy) state(m Made, preferred idp.Year, now time.Time) State {
	switch {
	case !m.HasKey:
		return Retired
	case m.CertEndAt.IsZero():
		return Created
	case m.Year == preferred:
		return Preferred
	case m.Year < preferred && m.CertEndAt.After(now):
		return Expiring
	case m.Year < preferred:
		return Grace
	case p.Dates(m.Year).PublishAt.After(now):
		return Created
	}
	return Published
}
