package idp

import "time"

// DaysUntil counts the days of the calendar (UTC) from one moment to another,
// below zero into the past; 0 if there is no other.
func DaysUntil(from, to time.Time) int {
	if to.IsZero() {
		return 0
	}
	const day = 24 * time.Hour
	return int(to.Truncate(day).Sub(from.Truncate(day)) / day)
}
