package rotator

import "time"

// startedAt is the start of the uptime on a system without a better clock.
var startedAt = time.Now()

// uptime is a reading of the Service's clock, from any beginning. It goes on while the
// machine is suspended if the system has such a clock.
func (s *Service) uptime() time.Duration {
	if s.Uptime != nil {
		return s.Uptime()
	}
	if up, ok := bootTime(); ok {
		return up
	}
	return time.Since(startedAt)
}
