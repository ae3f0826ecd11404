//go:build slow

package logout_test

import "testing"

const draws = "150"

func TestManyLogoutSequencesMatchModel(t *testing.T) { checkSequences(t) }

func TestManyLogoutsEndOneUsersSessionsOnly(t *testing.T) {
	if ended, refused := checkEndedSessions(t); ended == 0 || refused == 0 {
		t.Errorf("%d requests end sessions and %d are refused: too few to compare", ended, refused)
	}
}
