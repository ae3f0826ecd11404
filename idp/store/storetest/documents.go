package storetest

import (
	"errors"
	"strconv"
	"sync"
	"testing"

	"vernal/idp"
)

func testDocuments(t *testing.T, s idp.Store) {
	ctx := t.Context()
	holds := func(kind string, want ...idp.Document) {
		t.Helper()
		got, err := s.Documents(ctx, kind)
		same(t, want, got, err)
		for _, d := range want {
			one, err := s.Document(ctx, kind, d.Key)
			same(t, d.Data, one, err)
		}
	}
	write := func(data string) func(string, []byte) ([]byte, error) {
		return func(key string, old []byte) ([]byte, error) { return []byte(data + key + string(old)), nil }
	}
	holds("a")
	_, err := s.Document(ctx, "a", "1")
	is(t, err, idp.ErrNotFound)
	ok(t, s.UpdateDocuments(ctx, "a", []string{"2", "1", "2", ""}, write("x"), event("doc.write")))
	ok(t, s.UpdateDocuments(ctx, "ab", []string{"1"}, write("y"))) // a kind that begins like another one
	holds("a", idp.Document{Data: []byte("x")}, idp.Document{Key: "1", Data: []byte("x1")}, idp.Document{Key: "2", Data: []byte("x2")})
	holds("ab", idp.Document{Key: "1", Data: []byte("y1")})
	ok(t, s.UpdateDocuments(ctx, "ab", []string{"1"}, write("z")))
	holds("ab", idp.Document{Key: "1", Data: []byte("z1y1")})

	// One that fails changes nothing, not even those before it.
	cause := errors.New("no")
	err = s.UpdateDocuments(ctx, "a", []string{"1", "2"}, func(key string, _ []byte) ([]byte, error) {
		if key == "2" {
			return nil, cause
		}
		return []byte("new"), nil
	}, event("doc.fail"))
	if err != cause {
		t.Errorf("error = %v, want that of the function", err)
	}
	holds("a", idp.Document{Data: []byte("x")}, idp.Document{Key: "1", Data: []byte("x1")}, idp.Document{Key: "2", Data: []byte("x2")})

	// An empty result removes; what was given and got belongs to the caller.
	mine := []byte("mine")
	ok(t, s.UpdateDocuments(ctx, "a", []string{"", "1", "2", "3"}, func(key string, old []byte) ([]byte, error) {
		if key == "1" {
			clear(old)
			return mine, nil
		}
		return nil, nil
	}))
	clear(mine)
	holds("a", idp.Document{Key: "1", Data: []byte("mine")})
	kinds(t, s, 0, "doc.write")
	if err := s.UpdateDocuments(ctx, "", []string{"1"}, write("x")); err == nil {
		t.Error("a document without a kind was kept")
	}
}

// testDocumentsCounted lets many add to the same documents: nothing is lost.
func testDocumentsCounted(t *testing.T, s idp.Store) {
	ctx := t.Context()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				err := s.UpdateDocuments(ctx, "n", []string{"a", "b"}, func(_ string, old []byte) ([]byte, error) {
					n, _ := strconv.Atoi(string(old))
					return []byte(strconv.Itoa(n + 1)), nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got, err := s.Documents(ctx, "n")
	same(t, []idp.Document{{Key: "a", Data: []byte("40")}, {Key: "b", Data: []byte("40")}}, got, err)
}
