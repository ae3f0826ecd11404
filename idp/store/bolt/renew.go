package bolt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"

	"vernal/idp"
	"vernal/idp/seal"
)

// renewalBuckets are the buckets that a renewal goes through, in this order. user-emails
// follows its users.
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

// beginRenewal notes a new generation, and that the one before is still accepted.
func (w *writer) beginRenewal() error {
	before := w.ring.Generations()[0]
	if before.Number == 255 {
		return errors.New("the keys were renewed 254 times, and no generation number is left")
	}
	next := seal.NewGeneration(before.Number + 1)
	value, err := json.Marshal(renewal{OldNumber: before.Number})
	if err != nil {
		return err
	}
	w.putGeneration(next, w.store.masters)
	// Protected by the new generation, which alone may say that the old one is still
	// accepted.
	w.putProtected(inMeta, renewalKey, seal.NewRing(next).Protect(guardKinds[inMeta], renewalKey, value))
	w.nextRing = seal.NewRing(next, before)
	return nil
}

// Renew rewrites up to limit records of the previous generation, beginning at a place that an
// earlier call returned. It returns the next place, which is zero after the end. A record that is
// not authentic stays unchanged.
func (s *Store) Renew(ctx context.Context, from seal.RenewPlace, limit int) (next seal.RenewPlace, err error) {
	return changeValue(ctx, s, nil, func(w *writer) (seal.RenewPlace, error) {
		next := from
		for n := 0; n < limit; {
			if next.Step >= len(renewalBuckets) {
				return seal.RenewPlace{}, nil
			}
			seen, last, err := w.renewEntries(renewalBuckets[next.Step], next.After, limit-n)
			if err != nil {
				return from, err
			}
			n += seen
			if next.After = last; last == nil {
				next.Step++
			}
		}
		return next, nil
	})
}

// renewEntries notes up to limit records of a bucket after a key. It returns the last
// key that it looked at, nil after the end of the bucket.
func (w *writer) renewEntries(b bucket, after []byte, limit int) (seen int, last []byte, err error) {
	for key, value := range w.scanAfter(b, after) {
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
			continue // not authentic: it stays unchanged
		}
		w.put(b, last, bytes.Clone(content))
	}
	return seen, nil, nil
}

// renewUser notes a user with a new key: the record, the profile and the index of
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
	owned := make(map[string]bool, len(u.Emails))
	for address := range listEmails(u) {
		owner, err := w.findEmailOwner(address)
		switch {
		case err != nil && !errors.Is(err, idp.ErrNotFound):
			return ignoreTampered(err)
		case owner == id:
			owned[address] = true
		}
	}
	if p != nil && !p.Proofing().Equal(u.Proofing) {
		return nil // not the profile that the record speaks of: an older one was put back
	}
	for address := range owned {
		w.put(inUserEmails, w.emailKey(address), key)
		for _, older := range w.olderEmailKeys(address) {
			w.delete(inUserEmails, older)
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
