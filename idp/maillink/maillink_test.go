package maillink_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/maillink"
	"vernal/idp/seal"
	"vernal/idp/store/bolt"
)

type deployment struct {
	maillink.Service
	now time.Time
}

func newDeployment(t *testing.T) *deployment {
	t.Helper()
	d := &deployment{now: time.Date(2031, 4, 1, 9, 0, 0, 0, time.UTC)}
	var key [32]byte
	rand.Read(key[:])
	master, err := seal.NewMaster(key[:])
	if err != nil {
		t.Fatal(err)
	}
	clock := idp.Clock(func() time.Time { return d.now })
	store, err := bolt.Open(filepath.Join(t.TempDir(), "vernal.db"), bolt.Options{Masters: seal.NewMasters(master), Clock: clock, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	d.Service = maillink.Service{Store: store, Sealer: store.Ring(), Clock: clock}
	return d
}

var resetLink = maillink.Link{Purpose: maillink.ResetPassword, Email: "ada@example.gov", User: "u1", Stamp: "s1", SP: "https://sp.example"}

func (d *deployment) issue(t *testing.T, l maillink.Link) string {
	t.Helper()
	token, err := d.Issue(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestLookupDoesNotUseTokenUp(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	token := d.issue(t, resetLink)
	for range 3 {
		l, err := d.Lookup(t.Context(), maillink.ResetPassword, token)
		if err != nil || l.User != "u1" || l.Email != "ada@example.gov" || l.Stamp != "s1" || l.SP != "https://sp.example" {
			t.Fatalf("link %+v, %v", l, err)
		}
	}
	if _, err := d.Redeem(t.Context(), maillink.ResetPassword, token); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Lookup(t.Context(), maillink.ResetPassword, token); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("after its use: %v", err)
	}
}

func TestTokenIsRedeemedOnce(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	token := d.issue(t, resetLink)
	var wg sync.WaitGroup
	var mu sync.Mutex
	redeemed := 0
	for range 8 {
		wg.Go(func() {
			_, err := d.Redeem(t.Context(), maillink.ResetPassword, token)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				redeemed++
			case !errors.Is(err, idp.ErrNotFound):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if redeemed != 1 {
		t.Errorf("redeemed %d times", redeemed)
	}
}

func TestTokenServesItsPurposeUntilItExpires(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	token := d.issue(t, resetLink)
	for _, purpose := range []maillink.Purpose{maillink.SignUp, maillink.Invitation, maillink.AddEmail, maillink.UndoPrimary, maillink.CancelDeletion, ""} {
		if _, err := d.Redeem(t.Context(), purpose, token); !errors.Is(err, idp.ErrNotFound) {
			t.Errorf("redeemed for %q: %v", purpose, err)
		}
	}
	for _, forged := range []string{"", token + "A", token[1:], strings.ToUpper(token), strings.Repeat("A", 43), strings.Repeat("A", 1<<20)} {
		if _, err := d.Redeem(t.Context(), maillink.ResetPassword, forged); !errors.Is(err, idp.ErrNotFound) {
			t.Errorf("redeemed %.50q: %v", forged, err)
		}
	}
	d.now = d.now.Add(maillink.ResetPassword.Lifetime() - 1)
	if _, err := d.Lookup(t.Context(), maillink.ResetPassword, token); err != nil {
		t.Errorf("before its end: %v", err)
	}
	d.now = d.now.Add(1)
	if _, err := d.Redeem(t.Context(), maillink.ResetPassword, token); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("after its end: %v", err)
	}
	if _, err := d.Issue(t.Context(), maillink.Link{Purpose: "other", Email: "ada@example.gov"}); err == nil {
		t.Error("issued for an unknown purpose")
	}
}

// Neither the token nor the email address can be read in the store, and a stored link moved under
// another token's key opens nothing.
func TestStoreDisclosesNoLink(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	one, two := d.issue(t, resetLink), d.issue(t, resetLink)
	docs, err := d.Store.Documents(t.Context(), maillink.RecordKind, idp.DocumentQuery{All: true})
	if err != nil || len(docs) != 2 {
		t.Fatalf("%d links, %v", len(docs), err)
	}
	for _, doc := range docs {
		if text := doc.Key + string(doc.Data); strings.Contains(text, one) || strings.Contains(text, two) || strings.Contains(text, "ada@") {
			t.Errorf("the store shows %s", text)
		}
	}
	err = d.Store.UpdateDocuments(t.Context(), maillink.RecordKind, []string{docs[0].Key, docs[1].Key}, func(doc *idp.Document) error {
		if other := docs[0]; doc.Key != other.Key {
			doc.Data = bytes.Clone(other.Data)
		} else {
			doc.Data = bytes.Clone(docs[1].Data)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{one, two} {
		if _, err := d.Redeem(t.Context(), maillink.ResetPassword, token); !errors.Is(err, idp.ErrNotFound) {
			t.Errorf("a moved link opens: %v", err)
		}
	}
}
