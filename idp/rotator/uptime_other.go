//go:build !linux

package rotator

import "time"

// bootTime is not there: uptime uses Go's monotonic clock.
func bootTime() (time.Duration, bool) { return 0, false }
