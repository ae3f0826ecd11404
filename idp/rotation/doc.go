// Package rotation contains the rules of the yearly rotation: the calendar, the history of every
// year, the next steps and their waits, refusals, and the matters that need attention. It is pure:
// time is an argument, it reads, writes and signs nothing, and it knows neither keys nor SAML.
//
//	Policy   the calendar, and whether the server takes the steps
//	History  the events of every year, as plain data for JSON
//	Step     one change of the history, such as publish 2027
//	Reason   why a step is taken, waits or is refused: a code with arguments
//	Status   a moment for operators: years, next steps, attention
//
// From a use of a year to its retirement, each arrow is a call:
//
//	service provider                     operator                 every minute
//	      | AuthnRequest to auth2026        | rotation retire 2026     | rotator.Run
//	      v                                 v                          v
//	  sso, logout                       admin.Service            rotator.Service
//	      | Use(sp, 2026, now)              | Take(step)               |
//	      v                                 v                          |
//	  usage.Ledger <---- LastUses, Users --- rotator.Service <---------+
//	   uses of each year:                   |
//	   in memory, then the store            |  1. the history from the store
//	      |                                 |  2. History.Use: the last uses
//	      | Read                            |  3. Policy.Take: this package decides
//	      v                                 |     allowed?  refused with a Reason?
//	  migration.Service                     |  4. the transaction of the store
//	   moved or not (Judge),                |     repeats 2 and 3, then writes the
//	   relative to History.Target           |     history and the audit record
//	      |                                 |  5. Ring.SetHistory: closed from here on
//	      v                                 v  6. Dir: keys are made or destroyed
//	  pages, wallboard, metrics,        keyring.Ring
//	  CLI, letters, notices                 | Lookup(2026): retired
//	                                        v
//	                                    yearaccess.Gate: 410 with the year to move to
//
// Only package rotator writes the history. Only package usage counts uses. A retirement
// waits (retireBlockers) while a year was used within 14 days of running time, its
// successor is younger than 120 days, or the clock is not trusted.
//
// History names the certificate and the public key of every year, because service providers
// trust that certificate and no other. A year that has lost its key, or has a different
// one, has a KeyFault: it is closed, and no step relies on it.
//
// The files: policy.go (dates, periods), history.go and state.go (years and their states),
// fault.go (years and their existing keys), clock.go (trust in the time), restored.go (the hold
// after a restore), replay.go (steps after a backup), step.go, check.go and byhand.go (steps),
// due.go, status.go and plan.go (next steps), reason.go and suggest.go (codes and suggestions).
package rotation
