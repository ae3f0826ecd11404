//go:build slow

package logout_test

import "testing"

const draws = "150"

func TestManyLogoutSequencesMatchModel(t *testing.T) { checkSequences(t) }
