//go:build !linux

package rotator

import "time"

// readBootTime reports that it is not available, so uptime uses Go's monotonic clock.
func readBootTime() (time.Duration, bool) { return 0, false }
