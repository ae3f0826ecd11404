// Package crash holds the test that ends `vernal serve` with SIGKILL in the
// middle of sign-ins, again and again, on the same data folder. What the server
// has acknowledged must be there after each restart: accounts, sessions, and
// above all NameIDs, which no service provider may see change.
//
// It needs nothing but Go, and the build tag slow (`make test-sp`): people and service
// providers are scripted.
package crash
