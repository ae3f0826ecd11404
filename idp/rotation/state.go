package rotation

// State is the state of a year.
type State string

// The states in the order of a year's life.
const (
	// Planned: it has neither key nor certificate.
	Planned State = "planned"
	// Created: a key exists, but its URLs still answer 404.
	Created State = "created"
	// Published: URLs and metadata are live.
	Published State = "published"
	// Preferred: signs requests without a year. Exactly one year is preferred.
	Preferred State = "preferred"
	// Expiring: live, and a newer year is preferred.
	Expiring State = "expiring"
	// Grace: like Expiring, with an expired certificate.
	Grace State = "grace"
	// Retired: URLs answer 410, and the key is destroyed later.
	Retired State = "retired"
	// Revoked: retired at once, because its key may have leaked.
	Revoked State = "revoked"
)

// States returns all states in the order of a year's life. The caller owns the slice.
func States() []State {
	return []State{Planned, Created, Published, Preferred, Expiring, Grace, Retired, Revoked}
}

// IsLive reports whether the URLs and the metadata of the year answer.
func (s State) IsLive() bool {
	return s == Published || s == Preferred || s == Expiring || s == Grace
}

// IsOver reports whether the year is retired or revoked, which is final: its URLs answer 410.
func (s State) IsOver() bool { return s == Retired || s == Revoked }
