package storetest

import (
	"errors"
	"strconv"
	"sync"
	"testing"

	"vernal/idp"
)

func testRotation(t *testing.T, s idp.Store) {
	ctx := t.Context()
	holds := func(want string) {
		t.Helper()
		got, err := s.Rotation(ctx)
		same(t, want, string(got), err)
		if want == "" && got != nil {
			t.Errorf("Rotation = %q, want nil", got)
		}
	}
	write := func(doc, wantOld string) func([]byte) ([]byte, error) {
		return func(old []byte) ([]byte, error) {
			if string(old) != wantOld || (wantOld == "") != (old == nil) {
				t.Errorf("old = %q, want %q", old, wantOld)
			}
			return []byte(doc), nil
		}
	}
	holds("")
	ok(t, s.UpdateRotation(ctx, write("one", ""), event("rotation.create"), event("rotation.publish")))
	holds("one")
	ok(t, s.UpdateRotation(ctx, write("two", "one")))
	holds("two")

	cause := errors.New("no")
	err := s.UpdateRotation(ctx, func([]byte) ([]byte, error) { return []byte("three"), cause }, event("rotation.prefer"))
	if err != cause {
		t.Errorf("error = %v, want that of the function", err)
	}
	holds("two")
	kinds(t, s, 0, "rotation.create", "rotation.publish")

	// What was given and got belongs to the caller.
	mine := []byte("four")
	ok(t, s.UpdateRotation(ctx, func(old []byte) ([]byte, error) {
		clear(old)
		return mine, nil
	}))
	clear(mine)
	holds("four")
	got, err := s.Rotation(ctx)
	ok(t, err)
	clear(got)
	holds("four")

	ok(t, s.UpdateRotation(ctx, write("", "four"), event("rotation.reset")))
	holds("")
	kinds(t, s, 2, "rotation.reset")

	// What is recorded can depend on what change finds.
	open := event("rotation.retire")
	open.Detail = map[string]string{}
	ok(t, s.UpdateRotation(ctx, func([]byte) ([]byte, error) {
		open.Detail["users"] = "2"
		return []byte("five"), nil
	}, open))
	records, err := s.AuditRecords(ctx, 3, 10)
	ok(t, err)
	if len(records) != 1 || records[0].Detail["users"] != "2" {
		t.Errorf("records = %v, want the detail that change has added", records)
	}
}

// testRotationClaimed lets many claim the same step: one gets it.
func testRotationClaimed(t *testing.T, s idp.Store) {
	ctx := t.Context()
	taken := errors.New("taken")
	const steps = 5
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for n := range steps {
				err := s.UpdateRotation(ctx, func(old []byte) ([]byte, error) {
					if done, _ := strconv.Atoi(string(old)); done > n {
						return nil, taken
					}
					return []byte(strconv.Itoa(n + 1)), nil
				}, event("step"+strconv.Itoa(n)))
				if err != nil && err != taken {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	kinds(t, s, 0, "step0", "step1", "step2", "step3", "step4")
}
