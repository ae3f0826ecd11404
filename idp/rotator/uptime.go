package rotator

import (
	"sync"
	"time"
)

// systemUptime reads a clock that cannot be set, from an arbitrary beginning. If the system
// has one, it is a clock that runs during suspension. It never switches clocks, whose
// beginnings differ.
var systemUptime = sync.OnceValue(func() func() time.Duration {
	if _, ok := uptime(); ok {
		return func() time.Duration { now, _ := uptime(); return now }
	}
	begin := time.Now()
	return func() time.Duration { return time.Since(begin) }
})

// uptime reads the Service's clock.
func (s *Service) uptime() time.Duration {
	if s.Uptime != nil {
		return s.Uptime()
	}
	return systemUptime()()
}
