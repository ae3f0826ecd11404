package logout_test

import (
	"flag"
	"testing"
)

// TestMain draws another number of sequences than rapid's hundred: each is a dozen
// requests that are signed and stored. -rapid.checks on the command line takes precedence.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", draws); err != nil {
		panic(err)
	}
	m.Run()
}
