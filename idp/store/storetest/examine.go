package storetest

import (
	"testing"

	"vernal/idp"
)

// testExamine examines the store in steps. A store that cannot be examined is not tested.
func testExamine(t *testing.T, s idp.OwnedStore) {
	e, isExaminer := s.(idp.StoreExaminer)
	if !isExaminer {
		t.Skip("the store is no StoreExaminer")
	}
	examine := func(limit int) (records int) {
		t.Helper()
		var place idp.StorePlace
		for done := false; !done; done = place.IsZero() {
			seen, err := e.Examine(t.Context(), place, limit)
			requireNoError(t, err)
			if seen.Records > limit || len(seen.Tampered) > 0 || records > 10_000 {
				t.Fatalf("%d records in a step of %d, %d in all, not authentic: %v", seen.Records, limit, records, seen.Tampered)
			}
			records, place = records+seen.Records, seen.Next
		}
		return records
	}
	before := examine(1000)
	for _, id := range []idp.EntityID{"https://a.example", "https://b.example"} {
		requireNoError(t, s.CreateProvider(t.Context(), &idp.ServiceProvider{EntityID: id}, ""))
	}
	after := examine(1000)
	if after < before+2 {
		t.Errorf("%d records, and %d after two more", before, after)
	}
	if got := examine(1); got != after {
		t.Errorf("%d records one by one, want %d", got, after)
	}
}
