package rotation

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
