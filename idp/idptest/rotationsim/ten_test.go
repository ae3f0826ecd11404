//go:build slow

package rotationsim

import "testing"

func TestTenSprings(t *testing.T) { simulate(t, end, 1000) }
