package rotator_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/idptest/fixture"
	"vernal/idp/keyring"
	"vernal/idp/rotation"
	"vernal/idp/rotator"
	"vernal/idp/seal"
)

// memory is the least of a store.
type memory struct{ doc []byte }

// yearUses are a ledger's.
type yearUses map[idp.Year]time.Time

func (l yearUses) LastUses(context.Context) (map[idp.Year]time.Time, error) { return l, nil }

func (l yearUses) Users(context.Context, idp.Year, time.Time) ([]idp.EntityID, error) {
	return nil, nil
}

func (m *memory) Documents(context.Context, string, idp.DocumentQuery) ([]idp.Document, error) {
	if m.doc == nil {
		return nil, nil
	}
	return []idp.Document{{Key: idp.RotationKey, Data: m.doc}}, nil
}

func (m *memory) UpdateDocuments(_ context.Context, _ string, keys []string, change func(*idp.Document) error, _ ...idp.AuditEvent) error {
	d := idp.Document{Key: keys[0], Data: m.doc}
	err := change(&d)
	if err == nil {
		m.doc = d.Data
	}
	return err
}

// TestRunTakesDueStepsAndRecordsUses checks that a running server counts its time, takes the
// due steps, and records the last uses when it ends.
func TestRunTakesDueStepsAndRecordsUses(t *testing.T) {
	t.Parallel()
	var master [32]byte
	rand.Read(master[:])
	key, err := seal.NewMaster(master[:])
	ok(t, err)
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		policy := rotation.DefaultPolicy()
		policy.Manual = true
		uses := yearUses{}
		begin := time.Now()
		s := &rotator.Service{
			Uses:  uses,
			Store: &memory{}, Dir: certs.OpenDir(folder, seal.NewMasters(key)), Ring: keyring.NewRing(policy), Policy: policy,
			BaseURL: "https://login.example.gov", Clock: time.Now, NewSigner: fixture.NewSigners(),
			Uptime: func() time.Duration { return time.Since(begin) },
			Log:    slog.New(slog.DiscardHandler),
		}
		ok(t, s.Begin(t.Context())) // the bubble's clock begins on 1 January 2000
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			s.Run(ctx)
			close(ended)
		}()
		time.Sleep(49*time.Hour + 30*time.Second)
		synctest.Wait()
		at := time.Now().UTC()
		uses["1999"] = at
		stop()
		<-ended
		st, err := s.Status(t.Context(), nil)
		ok(t, err)
		if st.Clock.RunningTime != 49*time.Hour+30*time.Second {
			t.Errorf("running time %v", st.Clock.RunningTime)
		}
		// A server that starts now reads what was written.
		next := &rotator.Service{
			Uses:  yearUses{},
			Store: s.Store, Dir: s.Dir, Ring: keyring.NewRing(policy), Policy: policy,
			BaseURL: s.BaseURL, Clock: time.Now, Log: s.Log,
		}
		ok(t, next.Start(t.Context()))
		if st, err = next.Status(t.Context(), nil); err != nil || !st.Years[0].UsedAt.Equal(at) || st.Years[0].QuietReading != st.Clock.RunningTime {
			t.Errorf("last use: %+v, %v", st.Years[0], err)
		}
	})
}
