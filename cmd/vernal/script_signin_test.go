package main

import (
	"context"
	"crypto/rand"
	"path/filepath"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"vernal/idp"
	"vernal/idp/seal"
	"vernal/idp/store/bolt"
)

// signin records in vernal-data, while no server runs, that a user signed in to a service
// provider, which was given the email address as a NameID.
func signin(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: signin ENTITY_ID EMAIL PROPOSED NAMEID")
	}
	ctx, now := context.Background(), time.Now()
	store := openStore(ts)
	defer func() { ts.Check(store.Close()) }()
	provider, err := store.Provider(ctx, idp.EntityID(args[0]))
	ts.Check(err)
	person, err := store.UserByEmail(ctx, args[1])
	ts.Check(err)

	session := &idp.Session{ID: idp.HashSessionToken(rand.Text()), User: person.ID, CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(time.Hour)}
	ts.Check(store.StartSession(ctx, idp.SessionStart{Session: session}))
	got, err := store.RecordIssuance(ctx, &idp.Issuance{
		Request: &idp.LoginRequest{Handle: idp.RequestHandle(rand.Text()), SP: provider.EntityID, MessageID: rand.Text(), ExpiresAt: now.Add(time.Hour)},
		Session: session.ID, User: person.ID, Scope: provider.NameIDScope, ProposedNameID: idp.NameID(args[2]),
		EmailAddress: args[1], SessionIndex: rand.Text(), At: now, Event: idp.AuditEvent{Kind: "sign_in", Outcome: "ok"},
	})
	ts.Check(err)
	if got.NameID != idp.NameID(args[3]) {
		ts.Fatalf("the provider received the NameID %q, not %q", got.NameID, args[3])
	}
}

// forget leaves no year recorded in the store of vernal-data, which is made if there
// is none, as an init leaves it that is cut short. What else is there stays.
func forget(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 || args[0] != "years" {
		ts.Fatalf("usage: forget years")
	}
	store := openStore(ts)
	ts.Check(store.UpdateDocuments(context.Background(), idp.RotationKind, []string{idp.RotationKey}, func(d *idp.Document) error { d.Data = nil; return nil }))
	ts.Check(store.Close())
}

// openStore opens the store of vernal-data, while no server runs.
func openStore(ts *testscript.TestScript) *bolt.Store {
	key, err := seal.LoadMaster(ts.MkAbs(filepath.Join("vernal-data", "master.key")), "")
	ts.Check(err)
	store, err := bolt.Open(ts.MkAbs(filepath.Join("vernal-data", storeName)), bolt.Options{Masters: seal.NewMasters(key), Clock: time.Now})
	ts.Check(err)
	return store
}

// scriptRemembered notes in vernal-data, while no server runs, that a person asked to
// be remembered in a browser, so many days ago.
func scriptRemembered(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: remembered EMAIL BROWSER SYSTEM DAYS")
	}
	days, err := strconv.Atoi(args[3])
	ts.Check(err)
	ctx, at := context.Background(), time.Now().AddDate(0, 0, -days)
	store := openStore(ts)
	defer func() { ts.Check(store.Close()) }()
	person, err := store.UserByEmail(ctx, args[0])
	ts.Check(err)
	ts.Check(store.UpdateUser(ctx, person.ID, func(u *idp.User) error {
		u.RememberDevice(idp.RememberedDevice{Hash: []byte(rand.Text()), At: at, Browser: args[1], System: args[2]})
		return nil
	}))
}
