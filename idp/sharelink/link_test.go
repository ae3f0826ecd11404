package sharelink_test

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/seal"
	"vernal/idp/sharelink"
	"vernal/idp/store/bolt"
)

type deployment struct {
	t     *testing.T
	store idp.Store
	now   time.Time
	sharelink.Service
}

func newDeployment(t *testing.T) *deployment {
	t.Helper()
	w := &deployment{t: t, now: time.Date(2031, 2, 1, 9, 0, 0, 0, time.UTC)}
	clock := idp.Clock(func() time.Time { return w.now })
	store, err := bolt.Open(filepath.Join(t.TempDir(), "vernal.db"), bolt.Options{Masters: seal.NewMasters(newMaster(t)), Clock: clock, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	w.store, w.Service = store, sharelink.Service{Store: store, Sealer: store.Ring(), Clock: clock}
	return w
}

func newMaster(t *testing.T) *seal.Master {
	t.Helper()
	var master [32]byte
	rand.Read(master[:])
	k, err := seal.NewMaster(master[:])
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (w *deployment) create(l sharelink.Link) (sharelink.Link, string) {
	w.t.Helper()
	made, token, err := w.Create(w.t.Context(), l, "cli:uid=0")
	if err != nil {
		w.t.Fatal(err)
	}
	return made, token
}

func (w *deployment) opens(kind sharelink.Kind, token string, want bool) {
	w.t.Helper()
	l, err := w.Check(w.t.Context(), kind, token)
	if want && (err != nil || l == nil) || !want && !errors.Is(err, idp.ErrNotFound) {
		w.t.Errorf("token %q: %v, want opens=%v", token, err, want)
	}
}

var preview = sharelink.Link{Kind: sharelink.Preview, Year: "2032", SP: "https://sp.example"}

func TestLinkOpensUntilExpiryOrRevocation(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	expiring := preview
	expiring.ExpiresAt = w.now.Add(time.Hour)
	made, token := w.create(expiring)
	w.opens(sharelink.Preview, token, true)
	if l, err := w.Check(t.Context(), sharelink.Preview, token); err != nil || l.Year != "2032" || l.SP != "https://sp.example" || l.ID != made.ID {
		t.Errorf("link = %+v, %v", l, err)
	}
	w.now = w.now.Add(time.Hour)
	w.opens(sharelink.Preview, token, false) // it has ended
	w.now = w.now.Add(-time.Minute)

	other, otherToken := w.create(sharelink.Link{Kind: sharelink.Wallboard})
	if _, err := w.Revoke(t.Context(), made.ID, "cli:uid=0"); err != nil {
		t.Fatal(err)
	}
	w.opens(sharelink.Preview, token, false)
	w.opens(sharelink.Wallboard, otherToken, true) // the other one stays
	if _, err := w.Revoke(t.Context(), "no such link", "x"); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("revoke of nothing: %v", err)
	}
	list, err := w.List(t.Context(), sharelink.Preview)
	if err != nil || len(list) != 1 || !list[0].RevokedAt.Equal(w.now) || list[0].Actor != "cli:uid=0" {
		t.Errorf("list = %+v, %v", list, err)
	}
	if list, _ := w.List(t.Context(), sharelink.Wallboard); len(list) != 1 || list[0].ID != other.ID {
		t.Errorf("walls = %+v", list)
	}
}

// TestForgedTokenOpensNothing checks that a token opens only what it was made for, and that
// the data in the store opens nothing.
func TestForgedTokenOpensNothing(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	made, token := w.create(preview)
	_, wall := w.create(sharelink.Link{Kind: sharelink.Wallboard})
	id, mac, _ := strings.Cut(token, ".")
	_, wallMAC, _ := strings.Cut(wall, ".")
	for _, forged := range []string{
		"", ".", id, id + ".", "." + mac, id + "." + wallMAC, id + "." + mac + "A", id + "." + mac[1:], id + "." + strings.ToUpper(mac),
		strings.Repeat("a", 1<<20) + "." + mac, wall,
	} {
		w.opens(sharelink.Preview, forged, false)
	}
	w.opens(sharelink.Wallboard, token, false)
	w.opens(sharelink.Calendar, wall, false)

	// An attacker who can write to the store cannot widen what a token opens.
	for _, change := range []func(*sharelink.Link){
		func(l *sharelink.Link) { l.SP = "https://other.example" },
		func(l *sharelink.Link) { l.Year = "2033" },
		func(l *sharelink.Link) { l.Kind = sharelink.Wallboard },
	} {
		l := made
		change(&l)
		err := w.store.UpdateDocuments(t.Context(), "link", []string{made.ID}, func(d *idp.Document) (err error) { d.Data, err = json.Marshal(l); return err })
		if err != nil {
			t.Fatal(err)
		}
		w.opens(l.Kind, token, false)
	}
	docs, err := w.store.Documents(t.Context(), "link", idp.DocumentQuery{All: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range docs {
		if strings.Contains(string(d.Data), mac) || strings.Contains(string(d.Data), wallMAC) {
			t.Errorf("the store holds a token: %s", d.Data)
		}
	}
	otherService := w.Service
	otherService.Sealer = seal.NewRing(seal.NewGeneration(1))
	if _, err := otherService.Check(t.Context(), sharelink.Wallboard, wall); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("other keys: %v", err)
	}
}

func TestCreateRefusesInvalidLink(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	for _, l := range []sharelink.Link{
		{}, {Kind: "other"}, {Kind: sharelink.Preview}, {Kind: sharelink.Preview, Year: "2032"}, {Kind: sharelink.Wallboard, SP: "https://sp.example", Year: "2032"},
	} {
		if _, token, err := w.Create(t.Context(), l, "x"); err == nil || token != "" {
			t.Errorf("%+v was made", l)
		}
	}
}
