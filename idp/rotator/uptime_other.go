//go:build !linux

package rotator

import "time"

// uptime returns false: systemUptime uses Go's monotonic clock.
func uptime() (time.Duration, bool) { return 0, false }
