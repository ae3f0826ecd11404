package doctor

import "time"

// SetLimits changes the bounds of a Service: how long a check may take, how many records of the
// store are examined, and from which size it is large.
func (s *Service) SetLimits(check time.Duration, records int, storeBytes int64) {
	s.limits.checkTime, s.limits.records, s.limits.storeBytes = check, records, storeBytes
}

// SetFreeSpace replaces the free space of disks.
func (s *Service) SetFreeSpace(free uint64) {
	s.freeSpace = func(string) (uint64, error) { return free, nil }
}

// SetFIPS replaces the state of FIPS mode.
func (s *Service) SetFIPS(on bool) { s.isFIPS = func() bool { return on } }

// SetChecks replaces the checks.
func (s *Service) SetChecks(checks ...Check) { s.checks = checks }
