package rotator_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/rotation"
	"vernal/idp/rotator"
	"vernal/idp/usage"
)

// named is a ledger whose users a test names.
type named struct {
	*usage.Ledger
	users func(y idp.Year, since time.Time) ([]idp.EntityID, error)
}

func (n named) Users(_ context.Context, y idp.Year, since time.Time) ([]idp.EntityID, error) {
	return n.users(y, since)
}

// TestProvidersOfUsedYearAreNamed checks that the SPs that keep a year from being retired
// are named when the step is refused and while it waits. If they cannot be read, nothing
// else changes.
func TestProvidersOfUsedYearAreNamed(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, day(2026, 11, 22))
	s := w.started()
	w.run(day(2027, 6, 20), s)
	w.use(s, "2026")
	ledger := s.Uses.(*usage.Ledger)
	w.run(day(2027, 7, 1), s)
	used := day(2027, 6, 20)
	tests := []struct {
		name  string
		stood int // days for which the server stood still
		users []idp.EntityID
		err   error
		since time.Time
	}{
		{"one", 0, []idp.EntityID{"urn:a"}, nil, day(2027, 6, 17)},
		{"many", 0, []idp.EntityID{"a", "b", "c", "d", "e", "f", "g"}, nil, day(2027, 6, 17)},
		{"unregistered provider", 0, nil, nil, day(2027, 6, 17)},
		{"the users cannot be read", 0, nil, errors.New("disk"), day(2027, 6, 17)},
		{"the last use is longer ago than that", 20, []idp.EntityID{"urn:a"}, nil, used},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w.Clock.Set(day(2027, 7, 1).AddDate(0, 0, tt.stood))
			var since time.Time
			s.Uses = named{ledger, func(y idp.Year, at time.Time) ([]idp.EntityID, error) {
				since = at
				if y != "2026" {
					t.Errorf("asked for %s", y)
				}
				return tt.users, tt.err
			}}
			_, err := s.Take(t.Context(), rotation.Step{Kind: rotation.StepRetire, Year: "2026"}, "test", true)
			var refused *rotation.RefusedError
			if !errors.As(err, &refused) || !refused.Reason.IsUse() || !since.Equal(tt.since) {
				t.Fatalf("retire: %v, asked since %s", err, since)
			}
			if diff := cmp.Diff(tt.users, refused.Reason.Args.SPs); diff != "" {
				t.Errorf("users (-want +got):\n%s", diff)
			}
			held := w.status(s).Attention
			i := len(held) - 1
			if i < 0 || held[i].Code != rotation.StepHeld || !held[i].IsUse() || !slices.Equal(held[i].Reasons[0].Args.SPs, tt.users) {
				t.Errorf("attention: %v", held)
			}
		})
	}
}

// TestForcedRetirementNamesWhomItCutsOff checks that a forced retirement reports the service
// providers that it cuts off, also in a dry run, and records them with the reason. An
// unneeded force cuts off none.
func TestForcedRetirementNamesWhomItCutsOff(t *testing.T) {
	t.Parallel()
	many := make([]idp.EntityID, 30)
	for n := range many {
		many[n] = idp.EntityID(fmt.Sprintf("urn:%02d", n))
	}
	tests := []struct {
		name   string
		used   bool
		users  []idp.EntityID
		err    error
		cutOff []idp.EntityID
		want   map[string]string
	}{
		{"two use it", true, []idp.EntityID{"urn:a", "urn:b"}, nil, []idp.EntityID{"urn:a", "urn:b"}, map[string]string{"users": "2", "used_by": "urn:a, urn:b"}},
		{"none that is registered", true, nil, nil, []idp.EntityID{}, nil},
		{"unused for 14 days", false, []idp.EntityID{"urn:a"}, nil, []idp.EntityID{}, nil},
		{"the users cannot be read", true, nil, errors.New("disk"), nil, nil},
		{"many", true, many, nil, many, map[string]string{"users": "30", "used_by": "urn:00, urn:01, urn:02, urn:03, urn:04, urn:05, urn:06, " +
			"urn:07, urn:08, urn:09, urn:10, urn:11, urn:12, urn:13, urn:14, urn:15, urn:16, urn:17, urn:18, urn:19"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newDeployment(t, day(2026, 11, 22))
			s := w.started()
			w.run(day(2027, 6, 20), s)
			if tt.used {
				w.use(s, "2026")
			}
			s.Uses = named{s.Uses.(*usage.Ledger), func(idp.Year, time.Time) ([]idp.EntityID, error) { return tt.users, tt.err }}
			step := rotation.Step{Kind: rotation.StepRetire, Year: "2026", Force: true, Reason: "the rest was notified by telephone"}
			dry, err := s.Take(t.Context(), step, "test", true)
			ok(t, err)
			done := w.take(s, step)
			for _, o := range []*rotator.Outcome{dry, done} {
				if diff := cmp.Diff(tt.cutOff, o.CutOffSPs); diff != "" {
					t.Errorf("cut off, dry run %v (-want +got):\n%s", o.DryRun, diff)
				}
			}
			records, err := audit.Records(t.Context(), w.Bolt, 0, 1000)
			ok(t, err)
			last := records[len(records)-1]
			want := map[string]string{"force": "true", "reason": "the rest was notified by telephone"}
			maps.Copy(want, tt.want)
			if diff := cmp.Diff(want, last.Detail); diff != "" || last.Kind != "rotation.retire" || last.Year != "2026" || last.Actor != "test" {
				t.Errorf("%s of %s by %s (-want +got):\n%s", last.Kind, last.Year, last.Actor, diff)
			}
		})
	}
}

// TestForcedRetirementCountsLateUse checks that a forced retirement reports and records the
// uses at the time of its write, including one after the step was checked.
func TestForcedRetirementCountsLateUse(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, day(2026, 11, 22))
	s := w.started()
	w.run(day(2027, 6, 20), s)
	ledger := s.Uses.(*usage.Ledger)
	s.Uses = named{ledger, func(idp.Year, time.Time) ([]idp.EntityID, error) {
		ledger.Use(idp.Use{SP: "urn:a", Year: "2026", At: w.Clock.Now()}) // the check has seen the uses before
		return []idp.EntityID{"urn:a"}, nil
	}}
	o := w.take(s, rotation.Step{Kind: rotation.StepRetire, Year: "2026", Force: true, Reason: "x"})
	records, err := audit.Records(t.Context(), w.Bolt, 0, 1000)
	ok(t, err)
	if last := records[len(records)-1]; !slices.Equal(o.CutOffSPs, []idp.EntityID{"urn:a"}) || last.Detail["used_by"] != "urn:a" || last.Detail["users"] != "1" {
		t.Errorf("cut off %v, recorded %v", o.CutOffSPs, last.Detail)
	}
}
