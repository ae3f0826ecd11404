package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"vernal/idp"
)

func testDocuments(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	checkStored := func(kind string, want ...idp.Document) {
		t.Helper()
		got, err := s.Documents(ctx, kind, idp.DocumentQuery{All: true})
		checkSame(t, want, got, err)
		for _, d := range want {
			one, err := LookupDocument(ctx, s, kind, d.Key)
			checkSame(t, d.Data, one, err)
		}
	}
	write := func(data string) func(*idp.Document) error {
		return func(d *idp.Document) error { d.Data = []byte(data + d.Key + string(d.Data)); return nil }
	}
	checkStored("a")
	_, err := LookupDocument(ctx, s, "a", "1")
	checkError(t, err, idp.ErrNotFound)
	requireNoError(t, s.UpdateDocuments(ctx, "a", []string{"2", "1", "2", ""}, write("x"), newEvent("doc.write"), newEvent("doc.more")))
	requireNoError(t, s.UpdateDocuments(ctx, "ab", []string{"1"}, write("y"))) // a kind that begins like another one
	checkStored("a", idp.Document{Data: []byte("x")}, idp.Document{Key: "1", Data: []byte("x1")}, idp.Document{Key: "2", Data: []byte("x2")})
	checkStored("ab", idp.Document{Key: "1", Data: []byte("y1")})
	requireNoError(t, s.UpdateDocuments(ctx, "ab", []string{"1"}, write("z")))
	checkStored("ab", idp.Document{Key: "1", Data: []byte("z1y1")})
	docs, err := s.Documents(ctx, "a", idp.DocumentQuery{Keys: []string{"2", "gone", "", "2"}})
	checkSame(t, []idp.Document{{Data: []byte("x")}, {Key: "2", Data: []byte("x2")}}, docs, err)
	docs, err = s.Documents(ctx, "a", idp.DocumentQuery{})
	checkSame(t, 0, len(docs), err)

	// A change that fails changes nothing, not even the documents before it.
	cause := errors.New("no")
	err = s.UpdateDocuments(ctx, "a", []string{"1", "2"}, func(d *idp.Document) error {
		if d.Key == "2" {
			return cause
		}
		d.Data = []byte("new")
		return nil
	}, newEvent("doc.fail"))
	if err != cause {
		t.Errorf("error = %v, want that of the function", err)
	}
	if s.UpdateDocuments(ctx, "a", []string{"1"}, func(d *idp.Document) error { d.Key = "2"; return nil }, newEvent("doc.fail")) == nil {
		t.Error("a change of a document changed its key")
	}
	checkStored("a", idp.Document{Data: []byte("x")}, idp.Document{Key: "1", Data: []byte("x1")}, idp.Document{Key: "2", Data: []byte("x2")})

	// change runs for the keys in the given order, with no data for a missing document.
	// Empty data removes the document. The store keeps no reference to data that it got or
	// returned.
	data, order := []byte("mine"), []string(nil)
	requireNoError(t, s.UpdateDocuments(ctx, "a", []string{"3", "1", "2", ""}, func(d *idp.Document) error {
		order = append(order, d.Key)
		if d.Key == "3" && d.Data != nil {
			t.Errorf("a missing document has the content %q", d.Data)
		}
		clear(d.Data)
		if d.Data = nil; d.Key == "1" {
			d.Data = data
		}
		return nil
	}))
	checkSame(t, []string{"3", "1", "2", ""}, order, nil)
	clear(data)
	docs, err = s.Documents(ctx, "a", idp.DocumentQuery{Keys: []string{"1"}})
	requireNoError(t, err)
	clear(docs[0].Data)
	checkStored("a", idp.Document{Key: "1", Data: []byte("mine")})
	checkKinds(t, s, 0, "doc.write", "doc.more")
	if err := s.UpdateDocuments(ctx, "", []string{"1"}, write("x")); err == nil {
		t.Error("a document without a kind was stored")
	}

	// The audit record can depend on the document that change gets.
	open := newEvent("doc.detail")
	open.Detail = map[string]string{}
	requireNoError(t, s.UpdateDocuments(ctx, "a", []string{"1"}, func(d *idp.Document) error {
		open.Detail["was"] = string(d.Data)
		return nil
	}, open))
	checkSame(t, "mine", readTrail(t, s)[2].Detail["was"], nil)
}

// testDocumentsCounted checks that concurrent additions to the same documents are all kept.
func testDocumentsCounted(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				err := s.UpdateDocuments(ctx, "n", []string{"a", "b"}, func(d *idp.Document) error {
					n, _ := strconv.Atoi(string(d.Data))
					d.Data = []byte(strconv.Itoa(n + 1))
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got, err := s.Documents(ctx, "n", idp.DocumentQuery{All: true})
	checkSame(t, []idp.Document{{Key: "a", Data: []byte("40")}, {Key: "b", Data: []byte("40")}}, got, err)
}

// testDocumentClaimed checks that exactly one of many concurrent claims of a step succeeds.
func testDocumentClaimed(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	errTaken := errors.New("taken")
	const steps = 5
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for n := range steps {
				err := s.UpdateDocuments(ctx, idp.RotationKind, []string{idp.RotationKey}, func(d *idp.Document) error {
					if done, _ := strconv.Atoi(string(d.Data)); done > n {
						return errTaken
					}
					d.Data = []byte(strconv.Itoa(n + 1))
					return nil
				}, newEvent("step"+strconv.Itoa(n)))
				if err != nil && err != errTaken {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	checkKinds(t, s, 0, "step0", "step1", "step2", "step3", "step4")
}

// testDocumentsExpire checks that the sweep uses the current ExpiresAt of a document, after it was
// moved or removed, and that reads ignore it.
func testDocumentsExpire(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	put := func(key string, at time.Time) {
		t.Helper()
		requireNoError(t, s.UpdateDocuments(ctx, "k", []string{key}, func(d *idp.Document) error {
			d.Data, d.ExpiresAt = []byte("x"), at
			return nil
		}))
	}
	checkSweep := func(now time.Time, removed int, want ...string) {
		t.Helper()
		n, err := s.Sweep(ctx, now, 100)
		checkSame(t, removed, n, err)
		docs, err := s.Documents(ctx, "k", idp.DocumentQuery{All: true})
		requireNoError(t, err)
		var keys []string
		for _, d := range docs {
			keys = append(keys, d.Key)
		}
		checkSame(t, want, keys, nil)
	}
	hour := startTime.Add(time.Hour)
	for _, key := range []string{"ends", "kept", "later", "sooner", "stays"} {
		put(key, hour)
	}
	docs, err := s.Documents(ctx, "k", idp.DocumentQuery{Keys: []string{"ends"}})
	checkSame(t, []idp.Document{{Key: "ends", Data: []byte("x"), ExpiresAt: hour}}, docs, err)
	put("kept", time.Time{})
	put("later", hour.Add(time.Hour))
	put("sooner", startTime)
	put("stays", hour)
	requireNoError(t, s.UpdateDocuments(ctx, "k", []string{"stays"}, func(*idp.Document) error { return nil }))
	requireNoError(t, s.UpdateDocuments(ctx, "k", []string{"none"}, func(d *idp.Document) error { d.ExpiresAt = startTime; return nil }))
	checkSweep(startTime.Add(-1), 0, "ends", "kept", "later", "sooner", "stays")
	checkSweep(startTime, 1, "ends", "kept", "later", "stays")
	checkSweep(hour, 2, "kept", "later")
	requireNoError(t, s.UpdateDocuments(ctx, "k", []string{"later"}, func(d *idp.Document) error { d.Data = nil; return nil }))
	put("later", time.Time{})
	checkSweep(hour.Add(100*time.Hour), 0, "kept", "later")
}

// testRecords checks that typed records are kept until they expire.
func testRecords(t *testing.T, s idp.OwnedStore) {
	type count struct{ N int }
	ctx, now := t.Context(), startTime
	counts := idp.Records[count]{Store: s, Kind: "count", Clock: func() time.Time { return now }}
	add := func(keys ...string) {
		t.Helper()
		requireNoError(t, counts.Update(ctx, keys, func(r *idp.Record[count]) error {
			if r.Value == nil {
				r.Value, r.ExpiresAt = new(count), now.Add(time.Minute)
			}
			r.Value.N++
			return nil
		}, newEvent("count")))
	}
	checkStored := func(want ...idp.Record[count]) {
		t.Helper()
		got, err := counts.List(ctx)
		checkSame(t, want, got, err)
	}
	end := startTime.Add(time.Minute)
	checkStored()
	_, err := counts.Get(ctx, "a")
	checkError(t, err, idp.ErrNotFound)
	add("b", "a", "")
	add("a")
	checkStored(idp.Record[count]{Value: &count{1}, ExpiresAt: end}, idp.Record[count]{Key: "a", Value: &count{2}, ExpiresAt: end}, idp.Record[count]{Key: "b", Value: &count{1}, ExpiresAt: end})
	one, err := counts.Get(ctx, "a")
	checkSame(t, &count{2}, one, err)

	cause := errors.New("no")
	checkError(t, counts.Update(ctx, []string{"a", "b"}, func(r *idp.Record[count]) error { r.Value = nil; return cause }, newEvent("x")), cause)
	requireNoError(t, counts.Update(ctx, []string{"a", "gone"}, func(r *idp.Record[count]) error { r.Value = nil; return nil }))
	_, err = counts.Get(ctx, "a")
	checkError(t, err, idp.ErrNotFound)

	// An expired record is missing, even before the sweep, and an update creates it again.
	now = end
	checkStored()
	add("b")
	end = end.Add(time.Minute)
	checkStored(idp.Record[count]{Key: "b", Value: &count{1}, ExpiresAt: end})
	n, err := s.Sweep(ctx, startTime.Add(time.Hour), 10)
	checkSame(t, 2, n, err)
	requireNoError(t, s.UpdateDocuments(ctx, "count", []string{"a"}, func(d *idp.Document) error { d.Data = []byte("}"); return nil }))
	if _, err = counts.Get(ctx, "a"); err == nil || errors.Is(err, idp.ErrNotFound) {
		t.Errorf("a damaged record: %v, want an error other than ErrNotFound", err)
	}
	checkKinds(t, s, 0, "count", "count", "count")
}

// LookupDocument returns the content of one document as it is stored, or idp.ErrNotFound if it is
// missing.
func LookupDocument(ctx context.Context, s idp.DocumentStore, kind, key string) ([]byte, error) {
	docs, err := s.Documents(ctx, kind, idp.DocumentQuery{Keys: []string{key}})
	switch {
	case err != nil:
		return nil, err
	case len(docs) == 0:
		return nil, fmt.Errorf("document %q: %w", kind, idp.ErrNotFound)
	}
	return docs[0].Data, nil
}
