package rotator

import (
	"time"

	"golang.org/x/sys/unix"
)

// bootTime reads CLOCK_BOOTTIME, which goes on while the machine is suspended, as
// the time of day does. CLOCK_MONOTONIC, and with it Go's time.Since, stands still
// then: after it, a machine that slept would seem to have a wrong clock.
func bootTime() (time.Duration, bool) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0, false
	}
	return time.Duration(ts.Nano()), true
}
