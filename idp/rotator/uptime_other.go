//go:build !linux

package rotator

import "time"

// bootTime reports that it is not available, so uptime uses Go's monotonic clock.
func bootTime() (time.Duration, bool) { return 0, false }
