// Package rotationsim holds the proof of the rotation: a decade of it, from January
// 2026 to July 2036, against a real server with a clock that is turned.
//
// TestThreeYearsRotateOnSchedule is a part of it; all of it needs the build tag slow (`make test-sp`).
//
// Its flow: story_test.go tells what happens, by date: when each year opens,
// is preferred and closes, what an operator does, when the server is down.
// partner_test.go has the service providers (SPs), each of which moves in its
// own way; simulation_test.go turns the clock day by day, lets the server take what
// is due and people sign in; outside_test.go compares what can be seen from
// outside with the story: answers over HTTP, the stable metadata, the
// certificate in each Response, and in the end the audit trail.
//
// The story is written down, not computed: no rule of the rotation is used to
// know what should happen.
package rotationsim
