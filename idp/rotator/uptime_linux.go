package rotator

import (
	"time"

	"golang.org/x/sys/unix"
)

// uptime reads CLOCK_BOOTTIME, which runs during suspension like the time of day.
// CLOCK_MONOTONIC, and with it Go's time.Since, stops: after suspension the time of day
// would seem wrong.
func uptime() (time.Duration, bool) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0, false
	}
	return time.Duration(ts.Nano()), true
}
