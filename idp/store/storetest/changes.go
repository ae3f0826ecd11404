package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
)

func testAudit(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	noEvents, err := audit.Records(ctx, s, 0, 10)
	if err != nil || len(noEvents) != 0 {
		t.Errorf("Records of an empty store = %v, %v", noEvents, err)
	}
	fullEvent := idp.AuditEvent{
		Kind: "sign_in", Outcome: "signature_mismatch", Actor: "user:u1", User: "u1", SP: "https://sp.example/<&>", Year: "2031",
		RequestID: "r", ErrorID: "e", IPAddress: "2001:db8::1", Detail: map[string]string{"b": "2", "a": "1"},
	}
	requireNoError(t, s.AppendAudit(ctx, fullEvent, newEvent("two")))
	requireNoError(t, s.AppendAudit(ctx))
	requireNoError(t, s.AppendAudit(ctx, newEvent("three")))
	checkKinds(t, s, 0, "sign_in", "two", "three")
	records := readTrail(t, s)
	checkSame(t, fullEvent, records[0].AuditEvent, nil)
	for n, rec := range records {
		if rec.Seq != uint64(n+1) || rec.At.IsZero() || rec.At.Location() != time.UTC {
			t.Errorf("record %d has Seq %d and At %v", n, rec.Seq, rec.At)
		}
	}
	count := func(after uint64, limit, want int) {
		t.Helper()
		got, err := audit.Records(ctx, s, after, limit)
		if err != nil || len(got) != want || (want > 0 && got[0].Seq != after+1) {
			t.Errorf("Records(%d, %d) = %v, %v; want %d records", after, limit, got, err, want)
		}
	}
	count(1, 10, 2)
	count(1, 1, 1)
	count(3, 10, 0)
	count(0, 0, 0)
	count(1<<64-1, 10, 0)
}

func testAuditConcurrent(t *testing.T, s idp.OwnedStore) {
	var wg sync.WaitGroup
	for k := range 40 {
		wg.Go(func() {
			p := newProvider(numberedName("https://sp", k))
			if err := s.CreateProvider(t.Context(), p, "", newEvent("sp.add"), newEvent("sp.note")); err != nil {
				t.Error(err)
			}
			if err := s.CreateProvider(t.Context(), p, "", newEvent("x")); !errors.Is(err, idp.ErrExists) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	records := readTrail(t, s)
	if len(records) != 80 {
		t.Fatalf("%d records, want 80", len(records))
	}
	for n := 0; n < len(records); n += 2 {
		if records[n].Kind != "sp.add" || records[n+1].Kind != "sp.note" {
			t.Fatalf("records %d and %d are %q and %q: the events of one step are separate", n+1, n+2, records[n].Kind, records[n+1].Kind)
		}
	}
}

// testAtomic lets changes fail, panic and succeed at once: each is atomic, and none affects
// another.
func testAtomic(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	cause := errors.New("no")
	const n = 30
	for k := range n {
		requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession(numberedName("s", k), "u")}))
	}
	var wg sync.WaitGroup
	for k := range n {
		wg.Go(func() {
			defer func() {
				if v := recover(); (v != nil) != (k%3 == 2) || (v != nil && v != "boom") {
					t.Errorf("change %d: panic %v", k, v)
				}
			}()
			err := s.UpdateSession(ctx, idp.SessionID(numberedName("s", k)), func(x *idp.Session) error {
				x.SeenAt = startTime.Add(time.Hour)
				switch k % 3 {
				case 1:
					return cause
				case 2:
					panic("boom")
				}
				return nil
			}, newEvent("change"))
			if k%3 == 0 && err != nil || k%3 == 1 && err != cause {
				t.Errorf("change %d: %v", k, err)
			}
		})
	}
	wg.Wait()
	for k := range n {
		x, err := s.Session(ctx, idp.SessionID(numberedName("s", k)))
		checkSame(t, k%3 == 0, x.SeenAt.Equal(startTime.Add(time.Hour)), err)
	}
	if got := len(readTrail(t, s)); got != n/3 {
		t.Errorf("%d events, want %d", got, n/3)
	}
}

// testUpdateFunctions checks that functions that fail or panic change nothing.
func testUpdateFunctions(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	requireNoError(t, s.CreateProvider(ctx, newProvider("https://a.example"), ""))
	requireNoError(t, addUser(ctx, s, newUser("u1", "a@example.org")))
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s1", "u1")}))
	type row struct {
		name   string
		update func(f func() error) error
	}
	for _, tt := range []row{
		{"provider", func(f func() error) error {
			return updateProvider(ctx, s, "https://a.example", func(p *idp.ServiceProvider) error { p.Name = "x"; return f() }, newEvent("x"))
		}},
		{"user", func(f func() error) error {
			return s.UpdateUser(ctx, "u1", func(u *idp.User) error { u.Role = "x"; return f() }, newEvent("x"))
		}},
		{"session", func(f func() error) error {
			return s.UpdateSession(ctx, "s1", func(x *idp.Session) error { x.Pending = true; return f() }, newEvent("x"))
		}},
		{"document", func(f func() error) error {
			return s.UpdateDocuments(ctx, "k", []string{"d"}, func(d *idp.Document) error { d.Data = []byte("x"); return f() }, newEvent("x"))
		}},
	} {
		cause := errors.New("error of the caller")
		if err := tt.update(func() error { return cause }); err != cause {
			t.Errorf("%s: error = %v, want the error of the function, unchanged", tt.name, err)
		}
		func() {
			defer func() {
				if v := recover(); v != cause {
					t.Errorf("%s: panic %v, want the panic of the function", tt.name, v)
				}
			}()
			_ = tt.update(func() error { panic(cause) })
		}()
	}
	p, err := s.Provider(ctx, "https://a.example")
	checkSame(t, newProvider("https://a.example"), p, err)
	u, err := s.User(ctx, "u1")
	checkSame(t, newUser("u1", "a@example.org"), u, err)
	x, err := s.Session(ctx, "s1")
	checkSame(t, newSession("s1", "u1"), x, err)
	docs, err := s.Documents(ctx, "k", idp.DocumentQuery{All: true})
	checkSame(t, nil, docs, err)
	checkKinds(t, s, 0)
}

func testContext(t *testing.T, s idp.OwnedStore) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	checkError(t, s.CreateProvider(ctx, newProvider("https://a.example"), "", newEvent("x")), context.Canceled)
	_, err := s.Providers(ctx)
	checkError(t, err, context.Canceled)
	_, err = s.LoginRequest(ctx, idp.RequestKey{SP: "a", MessageID: "b"})
	checkError(t, err, context.Canceled)
	_, err = s.AuditPage(ctx, idp.AuditQuery{})
	checkError(t, err, context.Canceled)
	_, err = s.Provider(t.Context(), "https://a.example")
	checkError(t, err, idp.ErrNotFound)

	// After a cancellation during the change, the error shows whether the change was made.
	var wg sync.WaitGroup
	for k := range 60 {
		ctx, cancel := context.WithCancel(t.Context())
		id := idp.EntityID(numberedName("https://sp", k))
		go cancel()
		wg.Go(func() {
			err := s.CreateProvider(ctx, newProvider(string(id)), "", newEvent("sp.add"))
			_, lookUpErr := s.Provider(t.Context(), id)
			if err == nil && lookUpErr != nil || err != nil && !(errors.Is(err, context.Canceled) && errors.Is(lookUpErr, idp.ErrNotFound)) {
				t.Errorf("cancelled change: %v; look-up after it: %v", err, lookUpErr)
			}
		})
	}
	wg.Wait()
	list, err := s.Providers(t.Context())
	checkSame(t, len(list), len(readTrail(t, s)), err)
}

func testClosed(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s1", "u1")}))
	var wg sync.WaitGroup
	outcomes := make([]error, 50)
	for k := range outcomes {
		wg.Go(func() { _, outcomes[k] = s.RecordIssuance(ctx, newIssuance("s1", "u1", numberedName("m", k))) })
	}
	requireNoError(t, s.Close())
	wg.Wait()
	requireNoError(t, s.Close())
	_, err := s.Session(ctx, "s1")
	_, list := audit.Records(ctx, s, 0, 10)
	_, sweep := s.Sweep(ctx, startTime, 1)
	_, requestErr := s.LoginRequest(ctx, idp.RequestKey{SP: "a", MessageID: "b"})
	_, documentsErr := s.Documents(ctx, "k", idp.DocumentQuery{All: true})
	for k, err := range []error{
		err, list, sweep, requestErr, documentsErr, s.UpdateDocuments(ctx, "k", []string{"d"}, func(*idp.Document) error { return nil }),
		s.AppendAudit(ctx, newEvent("x")), endSession(ctx, s, "s1"), s.UpdateUser(ctx, "u", func(*idp.User) error { return nil }),
	} {
		if err == nil || errors.Is(err, idp.ErrNotFound) {
			t.Errorf("call %d of a closed store: %v, want an error other than ErrNotFound", k, err)
		}
	}
}
