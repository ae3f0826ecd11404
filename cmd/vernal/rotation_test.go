package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"vernal/cmd/vernal/cli"
	"vernal/idp/admin/ops"
	"vernal/idp/rotation"
)

// years gives a script the current years, so that it runs on any day. In the
// weeks of a year in which a first start makes two, the newer one is preferred
// and the older one ended, so that a script always begins with one.
func years(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: years")
	}
	status := func() (st ops.RotationStatus) {
		ts.Check(ts.Exec("vernal", "rotation", "status", "--json"))
		ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &st))
		return st
	}
	st := status()
	for _, command := range onlyNewest(st) {
		ts.Check(ts.Exec("vernal", command...))
	}
	this, next, later := threeYears(ts, status())
	ts.Setenv("THIS", this)
	ts.Setenv("NEXT", next)
	ts.Setenv("LATER", later)
}

// onlyNewest returns the commands after which the newest year is the only live one.
func onlyNewest(st ops.RotationStatus) (commands [][]string) {
	for _, y := range st.Years {
		if y.Year <= st.Preferred || y.State == rotation.Planned {
			continue
		}
		if y.State == rotation.Created {
			commands = append(commands, []string{"rotation", "publish", string(y.Year)})
		}
		commands = append(commands, []string{"rotation", "prefer", string(y.Year)})
	}
	if len(commands) > 0 {
		old := string(st.Preferred)
		commands = append(commands, []string{"rotation", "revoke", old, "--reason", "one year is enough", "--yes", old})
	}
	return commands
}

// threeYears returns the preferred year and the two after it.
func threeYears(t interface{ Fatalf(string, ...any) }, st ops.RotationStatus) (this, next, later string) {
	n, err := strconv.Atoi(string(st.Preferred))
	if err != nil {
		t.Fatalf("the preferred year: %v", err)
	}
	return fmt.Sprint(n), fmt.Sprint(n + 1), fmt.Sprint(n + 2)
}

// clockAt returns a clock that always shows the same time.
func clockAt(text string) func() time.Time {
	return func() time.Time {
		t, err := time.Parse(time.DateTime, text)
		if err != nil {
			panic(err)
		}
		return t
	}
}

// TestRotationStatusFollowsDate looks at one installation on several days: what is shown,
// and the exit code.
func TestRotationStatusFollowsDate(t *testing.T) {
	t.Parallel()
	const manual = "VERNAL_ROTATION_AUTOMATIC"
	tests := []struct {
		name   string
		at     string
		manual bool
		args   []string
		code   int
		out    string // a part of standard output
		err    string // a part of standard error
	}{
		{"nothing is due", "2031-11-22 08:00:00", false, []string{"status"}, cli.ExitDone,
			"2031  preferred  2032-04-01        131        2032-03-01 expiring (in 100 days)\n", ""},
		{"manual, nothing is due", "2031-11-22 08:00:00", true, []string{"status"}, cli.ExitDone, "manual  the server takes no automatic steps", ""},
		{"manual, the next key is due in ten days", "2032-01-05 08:00:00", true, []string{"status"}, cli.ExitAttention,
			"step_soon  2032  create 2032 is due on 2032-01-15, in 10 days\n", "vernal: 1 thing needs attention\n"},
		{"manual, the plan is the same", "2032-01-05 08:00:00", true, []string{"plan"}, cli.ExitAttention,
			"2032-01-15  10    2032  create   planned    created    you", "vernal: 1 thing needs attention\n"},
		{"as JSON", "2032-01-05 08:00:00", true, []string{"plan", "--json"}, cli.ExitAttention, `"code": "step_soon"`, ""},
		{"the certificate has ended", "2032-04-02 08:00:00", true, []string{"status"}, cli.ExitAttention,
			"2031  preferred  2032-04-01        ended", ""},
		{"the clock is back", "2031-05-01 08:00:00", true, []string{"status"}, cli.ExitAttention, "clock   jumped from 2031-05-17T09:30:00Z to 2031-05-01T08:00:00Z", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, out, errOut := newApp(t)
			if code := call(t, a, "rotation", "status"); code != cli.ExitDone {
				t.Fatalf("status: %d, %s", code, errOut)
			}
			at := clockAt(tt.at)()
			for seen := testClock(); seen.Before(at); seen = seen.AddDate(0, 0, 40) { // longer is a jump
				a.Clock = func() time.Time { return seen }
				call(t, a, "rotation", "status")
			}
			out.Reset()
			errOut.Reset()
			a.Clock = clockAt(tt.at)
			a.Getenv = func(name string) string {
				if name == manual && tt.manual {
					return "false"
				}
				return ""
			}
			code := call(t, a, append([]string{"rotation"}, tt.args...)...)
			if code != tt.code || !strings.Contains(out.String(), tt.out) || !strings.Contains(errOut.String(), tt.err) {
				t.Errorf("exit code %d, want %d\n%s\n%s", code, tt.code, out, errOut)
			}
		})
	}
}

func TestConfirmClockRestoresTrust(t *testing.T) {
	t.Parallel()
	a, out, errOut := newApp(t)
	for _, step := range []struct {
		at   string
		args []string
		code int
		want string
	}{
		{"2031-05-17 10:00:00", []string{"create", "2032", "--yes", "2032"}, cli.ExitDone, "2032 is created (was planned), and its certificate ends on 2033-04-01\n"},
		{"2031-05-17 11:00:00", []string{"publish", "2032"}, cli.ExitDone, "(the server takes this step on 2032-03-01)\n"},
		{"2031-05-17 12:00:00", []string{"prefer", "2032"}, cli.ExitDone, "2032 is preferred (was published)\n"},
		{"2031-10-01 12:00:00", []string{"retire", "2031", "--yes", "2031"}, cli.ExitRefused, "\n  if the time is correct: vernal rotation confirm-clock\n"},
		{"2031-10-01 12:00:00", []string{"retire", "2031", "--dry-run"}, cli.ExitRefused, "the clock jumped from"},
		{"2031-10-01 13:00:00", []string{"confirm-clock", "--dry-run"}, cli.ExitDone, "dry run: nothing was changed\n"},
		{"2031-10-01 13:00:00", []string{"confirm-clock"}, cli.ExitDone, "the clock is trusted: it is 2031-10-01T13:00:00Z\n"},
		{"2031-10-01 13:00:00", []string{"retire", "2031", "--yes", "2031"}, cli.ExitRefused,
			"\n  to retire it anyway: vernal rotation retire 2031 --force --reason TEXT --yes 2031\n"},
		{"2031-10-01 13:00:00", []string{"retire", "2031", "--force", "--reason", "no one is left", "--destroy-now", "--dry-run"}, cli.ExitDone,
			"2031  expiring  retired  destroyed\n"},
		{"2031-10-01 13:00:00", []string{"retire", "2031", "--force", "--reason", "no one is left", "--yes", "2031"}, cli.ExitDone,
			"2031 is retired (was expiring)\nunchanged: 2032 is preferred\nits key is destroyed on 2031-10-31, and its certificate is kept\n"},
		{"2031-10-01 14:00:00", []string{"retire", "2031", "--destroy-now", "--yes", "2031"}, cli.ExitDone, "the key of 2031, which is retired, is destroyed\n"},
	} {
		out.Reset()
		errOut.Reset()
		a.Clock = clockAt(step.at)
		code := call(t, a, append([]string{"rotation"}, step.args...)...)
		if code != step.code || !strings.Contains(out.String()+errOut.String(), step.want) {
			t.Errorf("%v: exit code %d, want %d, and %q in\n%s\n%s", step.args, code, step.code, step.want, out, errOut)
		}
	}
}

// TestRotationJSON reads a change and a plan back.
func TestRotationJSON(t *testing.T) {
	t.Parallel()
	a, out, errOut := newApp(t)
	if code := call(t, a, "rotation", "create", "2032", "--yes", "2032", "--json"); code != cli.ExitDone {
		t.Fatalf("create: %d, %s", code, errOut)
	}
	var change ops.RotationChange
	if err := json.Unmarshal(out.Bytes(), &change); err != nil {
		t.Fatal(err)
	}
	want := []ops.YearChange{{Year: "2032", From: rotation.Planned, To: rotation.Created}}
	if diff := cmp.Diff(want, change.Changed); diff != "" || len(change.Steps) != 1 || change.Status.Preferred != "2031" {
		t.Errorf("create: %+v %s", change, diff)
	}
	for _, name := range []string{`"certificate_end_at": "2033-04-01T00:00:00Z"`, `"unchanged": [`, `"attention": []`} {
		if !bytes.Contains(out.Bytes(), []byte(name)) {
			t.Errorf("%s is not in\n%s", name, out)
		}
	}
}

// TestYearCanBeRotatedOnAnyDay begins on many days of a year and takes the next year all
// the way there, back, there again, and to its end.
func TestYearCanBeRotatedOnAnyDay(t *testing.T) {
	t.Parallel()
	for _, at := range []string{
		"2027-01-01 00:00:00", "2027-01-14 23:59:59", "2027-01-15 00:00:00", "2027-01-20 12:00:00", "2027-01-31 23:59:59",
		"2027-02-01 00:00:00", "2027-02-10 12:00:00", "2028-02-29 12:00:00", "2027-03-01 00:00:00", "2027-03-15 12:00:00",
		"2027-04-01 00:00:00", "2027-07-01 12:00:00", "2027-12-31 23:59:59",
	} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			a, out, errOut := newAppAt(t, clockAt(at))
			do := func(code int, args ...string) {
				t.Helper()
				out.Reset()
				errOut.Reset()
				if got := call(t, a, args...); got != code {
					t.Fatalf("%v: exit code %d, want %d\n%s\n%s", args, got, code, out, errOut)
				}
			}
			status := func() (st ops.RotationStatus) {
				t.Helper()
				do(cli.ExitDone, "rotation", "status", "--json")
				if err := json.Unmarshal(out.Bytes(), &st); err != nil {
					t.Fatal(err)
				}
				return st
			}
			for _, command := range onlyNewest(status()) {
				do(cli.ExitDone, command...)
			}
			this, next, later := threeYears(t, status())
			do(cli.ExitDone, "rotation", "plan", "--years", "3")
			if !strings.Contains(out.String(), later+"  create") {
				t.Errorf("the plan does not make %s:\n%s", later, out)
			}
			do(cli.ExitRefused, "rotation", "prefer", next)
			do(cli.ExitDone, "rotation", "create", next, "--yes", next)
			do(cli.ExitDone, "rotation", "publish", next)
			do(cli.ExitDone, "rotation", "prefer", next)
			do(cli.ExitRefused, "rotation", "retire", this, "--yes", this)
			do(cli.ExitDone, "rotation", "rollback", "--reason", "not ready")
			if st := status(); string(st.Preferred) != this {
				t.Errorf("%s is preferred after the rollback, want %s", st.Preferred, this)
			}
			do(cli.ExitDone, "rotation", "prefer", next)
			do(cli.ExitDone, "rotation", "revoke", next, "--reason", "leaked", "--yes", next)
			if st := status(); string(st.Preferred) != next+"b" {
				t.Errorf("%s is preferred after the revocation, want %sb", st.Preferred, next)
			}
		})
	}
}

// TestEarlyCreateNeedsConfirmation checks that a year is created more than 60 days before
// its date only after a confirmation.
func TestEarlyCreateNeedsConfirmation(t *testing.T) {
	t.Parallel()
	a, out, errOut := newAppAt(t, clockAt("2031-11-16 00:00:00")) // 60 days before 15 January
	for _, step := range []struct {
		at    string
		args  []string
		code  int
		early bool // in JSON
	}{
		{"2031-11-15 23:59:59", []string{"2032"}, cli.ExitRefused, false},
		{"2031-11-15 23:59:59", []string{"2032", "--yes", "2031"}, cli.ExitRefused, false},
		{"2031-11-15 23:59:59", []string{"2032", "--dry-run"}, cli.ExitDone, true},
		{"2031-11-16 00:00:00", []string{"2032", "--dry-run"}, cli.ExitDone, false},
		{"2031-11-16 00:00:00", []string{"2032", "--yes", "2031"}, cli.ExitRefused, false},
		{"2031-11-16 00:00:00", []string{"2032"}, cli.ExitDone, false},
		{"2031-11-16 00:00:00", []string{"2032"}, cli.ExitRefused, false}, // it is there
		{"2031-11-16 00:00:00", []string{"2031b"}, cli.ExitDone, false},
		{"2031-11-16 00:00:00", []string{"2302"}, cli.ExitRefused, false},
		{"2031-11-16 00:00:00", []string{"2302", "--yes", "2302"}, cli.ExitDone, true},
	} {
		out.Reset()
		errOut.Reset()
		a.Clock = clockAt(step.at)
		if code := call(t, a, append([]string{"rotation", "create", "--json"}, step.args...)...); code != step.code {
			t.Errorf("%s %v: exit code %d, want %d\n%s", step.at, step.args, code, step.code, errOut)
		}
		if step.code != cli.ExitDone {
			continue
		}
		var change ops.RotationChange
		if err := json.Unmarshal(out.Bytes(), &change); err != nil {
			t.Fatal(err)
		}
		if change.CalendarAt.IsZero() == step.early {
			t.Errorf("%s %v: the calendar's date is %v", step.at, step.args, change.CalendarAt)
		}
	}
}
