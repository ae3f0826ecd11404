package rotation

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/admin/ops"
	"vernal/idp/migration"
	"vernal/idp/rotation"
)

// TestMovesCountTheBoardsLines checks that the table counts and names exactly the lines that
// list a year, and leaves out a year that no service provider must leave.
func TestMovesCountTheBoardsLines(t *testing.T) {
	t.Parallel()
	year := func(y idp.Year, s rotation.State, unmoved int) migration.Year {
		return migration.Year{Year: y, State: s, SPs: 1, UnmovedCount: unmoved}
	}
	line := func(id idp.EntityID, from ...idp.Year) migration.Line {
		return migration.Line{SP: id, Active: true, YearsToLeave: from}
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
			a := &commands{&cli.App{Out: out}}
			if err := a.printMoves(ops.RotationStatus{Board: &migration.Board{Target: tt.target, Years: tt.years, SPs: tt.sps}}); err != nil {
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

func TestTableCellsCannotHoldFormulas(t *testing.T) {
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
			if got := escapeCell(tt.in); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// TestPrintNamesAtMostTwentyCutOff checks that at most 20 of the service providers cut off
// by a forced retirement are named and the others counted, and that the text says so if they
// are unknown.
func TestPrintNamesAtMostTwentyCutOff(t *testing.T) {
	t.Parallel()
	ids := make([]idp.EntityID, 45)
	for i := range ids {
		ids[i] = idp.EntityID(fmt.Sprintf("urn:%02d", i))
	}
	forced := []rotation.Step{{Kind: rotation.StepRetire, Year: "2026", Force: true}}
	for _, tt := range []struct {
		name         string
		steps        []rotation.Step
		cutOff       []idp.EntityID
		lines, named int
		more         string // how many are not named
	}{
		{"not forced", []rotation.Step{{Kind: rotation.StepRetire, Year: "2026"}}, nil, 0, 0, ""},
		{"none", forced, ids[:0], 1, 0, ""},
		{"unknown", forced, nil, 1, 0, ""},
		{"20", forced, ids[:20], 21, 20, ""},
		{"21", forced, ids[:21], 22, 20, "1"},
		{"45", forced, ids, 22, 20, "25"},
	} {
		var out bytes.Buffer
		a := &commands{&cli.App{Out: &out}}
		a.printCutOff(ops.RotationChange{Steps: tt.steps, CutOff: tt.cutOff})
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if out.Len() == 0 {
			lines = nil
		}
		named := strings.Count(out.String(), "urn:")
		if len(lines) != tt.lines || named != tt.named {
			t.Errorf("%s: %d lines that name %d, want %d and %d:\n%s", tt.name, len(lines), named, tt.lines, tt.named, &out)
			continue
		}
		if tt.more != "" && !slices.Contains(strings.Fields(lines[len(lines)-1]), tt.more) {
			t.Errorf("%s: the last line does not count %s others: %s", tt.name, tt.more, lines[len(lines)-1])
		}
	}
}
