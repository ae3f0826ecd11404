//go:build !linux

package rotation

import "time"

// uptime is not there: systemUptime uses Go's monotonic clock.
func uptime() (time.Duration, bool) { return 0, false }
