package rotator

import "time"

// startedAt is the start of the uptime on a system without a better clock.
var startedAt = time.Now()

// readUptime is a reading of the Service's clock, from any beginning. It goes on while the
// machine is suspended if the system has such a clock.
func (s *Service) readUptime() time.Duration {
	if s.Uptime != nil {
		return s.Uptime()
	}
	if up, ok := readBootTime(); ok {
		return up
	}
	return time.Since(startedAt)
}
