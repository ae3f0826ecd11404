package bolt

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"time"

	"vernal/idp"
)

// reservedHash is the context of the hash under which a reserved email address is looked up.
const reservedHash = "user-email-reserved"

// reservedKeys returns the index keys of a reserved email address, the newest first.
func (r *reader) reservedKeys(hash []byte) [][]byte {
	return append([][]byte{r.ring.Hash(reservedHash, hash)}, r.ring.OlderHashes(reservedHash, hash)...)
}

// findReserver returns the user for whom the email address with the hash is reserved, "" for none.
func (r *reader) findReserver(hash []byte) (idp.UserID, error) {
	for _, key := range r.reservedKeys(hash) {
		if id, err := r.get(inUserEmails, key); id != nil || err != nil {
			return idp.UserID(id), err
		}
	}
	return "", nil
}

// isReservedForOther reports whether an email address is reserved for another user.
func (r *reader) isReservedForOther(email string, id idp.UserID) (bool, error) {
	reserver, err := r.findReserver(idp.HashEmail(email))
	return reserver != "" && reserver != id, err
}

// listDisclosed returns the set of a user's email addresses that were disclosed as a NameID, in the
// form of the index.
func listDisclosed(u *idp.User) map[string]bool {
	set := make(map[string]bool)
	for _, e := range u.Emails {
		if len(e.DisclosedTo) > 0 {
			set[strings.ToLower(e.Address)] = true
		}
	}
	return set
}

// reserveEmails adds to u.ReservedEmails, and queues index entries for, the email addresses that
// were disclosed and are not among those of after.
func (w *writer) reserveEmails(u *idp.User, disclosed, after map[string]bool) {
	for email := range disclosed {
		if after[email] {
			continue
		}
		hash := idp.HashEmail(email)
		if !hasHash(u.ReservedEmails, hash) {
			u.ReservedEmails = append(slices.Clone(u.ReservedEmails), hash)
		}
		w.put(inUserEmails, w.reservedKeys(hash)[0], []byte(u.ID))
	}
}

func hasHash(hashes [][]byte, hash []byte) bool {
	return slices.ContainsFunc(hashes, func(h []byte) bool { return bytes.Equal(h, hash) })
}

// renewReserved queues new index entries for the reserved email addresses of a user.
func (w *writer) renewReserved(id idp.UserID, hashes [][]byte) error {
	for _, hash := range hashes {
		reserver, err := w.findReserver(hash)
		if err != nil {
			return err
		}
		if reserver != id {
			continue
		}
		keys := w.reservedKeys(hash)
		w.put(inUserEmails, keys[0], []byte(id))
		for _, key := range keys[1:] {
			w.delete(inUserEmails, key)
		}
	}
	return nil
}

// A tombstone is the time of the deletion. If email addresses are reserved, a line feed and their
// hashes follow, sealed with the ring keys because the key of the user was deleted.

func tombstoneContext(id idp.UserID) string { return "user-tombstone/" + string(id) }

// encodeTombstone returns the tombstone of a user.
func (w *writer) encodeTombstone(id idp.UserID, at string, reserved [][]byte) []byte {
	if len(reserved) == 0 {
		return []byte(at)
	}
	return append([]byte(at+"\n"), w.ring.Seal(tombstoneContext(id), bytes.Join(reserved, nil))...)
}

// newTombstone returns the tombstone of a user who is deleted now.
func (w *writer) newTombstone(id idp.UserID, reserved [][]byte) []byte {
	return w.encodeTombstone(id, w.store.clock.Now().Format(time.RFC3339), reserved)
}

// decodeTombstone reads the content of a tombstone.
func (r *reader) decodeTombstone(id idp.UserID, content []byte) (at string, reserved [][]byte, err error) {
	head, sealed, hasHashes := bytes.Cut(content, []byte("\n"))
	if !hasHashes {
		return string(head), nil, nil
	}
	hashes, err := r.ring.Open(tombstoneContext(id), sealed)
	if err != nil {
		return "", nil, r.store.tamperedError(inUserTombstones, []byte(id))
	}
	if len(hashes)%sha256.Size != 0 {
		return "", nil, corruptError(inUserTombstones, []byte(id), errors.New("not a list of hashes"))
	}
	return string(head), slices.Collect(slices.Chunk(hashes, sha256.Size)), nil
}

// renewTombstone queues a tombstone with the newest ring keys.
func (w *writer) renewTombstone(id idp.UserID, content []byte) error {
	at, reserved, err := w.decodeTombstone(id, content)
	if err == nil {
		err = w.renewReserved(id, reserved)
	}
	if err != nil {
		return err
	}
	w.put(inUserTombstones, []byte(id), w.encodeTombstone(id, at, reserved))
	return nil
}
