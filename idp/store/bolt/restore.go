package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"time"

	"vernal/idp"
)

// restoreEffect is the effect of a restore on the records of a bucket.
type restoreEffect byte

const (
	effectUnknown restoreEffect = iota
	effectKeep
	effectEnd
	// effectChoose means that the restore keeps, changes or ends each record separately.
	effectChoose
)

// restoreEffects contains the effect on every bucket.
var restoreEffects = [bucketCount]restoreEffect{
	inMeta:            effectKeep,
	inRingKeys:        effectKeep,
	inUserKeys:        effectKeep,
	inProviders:       effectKeep,
	inProviderScopes:  effectKeep,
	inUsers:           effectKeep, // idp.User.ExpireUntil ends devices and codes
	inUserEmails:      effectKeep,
	inUserTombstones:  effectKeep,
	inNameIDs:         effectKeep,
	inNameIDUsers:     effectKeep,
	inSessions:        effectEnd,
	inUserSessions:    effectEnd,
	inRequests:        effectEnd,
	inLogouts:         effectEnd,
	inLogoutMessages:  effectEnd,
	inDocuments:       effectChoose,
	inExpiry:          effectChoose, // like the records that it indexes
	inAudit:           effectKeep,
	inAuditAddresses:  effectKeep,
	inAuditHead:       effectKeep,
	inAuditCheckpoint: effectKeep,
	inProfiles:        effectKeep,
	inAuditUsers:      effectKeep,
}

var restoredKey = []byte("restored")

// RestoredAt returns the time of the last restore. If the clock was set back since, it returns
// the time when it found out, because otherwise no message and no code would be accepted until
// the clock reaches the time of the restore.
func (s *Store) RestoredAt() time.Time {
	at := s.restoredAt.Load()
	if at == nil {
		return time.Time{}
	}
	if now := s.clock.Now().UTC(); at.After(now) {
		s.restoredAt.CompareAndSwap(at, &now)
		return *s.restoredAt.Load()
	}
	return *at
}

// loadRestoredAt reads RestoredAt at Open.
func (r *reader) loadRestoredAt() error {
	value, err := r.get(inMeta, restoredKey)
	if value == nil || err != nil {
		return err
	}
	if len(value) != timeLen {
		return corruptError(inMeta, restoredKey, errors.New("not a time"))
	}
	at := decodeTime(value)
	r.store.restoredAt.Store(&at)
	return nil
}

// Restore ends the sessions, requests and documents that a backup must not bring back. Reads of
// users change only when it returns, which is safe because nothing else uses the store yet.
func (s *Store) Restore(ctx context.Context, r idp.Restore, events ...idp.AuditEvent) (idp.EndedRecords, error) {
	if r.At.IsZero() {
		return idp.EndedRecords{}, errors.New("a store cannot be restored at the zero time")
	}
	at := r.At.UTC()
	counts, err := changeValue(ctx, s, events, func(w *writer) (idp.EndedRecords, error) {
		counts := idp.EndedRecords{
			Sessions: w.countRecords(inSessions), LoginRequests: w.countRecords(inRequests), LogoutRequests: w.countRecords(inLogouts),
		}
		for b, f := range restoreEffects {
			if f == effectEnd {
				w.clear(bucket(b))
			}
		}
		w.keepDocumentExpiry()
		if err := w.restoreDocuments(r, &counts); err != nil {
			return counts, err
		}
		w.put(inMeta, restoredKey, appendTime(nil, at))
		return counts, nil
	})
	if err == nil {
		s.restoredAt.Store(&at)
	}
	return counts, err
}

func (r *reader) countRecords(b bucket) (n int) {
	for range r.scan(b, nil) {
		n++
	}
	return n
}

// keepDocumentExpiry queues the removal of all entries of the expiry index that belong to no
// document.
func (w *writer) keepDocumentExpiry() {
	w.clear(inExpiry)
	for key := range w.scan(inExpiry, nil) {
		if len(key) > timeLen+1 && kind(key[timeLen]) == documentKind {
			w.put(inExpiry, bytes.Clone(key), nil)
		}
	}
}

// restoreDocuments queues the changes of documents. A document that is not authentic stays
// unchanged.
func (w *writer) restoreDocuments(r idp.Restore, counts *idp.EndedRecords) error {
	for docKey := range w.scan(inDocuments, nil) {
		kind, key, ok := splitPair(docKey)
		if !ok {
			continue
		}
		if r.Change == nil {
			continue
		}
		before, err := w.readDocument(kind, key)
		if errors.Is(err, idp.ErrTampered) {
			continue
		}
		if err != nil {
			return err
		}
		d := before
		d.Data = bytes.Clone(before.Data)
		if err := r.Change(kind, &d); err != nil {
			return err
		}
		if d.Key != key {
			return errors.New("a change of a document must not change its Key")
		}
		if len(d.Data) == 0 {
			if counts.Documents == nil {
				counts.Documents = map[string]int{}
			}
			counts.Documents[kind]++
		}
		w.putDocument(kind, before, d)
	}
	if r.Add == nil {
		return nil
	}
	newDocuments, err := r.Add(*counts)
	if err != nil {
		return err
	}
	for kind, d := range newDocuments {
		before, err := w.readDocument(kind, d.Key)
		if err != nil {
			return err
		}
		w.putDocument(kind, before, d)
	}
	return nil
}

// splitPair returns the two parts of a pairKey.
func splitPair(key []byte) (a, b string, ok bool) {
	if len(key) < 2 {
		return "", "", false
	}
	n := int(binary.BigEndian.Uint16(key))
	if len(key) < 2+n {
		return "", "", false
	}
	return string(key[2 : 2+n]), string(key[2+n:]), true
}
