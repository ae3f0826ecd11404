package bolt

import (
	"fmt"
	"runtime"
)

// escape is how a function of a caller ended that did not return: by a panic
// with value, or by runtime.Goexit (as testing's FailNow does) if exit is set.
type escape struct {
	value any
	exit  bool
}

func (e *escape) Error() string {
	if e.exit {
		return "change ended its goroutine"
	}
	return fmt.Sprintf("change panicked: %v", e.value)
}

// resume lets the caller end as its function did.
func (e *escape) resume() {
	if e.exit {
		runtime.Goexit()
	}
	panic(e.value)
}

// apart runs a function of a caller in a goroutine of its own, so that it
// cannot end the committer, and returns its error or an *escape.
func apart(f func() error) error {
	outcome := make(chan error, 1)
	go func() {
		var err error = &escape{exit: true}
		defer func() {
			if v := recover(); v != nil {
				err = &escape{value: v}
			}
			outcome <- err
		}()
		err = f()
	}()
	return <-outcome
}
