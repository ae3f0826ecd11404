package rotation

import (
	"time"

	"vernal/idp"
)

// Target returns the year that service providers should move to: the newest published one
// or, while a rollback holds, the preferred one. Years that are over, or closed because of
// their key, do not count. It returns "" if no year is left.
func (h History) Target(now time.Time) idp.Year {
	return h.TargetAmong(now, Record.answers)
}

// TargetAmong is Target with the caller's answers, which the Ring derives from its keys.
func (h History) TargetAmong(now time.Time, answers func(Record) bool) (target idp.Year) {
	for _, r := range h.Records {
		if answers(r) && (r.Year == h.Preferred || !h.Hold.Active(now)) {
			target = max(target, r.Year)
		}
	}
	return target
}

// MustLeave reports whether a service provider that uses year y, in state s, must move to
// the target. A newer live year, which a rollback can leave behind, keeps working. A newer
// year that is closed because of its key counts as live, because its users wait for the key
// and cannot change anything. A year that was never published has no users.
func MustLeave(y idp.Year, s State, target idp.Year) bool {
	return s.Over() || s.Live() && y < target
}
