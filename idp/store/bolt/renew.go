package bolt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"

	"vernal/idp"
	"vernal/idp/seal"
)

// renewalBuckets are the buckets that a renewal rewrites, in this order. It rewrites user-emails
// together with users and user-tombstones.
var renewalBuckets = []bucket{
	inMeta, inProviders, inProviderScopes, inUsers, inUserTombstones, inNameIDs, inNameIDUsers, inSessions,
	inRequests, inLogouts, inLogoutMessages, inDocuments,
}

// BeginRenewal makes a new generation of ring keys for all further writes. It returns
// seal.ErrChangeUnderWay if another change of keys is under way.
func (s *Store) BeginRenewal(ctx context.Context, events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(w *writer) error {
		c, masterErr := w.readMasterChange()
		n, renewErr := w.readRenewal()
		switch {
		case masterErr != nil || renewErr != nil:
			return errors.Join(masterErr, renewErr)
		case c != nil || n != nil:
			return seal.ErrChangeUnderWay
		}
		return w.beginRenewal()
	})
}

// beginRenewal queues a new generation and a record that the previous one is still accepted.
func (w *writer) beginRenewal() error {
	previous := w.ring.Generations()[0]
	if previous.Number == 255 {
		return errors.New("the keys cannot be renewed again: all 255 generation numbers are used")
	}
	next := seal.NewGeneration(previous.Number + 1)
	value, err := json.Marshal(renewal{OldNumber: previous.Number})
	if err != nil {
		return err
	}
	w.putGeneration(next, w.store.masters)
	// Protected by the new generation, which alone may say that the old one is still
	// accepted.
	w.putProtected(inMeta, renewalKey, seal.NewRing(next).Protect(guardKinds[inMeta], renewalKey, value))
	w.nextRing = seal.NewRing(next, previous)
	return nil
}

// Renew rewrites up to limit records of the previous generation, beginning at a place that an
// earlier call returned. It returns the next place, which is zero after the end. A record that is
// not authentic stays unchanged.
func (s *Store) Renew(ctx context.Context, start seal.RenewPlace, limit int) (next seal.RenewPlace, err error) {
	return changeValue(ctx, s, nil, func(w *writer) (seal.RenewPlace, error) {
		next := start
		for n := 0; n < limit; {
			if next.Step >= len(renewalBuckets) {
				return seal.RenewPlace{}, nil
			}
			seen, last, err := w.renewEntries(renewalBuckets[next.Step], next.After, limit-n)
			if err != nil {
				return start, err
			}
			n += seen
			if next.After = last; last == nil {
				next.Step++
			}
		}
		return next, nil
	})
}

// renewEntries queues up to limit records of a bucket after a key. It returns the last
// key that it read, nil after the end of the bucket.
func (w *writer) renewEntries(b bucket, afterKey []byte, limit int) (seen int, last []byte, err error) {
	for key, value := range w.scanAfter(b, afterKey) {
		if seen == limit {
			return seen, last, nil
		}
		seen++
		last = bytes.Clone(key)
		if b == inUsers {
			if err := w.renewUser(idp.UserID(last)); err != nil {
				return 0, nil, err
			}
			continue
		}
		if w.ring.IsNewest(value) {
			continue
		}
		content, err := w.verifyValue(b, key, value)
		if err != nil {
			continue // a value that is not authentic stays unchanged
		}
		if b == inUserTombstones {
			if err := ignoreTampered(w.renewTombstone(idp.UserID(last), content)); err != nil {
				return 0, nil, err
			}
			continue
		}
		w.put(b, last, bytes.Clone(content))
	}
	return seen, nil, nil
}

// renewUser queues a user with a new key: the record, the profile and the index of
// email addresses.
func (w *writer) renewUser(id idp.UserID) error {
	key := []byte(id)
	newest := w.ring.Generations()[0].Number
	if number, _ := splitUserKey(w.bucket(inUserKeys).Get(key)); number == newest {
		return nil
	}
	u, err := w.readUser(id)
	if err != nil {
		return ignoreTampered(err)
	}
	var p *idp.Profile
	if sealed := w.bucket(inProfiles).Get(key); sealed != nil {
		if p, err = openSealed[idp.Profile](&w.reader, inProfiles, id, sealed); err != nil {
			return ignoreTampered(err)
		}
	}
	ownEmails := make(map[string]bool, len(u.Emails))
	for email := range listEmails(u) {
		owner, err := w.findEmailOwner(email)
		switch {
		case err != nil && !errors.Is(err, idp.ErrNotFound):
			return ignoreTampered(err)
		case owner == id:
			ownEmails[email] = true
		}
	}
	if p != nil && !p.Proofing().Equal(u.Proofing) {
		return nil // someone put back an older profile
	}
	if err := w.renewReserved(id, u.ReservedEmails); err != nil {
		return ignoreTampered(err)
	}
	for email := range ownEmails {
		w.put(inUserEmails, w.emailKey(email), key)
		for _, olderKey := range w.olderEmailKeys(email) {
			w.delete(inUserEmails, olderKey)
		}
	}
	dataKey := w.newUserKey(id)
	if p != nil {
		if err := w.putSealed(inProfiles, id, dataKey, p); err != nil {
			return err
		}
	}
	return w.putSealed(inUsers, id, dataKey, u)
}

// ignoreTampered drops idp.ErrTampered, because a renewal skips entries that are not
// authentic.
func ignoreTampered(err error) error {
	if errors.Is(err, idp.ErrTampered) {
		return nil
	}
	return err
}

// EndRenewal ends the previous generation: its output is no longer accepted. Call it once
// Renew has reached the end.
func (s *Store) EndRenewal(ctx context.Context, events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(w *writer) error {
		n, err := w.readRenewal()
		switch {
		case err != nil:
			return err
		case n == nil:
			return seal.ErrNoChange
		}
		newest := w.ring.Generations()[0]
		w.deleteGenerations(newest)
		w.delete(inMeta, renewalKey)
		w.nextRing = seal.NewRing(newest)
		return nil
	})
}
