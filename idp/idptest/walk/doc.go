// Package walk tests the journeys of users in a real browser: registration, recovery, consent and
// the account, from the first page to the service provider. Its tests have the build tag slow.
package walk
