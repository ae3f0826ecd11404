package rotator

import "time"

// startedAt is the start of the uptime on a system without a better clock.
var startedAt = time.Now()

// readUptime reads the Service's clock, which may start at any value. It continues while the
// machine is suspended if the system has such a clock.
func (s *Service) readUptime() time.Duration {
	if s.Uptime != nil {
		return s.Uptime()
	}
	if uptime, ok := readBootTime(); ok {
		return uptime
	}
	return time.Since(startedAt)
}
