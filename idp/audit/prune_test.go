package audit_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/audit"
)

func TestPruneNeedsGenuineCheckpoint(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	ctx := t.Context()
	w.add(1200)
	if _, err := w.Checkpoint(ctx, audit.Place{Seq: 1100, Hash: audit.FirstPrev}); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("Checkpoint for another hash: %v", err)
	}
	c, err := w.Checkpoint(ctx, w.place(1100))
	ok(t, err)
	ok(t, w.Check(*c))
	for name, change := range map[string]func(*idp.AuditCheckpoint){
		"seq": func(c *idp.AuditCheckpoint) { c.Seq++ }, "hash": func(c *idp.AuditCheckpoint) { c.Hash = audit.FirstPrev },
		"time": func(c *idp.AuditCheckpoint) { c.At = c.At.Add(1) }, "issuer": func(c *idp.AuditCheckpoint) { c.Issuer = "x" },
		"year": func(c *idp.AuditCheckpoint) { c.Year = "2030" }, "certificate": func(c *idp.AuditCheckpoint) { c.SHA256 = "x" },
		"mac": func(c *idp.AuditCheckpoint) { c.MAC = c.SHA256 }, "signature": func(c *idp.AuditCheckpoint) { c.Signature = []byte{1} },
	} {
		forged := *c
		change(&forged)
		if w.Check(forged) == nil {
			t.Errorf("a checkpoint with another %s is taken", name)
		}
		if _, _, err := w.Prune(ctx, forged, "test"); err == nil {
			t.Errorf("a checkpoint with another %s prunes", name)
		}
	}
	if p := w.whole(); p.Records != 1200 {
		t.Errorf("%d records, want all", p.Records)
	}

	// Cut off in the middle: the trail is whole, and says that some are left.
	removed, more, err := w.Prune(ctx, *c, "test")
	if ok(t, err); removed != 500 || !more {
		t.Errorf("Prune = %d, %v", removed, more)
	}
	if p := w.whole(); p.Leftover != 600 || p.Records != 701 || p.Checkpoint == nil {
		t.Errorf("after a part: %+v", p)
	}
	for more {
		_, more, err = w.Prune(ctx, *c, "test")
		ok(t, err)
	}
	if p := w.whole(); p.Leftover != 0 || p.Records != 101 || p.Seq != 1201 {
		t.Errorf("after all: %+v", p)
	}
	// The file that ends at the checkpoint, and the store, prove one another.
	known, err := w.LookupPlace(ctx, audit.Place{Seq: c.Seq, Hash: c.Hash})
	if ok(t, err); known != "checkpoint" {
		t.Errorf("Knows = %q", known)
	}
	found, err := w.FindBefore(ctx, 0, filter("audit.prune"), 10)
	ok(t, err)
	if len(found.Records) != 1 || found.Next != 0 {
		t.Fatalf("found %+v", found)
	}
	if diff := cmp.Diff(map[string]string{"seq": "1100", "hash": c.Hash}, found.Records[0].Detail); diff != "" {
		t.Errorf("record of the pruning (-want +got):\n%s", diff)
	}
}
