package idp

import "time"

// CountDaysUntil counts the calendar days (UTC) from now until end. The count is negative if end
// is in the past, and 0 if end is zero.
func CountDaysUntil(now, end time.Time) int {
	if end.IsZero() {
		return 0
	}
	const day = 24 * time.Hour
	return int(end.Truncate(day).Sub(now.Truncate(day)) / day)
}
