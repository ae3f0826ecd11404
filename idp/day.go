package idp

import "time"

// CountDaysUntil counts the calendar days (UTC) between two times. The count is negative if to is
// in the past, and 0 if to is zero.
func CountDaysUntil(from, to time.Time) int {
	if to.IsZero() {
		return 0
	}
	const day = 24 * time.Hour
	return int(to.Truncate(day).Sub(from.Truncate(day)) / day)
}
