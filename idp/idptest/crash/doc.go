// Package crash contains the test that ends `vernal serve` with SIGKILL in the middle of
// sign-ins, many times, on the same data folder. Everything that the server has
// acknowledged must still exist after each restart: accounts, sessions, and above all
// NameIDs, which must never change for a service provider.
//
// It needs only Go and the build tag slow (`make test-sp`): users and service providers are
// scripted.
package crash
