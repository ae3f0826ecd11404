//go:build slow

package logout_test

import "testing"

const draws = "150"

func TestManyLogoutSequencesMatchModel(t *testing.T) {
	counts := checkSequences(t)
	for _, what := range []string{"silent", "ended", "ended from another browser", "success=true", "success=false"} {
		if counts[what] == 0 {
			t.Errorf("never %s: the test tests nothing", what)
		}
	}
}

func TestManyLogoutsEndOneUsersSessionsOnly(t *testing.T) {
	if ended, refused := checkEndedSessions(t); ended == 0 || refused == 0 {
		t.Errorf("%d requests end sessions and %d are refused: too few to compare", ended, refused)
	}
}
