package main

import (
	"encoding/csv"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/admin/ops"
	"vernal/idp/sp"
)

// boardApp returns an installation whose year 2031 is expiring and 2032 preferred:
// one provider has moved, one has not, one was never seen.
func boardApp(t *testing.T) (a *app, out, errOut *strings.Builder) {
	t.Helper()
	a, _, _ = newAppAt(t, clockAt("2031-12-01 10:00:00"))
	out, errOut = new(strings.Builder), new(strings.Builder)
	a.Out, a.Err = out, errOut
	for _, verb := range []string{"create", "publish", "prefer"} {
		if code := call(t, a, "rotation", verb, "2032"); code != cli.ExitDone {
			t.Fatalf("%s: %d, %s", verb, code, errOut)
		}
	}
	c, err := a.config()
	if err != nil {
		t.Fatal(err)
	}
	d, err := openDeps(c, slog.New(slog.DiscardHandler), a.Clock, a.Getenv, time.Second, false)
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
	now := a.Clock().UTC()
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

func TestRotationStatusPrintsBoard(t *testing.T) {
	t.Parallel()
	a, out, errOut := boardApp(t)
	tests := []struct {
		name string
		args []string
		code int
		want []string // parts of what is printed
	}{
		{"summary", []string{"status"}, cli.ExitDone, []string{
			"\nYEAR  SPS  UNMOVED  SERVICE PROVIDERS\n2031  1    1        urn:late\n2032  1    -        -\n"}},
		{"a year", []string{"status", "--year", "2031"}, cli.ExitDone, []string{
			"ENTITY ID   NAME", "MOVE     LAST        30 DAYS  SIGNED  CERT ENDS\n",
			"unmoved  2031-11-30  2        yes     -\n",
			"urn:moved   Moved, Ltd          moved    -           0        -       -\n", "urn:unseen"}},
		{"no such year", []string{"status", "--year", "2033"}, cli.ExitError, []string{"the year 2033 was never created"}},
		{"no year", []string{"status", "--year", "next"}, cli.ExitUsage, []string{`"next" is not a year`}},
		{"an empty year", []string{"status", "--year", ""}, cli.ExitUsage, []string{`"" is not a year`}},
		{"two forms", []string{"status", "--csv", "--json"}, cli.ExitUsage, []string{"not both"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out.Reset()
			errOut.Reset()
			code := call(t, a, append([]string{"rotation"}, tt.args...)...)
			a.JSON = false
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

// TestRotationBoardCSV checks that the CSV reads back and contains nothing that a
// spreadsheet would run.
func TestRotationBoardCSV(t *testing.T) {
	t.Parallel()
	a, out, errOut := boardApp(t)
	if code := call(t, a, "rotation", "status", "--csv"); code != cli.ExitDone {
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
	if code := call(t, a, "rotation", "status", "--json"); code != cli.ExitDone {
		t.Fatalf("status: %d, %s", code, errOut)
	}
	var st ops.RotationStatus
	if err := json.Unmarshal([]byte(out.String()), &st); err != nil || st.Board == nil || len(st.Board.SPs) != 3 || st.Board.Preferred != "2032" {
		t.Errorf("the board in JSON is %+v, %v", st.Board, err)
	}
}
