package rotator

import (
	"time"

	"golang.org/x/sys/unix"
)

// readBootTime reads CLOCK_BOOTTIME, which continues while the machine is suspended, as the time
// of day does. CLOCK_MONOTONIC, and with it Go's time.Since, stops during a suspend, so the
// clock of a machine that slept would seem wrong.
func readBootTime() (time.Duration, bool) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0, false
	}
	return time.Duration(ts.Nano()), true
}
