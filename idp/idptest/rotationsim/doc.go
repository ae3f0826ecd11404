// Package rotationsim simulates a decade of the rotation, from January 2026 to July 2036,
// against a real server with a clock that the test sets.
//
// TestThreeYearsRotateOnSchedule is a part of it. The whole decade needs the build tag slow
// (`make test-sp`).
//
// expected_test.go lists the events by date: when each year opens, is preferred and closes, the
// actions of the operator, and the times when the server is down. partner_test.go contains the
// service providers (SPs), each of which moves at a different time. simulation_test.go advances the clock
// day by day, lets the server take the due steps and users sign in. outside_test.go compares
// everything visible from outside with the expected dates: answers over HTTP, the stable
// metadata, the certificate in each Response, and in the end the audit trail.
//
// The expected dates are written by hand and not computed, so that no rule of the rotation checks
// itself.
package rotationsim
