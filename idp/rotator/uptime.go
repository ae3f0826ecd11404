package rotator

import (
	"sync"
	"time"
)

// systemUptime reads a clock that no one sets, from any beginning. It goes on
// while the machine is suspended if the system has such a clock. It never changes
// from one clock to another, whose beginnings differ.
var systemUptime = sync.OnceValue(func() func() time.Duration {
	if _, ok := uptime(); ok {
		return func() time.Duration { now, _ := uptime(); return now }
	}
	begin := time.Now()
	return func() time.Duration { return time.Since(begin) }
})

// uptime is a reading of the Service's clock.
func (s *Service) uptime() time.Duration {
	if s.Uptime != nil {
		return s.Uptime()
	}
	return systemUptime()()
}
