package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vernal/idp"
	"vernal/idp/admin/ops"
	"vernal/idp/audit"
)

// TestAuditExportReadsBack checks that audit verify reads every file that audit export
// writes, with every field except the IP address, which is deleted from the trail after its
// time.
func TestAuditExportReadsBack(t *testing.T) {
	t.Parallel()
	drawn := map[string]bool{}
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	rapid.Check(t, func(t *rapid.T) {
		lines, records := drawTrail(t)
		for _, rec := range records {
			v := reflect.ValueOf(rec.AuditEvent)
			for i := range v.NumField() {
				name := v.Type().Field(i).Name
				drawn[name] = drawn[name] || !v.Field(i).IsZero()
			}
		}
		var text bytes.Buffer
		out, w := bufio.NewWriter(&text), &exportSummary{}
		if _, err := w.writeLines(out, lines, 0, uint64(len(lines)), &exportOptions{}); err != nil {
			t.Fatal(err)
		}
		last := records[len(records)-1]
		if err := writeCheckpoint(out, &idp.AuditCheckpoint{Seq: last.Seq, Hash: last.Hash, Issuer: "https://a.example/<&>"}); err != nil {
			t.Fatal(err)
		}
		if err := out.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := readAuditFile(file, &audit.Place{Seq: last.Seq, Hash: last.Hash}, 0)
		if err != nil || f.Broken != nil || f.Records != last.Seq || !f.Compared || !f.Signed || f.place != (audit.Place{Seq: last.Seq, Hash: last.Hash}) {
			t.Fatalf("%v, %+v\n%s", err, f, text.Bytes())
		}
		for i, line := range bytes.Split(text.Bytes(), []byte("\n"))[:len(records)] {
			var got idp.AuditRecord
			if err := json.Unmarshal(line, &got); err != nil {
				t.Fatal(err)
			}
			want := records[i]
			want.IPAddress = ""
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("record %d (-written +read):\n%s", i+1, diff)
			}
		}
	})
	for i := range reflect.TypeFor[idp.AuditEvent]().NumField() {
		if name := reflect.TypeFor[idp.AuditEvent]().Field(i).Name; !t.Failed() && !drawn[name] {
			t.Errorf("AuditEvent.%s is in no record that was drawn", name)
		}
	}
}

// drawTrail draws a trail, both in the form in which the server sends it and as records.
func drawTrail(t *rapid.T) (lines []ops.AuditLine, records []idp.AuditRecord) {
	text := rapid.String()
	var last idp.AuditRecord
	for range rapid.IntRange(1, 4).Draw(t, "records") {
		ev := idp.AuditEvent{
			Kind: idp.AuditKind(text.Draw(t, "kind")), Outcome: text.Draw(t, "outcome"), Actor: text.Draw(t, "actor"), User: idp.UserID(text.Draw(t, "user")),
			SP: idp.EntityID(text.Draw(t, "sp")), Year: idp.Year(text.Draw(t, "year")), RequestID: text.Draw(t, "request"), ErrorID: text.Draw(t, "error"),
			IPAddress: rapid.SampledFrom([]string{"", "192.0.2.1"}).Draw(t, "address"), Detail: rapid.MapOf(text, text).Draw(t, "detail"),
		}
		if len(ev.Detail) == 0 {
			ev.Detail = nil
		}
		at := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
		rec, body, _ := audit.Link(audit.Place{Seq: last.Seq, Hash: last.Hash}, ev, at)
		lines = append(lines, ops.AuditLine{Place: rec.Seq, JSON: string(body)})
		records = append(records, rec)
		last = rec
	}
	return lines, records
}
