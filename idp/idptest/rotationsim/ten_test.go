//go:build slow

package rotationsim

import "testing"

func TestTenYearsRotateOnSchedule(t *testing.T) { simulate(t, end, 1000) }
