package main

import (
	"encoding/csv"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/migration"
	"vernal/idp/rotation"
	"vernal/idp/sp"
)

// boardApp is an installation whose year 2031 is expiring and 2032 preferred:
// one provider has moved, one has not, one was never seen.
func boardApp(t *testing.T) (a *app, out, errOut *strings.Builder) {
	t.Helper()
	a, _, _ = newAppAt(t, clockAt("2031-12-01 10:00:00"))
	out, errOut = new(strings.Builder), new(strings.Builder)
	a.out, a.err = out, errOut
	for _, verb := range []string{"create", "publish", "prefer"} {
		if code := call(t, a, "rotation", verb, "2032"); code != exitDone {
			t.Fatalf("%s: %d, %s", verb, code, errOut)
		}
	}
	c, err := a.config()
	if err != nil {
		t.Fatal(err)
	}
	d, err := openDeps(c, slog.New(slog.DiscardHandler), a.clock, a.getenv, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for id, name := range map[idp.EntityID]string{"urn:late": "=cmd|' /C calc'!A0", "urn:moved": "Moved, Ltd", "urn:unseen": "Unseen"} {
		p := sp.Defaults()
		p.EntityID, p.Name, p.ACSURLs, p.SignRequests = id, name, []string{"https://sp.example/acs"}, idp.SignRequestsOptional
		if _, err := d.Registry.Add(t.Context(), p, sp.Options{}, "test"); err != nil {
			t.Fatal(err)
		}
	}
	now := a.clock().UTC()
	for id, y := range map[idp.EntityID]idp.Year{"urn:late": "2031", "urn:moved": "2032"} {
		for _, ago := range []int{20, 1} {
			d.Usage.Use(idp.Use{SP: id, Year: y, At: now.AddDate(0, 0, -ago), CertSHA256: strings.Repeat("c", 64)})
		}
	}
	if err := d.Usage.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	errOut.Reset()
	return a, out, errOut
}

func TestRotationBoard(t *testing.T) {
	t.Parallel()
	a, out, errOut := boardApp(t)
	tests := []struct {
		name string
		args []string
		code int
		want []string // parts of what is printed
	}{
		{"summary", []string{"status"}, exitDone, []string{
			"\nYEAR  SPS  UNMOVED  WHO\n2031  1    1        urn:late\n2032  1    -        -\n"}},
		{"a year", []string{"status", "--year", "2031"}, exitDone, []string{
			"ENTITY ID   NAME", "MOVE     FIRST       LAST        7 DAYS  30 DAYS  SIGNED  CERTIFICATE       ENDS  DAYS LEFT\n",
			"unmoved  2031-11-11  2031-11-30  1       2        yes     cccccccccccccccc  -     -\n",
			"urn:moved   Moved, Ltd          moved    -           -           0       0        -       -                 -     -\n", "urn:unseen"}},
		{"no such year", []string{"status", "--year", "2033"}, exitError, []string{"the year 2033 was never made"}},
		{"no year", []string{"status", "--year", "next"}, exitUsage, []string{`"next" is not a year`}},
		{"an empty year", []string{"status", "--year", ""}, exitUsage, []string{`"" is not a year`}},
		{"two forms", []string{"status", "--csv", "--json"}, exitUsage, []string{"exclude each other"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out.Reset()
			errOut.Reset()
			code := call(t, a, append([]string{"rotation"}, tt.args...)...)
			a.json = false
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			for _, want := range tt.want {
				if all := out.String() + errOut.String(); !strings.Contains(all, want) {
					t.Errorf("%q is not in\n%s", want, all)
				}
			}
		})
	}
}

// The table counts and names exactly the lines that list a year, and says nothing of
// a year that no one has to leave.
func TestMovesCountTheBoardsLines(t *testing.T) {
	t.Parallel()
	year := func(y idp.Year, s rotation.State, unmoved int) migration.Year {
		return migration.Year{Year: y, State: s, SPs: 1, Unmoved: unmoved}
	}
	line := func(id idp.EntityID, from ...idp.Year) migration.Line {
		return migration.Line{SP: id, Active: true, UnmovedFrom: from}
	}
	tests := []struct {
		name   string
		target idp.Year
		years  []migration.Year
		sps    []migration.Line
		want   [][]string // year, unmoved, who
	}{
		{"one year", "2026", []migration.Year{year("2026", rotation.Preferred, 0)}, []migration.Line{line("urn:a")}, [][]string{{"2026", "-", "-"}}},
		{"February", "2027", []migration.Year{year("2026", rotation.Preferred, 1), year("2027", rotation.Published, 0)},
			[]migration.Line{line("urn:a", "2026"), line("urn:b")}, [][]string{{"2026", "1", "urn:a"}, {"2027", "-", "-"}}},
		{"all have moved", "2027", []migration.Year{year("2026", rotation.Expiring, 0), year("2027", rotation.Preferred, 0)},
			[]migration.Line{line("urn:b")}, [][]string{{"2026", "0", "-"}, {"2027", "-", "-"}}},
		{"a rollback holds", "2026", []migration.Year{year("2025", rotation.Grace, 2), year("2026", rotation.Preferred, 0), year("2027", rotation.Published, 0)},
			[]migration.Line{line("urn:b", "2025"), line("urn:a", "2025"), line("urn:c")}, [][]string{{"2025", "2", "urn:a, urn:b"}, {"2026", "-", "-"}, {"2027", "-", "-"}}},
		{"the newest is revoked", "2026", []migration.Year{year("2026", rotation.Preferred, 0), year("2027", rotation.Revoked, 1)},
			[]migration.Line{line("urn:a", "2027")}, [][]string{{"2026", "-", "-"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out := new(strings.Builder)
			a := &app{out: out}
			if err := a.printMoves(admin.RotationStatus{Board: &migration.Board{Target: tt.target, Years: tt.years, SPs: tt.sps}}); err != nil {
				t.Fatal(err)
			}
			var got [][]string
			for _, row := range strings.Split(strings.TrimSpace(out.String()), "\n")[1:] {
				cells := strings.Fields(row)
				got = append(got, []string{cells[0], cells[2], strings.Join(cells[3:], " ")})
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("year, unmoved, who (-want +got):\n%s", diff)
			}
		})
	}
}

// The CSV reads back, and has nothing that a spreadsheet would run.
func TestRotationBoardCSV(t *testing.T) {
	t.Parallel()
	a, out, errOut := boardApp(t)
	if code := call(t, a, "rotation", "status", "--csv"); code != exitDone {
		t.Fatalf("status: %d, %s", code, errOut)
	}
	rows, err := csv.NewReader(strings.NewReader(out.String())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	sha := strings.Repeat("c", 64)
	want := [][]string{
		{"entity_id", "name", "active", "move", "year", "first_at", "last_at", "requests_7_days", "requests_30_days",
			"signed", "certificate_sha256", "certificate_end_at", "certificate_days_left", "contacts", "warnings"},
		{"urn:late", "'=cmd|' /C calc'!A0", "true", "unmoved", "2031", "2031-11-11T10:00:00Z", "2031-11-30T10:00:00Z", "1", "2", "true", sha, "", "", "", ""},
		{"urn:moved", "Moved, Ltd", "true", "moved", "2032", "2031-11-11T10:00:00Z", "2031-11-30T10:00:00Z", "1", "2", "true", sha, "", "", "", ""},
		{"urn:unseen", "Unseen", "true", "unseen", "", "", "", "0", "0", "", "", "", "", "", ""},
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	out.Reset()
	if code := call(t, a, "rotation", "status", "--json"); code != exitDone {
		t.Fatalf("status: %d, %s", code, errOut)
	}
	var st admin.RotationStatus
	if err := json.Unmarshal([]byte(out.String()), &st); err != nil || st.Board == nil || len(st.Board.SPs) != 3 || st.Board.Preferred != "2032" {
		t.Errorf("the board in JSON is %+v, %v", st.Board, err)
	}
}

func TestCell(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"plain", "https://sp.example/saml?a=b", "https://sp.example/saml?a=b"},
		{"formula", "=1+1", "'=1+1"},
		{"behind spaces", "  @SUM(A1)", "  '@SUM(A1)"},
		{"minus", "-2", "'-2"},
		{"wide", "＝1", "'＝1"},
		{"a new cell to some", "a;=1", "a;'=1"},
		{"and to others", "a, +1", "a, '+1"},
		{"a tab", "\t=1", "\uFFFD=1"},
		{"a new line", "a\r\n=1", "a\uFFFD\uFFFD=1"},
		{"a name", "O'Neill & Sons - IT", "O'Neill & Sons - IT"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := cell(tt.in); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
