package audit_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/audit"
)

func filter(kind string) audit.Filter { return audit.Filter{Kind: kind} }

func TestSearchFiltersAndPagesRecords(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	ctx := t.Context()
	w.add(3000) // more than one page
	w.fixture.Clock.Set(trailStart.Add(time.Hour))
	ok(t, w.fixture.Bolt.AppendAudit(ctx,
		idp.AuditEvent{Kind: "rotation.prefer", Year: "2031"},
		idp.AuditEvent{Kind: "rotations", SP: "https://sp.example"},
		idp.AuditEvent{Kind: "refusal", User: "u2", ErrorID: "0123456789ABCDEF", IPAddress: "192.0.2.9"}))
	w.add(2500)
	tests := []struct {
		name   string
		filter audit.Filter
		want   []uint64
	}{
		{"kind", filter("refusal"), []uint64{3003}},
		{"first part of a kind", filter("rotation"), []uint64{3001}},
		{"provider", audit.Filter{SP: "https://sp.example"}, []uint64{3002}},
		{"person", audit.Filter{User: "u2"}, []uint64{3003}},
		{"error id", audit.Filter{ID: "0123456789ABCDEF"}, []uint64{3003}},
		{"too late", audit.Filter{Since: trailStart.Add(2 * time.Hour)}, nil},
		{"all", audit.Filter{}, []uint64{5503, 5502, 5501}},
		{"since", audit.Filter{Kind: "authn", Since: trailStart.Add(time.Minute)}, []uint64{5503, 5502, 5501}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found, err := w.FindBefore(ctx, 0, tt.filter, 3)
			ok(t, err)
			var got []uint64
			for _, rec := range found.Records {
				got = append(got, rec.Seq)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || found.Last != 5503 {
				t.Errorf("records (-want +got), last %d:\n%s", found.Last, diff)
			}
		})
	}
	// In steps each comes once, backwards and forwards.
	seen, before := 0, uint64(0)
	for {
		found, err := w.FindBefore(ctx, before, audit.Filter{}, 700)
		ok(t, err)
		seen += len(found.Records)
		if before = found.Next; before == 0 {
			break
		}
	}
	forward, after := 0, uint64(0)
	for after < 5503 {
		found, err := w.FindAfter(ctx, after, audit.Filter{}, 700)
		ok(t, err)
		forward += len(found.Records)
		after = found.Next
	}
	if seen != 5503 || forward != 5503 {
		t.Errorf("%d records backwards, %d forwards; want 5503", seen, forward)
	}
}

func TestRefusalFloodWritesFewRecords(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	ctx := t.Context()
	flood := func(g audit.Group, sp idp.EntityID) {
		for range 5000 {
			w.Refusals.Record(ctx, g, idp.AuditEvent{Kind: "refusal", Outcome: "signature_mismatch", SP: sp})
		}
	}
	count := func() int {
		records, err := audit.Records(ctx, w.fixture.Bolt, 0, 100_000)
		ok(t, err)
		return len(records)
	}
	flood(audit.UnknownSenders, "https://a.example")
	strangers := count()
	if strangers == 0 || strangers > 100 {
		t.Errorf("a flood wrote %d records", strangers)
	}
	// It takes no room from a provider that is verified.
	w.Refusals.Record(ctx, audit.Provider, idp.AuditEvent{Kind: "refusal", Outcome: "x", SP: "https://a.example"})
	w.Refusals.Record(ctx, audit.Visitors, idp.AuditEvent{Kind: "refusal", Outcome: "password"})
	if n := count(); n != strangers+2 {
		t.Errorf("%d records, want %d", n, strangers+2)
	}
	ok(t, w.Refusals.Flush(ctx))
	ok(t, w.Refusals.Flush(ctx)) // nothing more
	found, err := w.FindBefore(ctx, 0, filter("refusals"), 10)
	ok(t, err)
	if len(found.Records) != 1 || found.Records[0].Detail["signature_mismatch"] != "4940" {
		t.Errorf("what was counted: %+v", found.Records)
	}
	// A day of it stays small.
	before := count()
	for range 24 {
		w.fixture.Clock.Advance(time.Hour)
		flood(audit.UnknownSenders, "")
		flood(audit.Provider, "https://a.example")
	}
	if n := count() - before; n > 24*(60+100)+100 {
		t.Errorf("24 floods wrote %d records", n)
	}
}
