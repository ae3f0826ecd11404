package restore_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/restore"
)

// FuzzCheckSince reads arbitrary exported trails. A trail that is accepted contains the hash of
// the backup's head, because nothing else proves that it continues the backup's trail.
func FuzzCheckSince(f *testing.F) {
	var export []byte
	places := []audit.Place{{}}
	for range 4 {
		last := places[len(places)-1]
		rec, body, _ := audit.Link(last, idp.AuditEvent{Kind: idp.AuditUserLock, Outcome: "ok"}, time.Unix(1_900_000_000, 0))
		places = append(places, audit.Place{Seq: rec.Seq, Hash: rec.Hash})
		export = append(append(export, body...), '\n')
	}
	head := places[2]
	if err := restore.CheckSince(bytes.NewReader(export), head, nil); err != nil {
		f.Fatal(err)
	}
	f.Add(export)
	f.Add(export[:len(export)-1])
	f.Add(fmt.Appendf(nil, `{"checkpoint":{"seq":2,"hash":%q}}`+"\n", head.Hash))
	f.Add([]byte("{}\n\n{\"checkpoint\":null}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := restore.CheckSince(bytes.NewReader(data), head, nil); err == nil && !bytes.Contains(data, []byte(head.Hash)) {
			t.Errorf("accepted without the backup's head:\n%s", data)
		}
	})
}
