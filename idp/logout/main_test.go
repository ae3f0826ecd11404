package logout_test

import (
	"flag"
	"testing"
)

// TestMain draws fewer sequences than rapid's hundred: each is a dozen requests that are
// signed and stored. -rapid.checks on the command line takes precedence.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "40"); err != nil {
		panic(err)
	}
	m.Run()
}
