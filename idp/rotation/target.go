package rotation

import (
	"time"

	"vernal/idp"
)

// Target is the year that service providers should move to: the newest published
// one or, while a rollback holds, the preferred one. A year that is over or closed
// because of its key is none; "" if no year is left.
func (h History) Target(now time.Time) idp.Year {
	return h.TargetAmong(now, Record.answers)
}

// TargetAmong is Target that takes from its caller which years answer: the Ring finds that from the
// keys it has.
func (h History) TargetAmong(now time.Time, answers func(Record) bool) (target idp.Year) {
	for _, r := range h.Records {
		if answers(r) && (r.Year == h.Preferred || !h.Hold.Active(now)) {
			target = max(target, r.Year)
		}
	}
	return target
}

// MustLeave reports whether a service provider that uses year y, which is in state
// s, has to move from it to the target. It has not if y is newer and live, as it
// can be during a rollback: that year keeps working. A newer year that is closed
// because of its key is live too, because its users wait for the key and cannot
// change anything. A year that was never published is used by no one.
func MustLeave(y idp.Year, s State, target idp.Year) bool {
	return s.Over() || s.Live() && y < target
}
