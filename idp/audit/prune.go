package audit

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"vernal/certs"
	"vernal/idp"
)

// pruneBatch is the number of records pruned in one step. It is small so that no sign-in waits long
// behind a step.
const pruneBatch = 500

// Checkpoint returns the signed checkpoint for the records up to a place. It changes
// nothing: an export ends with the checkpoint before anything is pruned.
func (s *Service) Checkpoint(ctx context.Context, place Place) (*idp.AuditCheckpoint, error) {
	records, err := Records(ctx, s.Store, place.Seq-1, 1)
	if err != nil {
		return nil, fmt.Errorf("read audit record %d: %w", place.Seq, err)
	}
	if len(records) == 0 || records[0].Seq != place.Seq || records[0].Hash != place.Hash {
		return nil, fmt.Errorf("audit record %d with that hash: %w", place.Seq, idp.ErrNotFound)
	}
	now := s.Clock.Now()
	entry, err := s.Years.Preferred(now)
	if err != nil {
		return nil, fmt.Errorf("sign the checkpoint: %w", err)
	}
	if entry.Key.Signer == nil || entry.Key.Cert == nil {
		return nil, fmt.Errorf("sign the checkpoint: the preferred year %s has no key", entry.Key.Year)
	}
	c := &idp.AuditCheckpoint{
		Seq: place.Seq, Hash: place.Hash, At: now.UTC(), Issuer: s.Issuer, Year: entry.Key.Year, SHA256: certs.CertSHA256(entry.Key.Cert),
	}
	text := CheckpointText(*c)
	sum := sha256.Sum256(text)
	if c.Signature, err = entry.Key.Signer.Sign(rand.Reader, sum[:], crypto.SHA256); err != nil {
		return nil, fmt.Errorf("sign the checkpoint: %w", err)
	}
	c.MAC = hex.EncodeToString(s.Sealer.MAC(macContext, text))
	return c, nil
}

const macContext = "audit/checkpoint"

// Check returns an error if a checkpoint is not ours. Its MAC must match. While the certificate of
// its year is available, its signature must match too.
func (s *Service) Check(c idp.AuditCheckpoint) error {
	text := CheckpointText(c)
	if mac, err := hex.DecodeString(c.MAC); err != nil || hex.EncodeToString(mac) != c.MAC || !s.Sealer.VerifyMAC(macContext, text, mac) {
		return errors.New("its MAC does not match")
	}
	entry, ok := s.Years.Lookup(c.Year, s.Clock.Now())
	if !ok || entry.Key.Cert == nil || certs.CertSHA256(entry.Key.Cert) != c.SHA256 {
		return nil // the MAC is proof enough
	}
	key, ok := entry.Key.Cert.PublicKey.(*rsa.PublicKey)
	sum := sha256.Sum256(text)
	if !ok || rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], c.Signature) != nil {
		return errors.New("its signature does not match")
	}
	return nil
}

// RenewCheckpoint gives the checkpoint at the beginning of the trail a MAC by the newest keys, if
// the trail has a checkpoint and its MAC is valid.
func (s *Service) RenewCheckpoint(ctx context.Context) error {
	page, err := s.Store.AuditPage(ctx, idp.AuditQuery{After: 1<<64 - 1})
	if err != nil {
		if ctx.Err() == nil {
			s.Log.WarnContext(ctx, "the checkpoint of the audit trail cannot be read and keeps its MAC", "error", err.Error())
		}
		return ctx.Err()
	}
	c := page.Checkpoint
	if c == nil || s.Check(*c) != nil {
		return nil // Verify reports its fault
	}
	c.MAC = hex.EncodeToString(s.Sealer.MAC(macContext, CheckpointText(*c)))
	if _, err := s.Store.PruneAudit(ctx, *c, 0); err != nil {
		return fmt.Errorf("renew the checkpoint of the audit trail: %w", err)
	}
	return nil
}

// Prune makes a checkpoint of ours the beginning of the trail, unless it already is, and removes
// some of the records before it. count is their number, and hasMore reports whether others remain.
// Another call continues, even after a crash.
func (s *Service) Prune(ctx context.Context, c idp.AuditCheckpoint, actor string) (count int, hasMore bool, err error) {
	if err := s.Check(c); err != nil {
		return 0, false, fmt.Errorf("prune the audit trail: the checkpoint is not of this installation: %w", err)
	}
	page, err := s.Store.AuditPage(ctx, idp.AuditQuery{After: 1<<64 - 1})
	if err != nil {
		return 0, false, fmt.Errorf("prune the audit trail: %w", err)
	}
	if page.Checkpoint == nil || page.Checkpoint.Seq < c.Seq {
		// A separate step appends a record after the one at c, so that the one at c can be removed.
		_, err = s.Store.PruneAudit(ctx, c, 0, idp.AuditEvent{
			Kind: idp.AuditAuditPrune, Outcome: "ok", Actor: actor, Year: c.Year,
			Detail: map[string]string{"seq": strconv.FormatUint(c.Seq, 10), "hash": c.Hash},
		})
	}
	if err == nil {
		count, err = s.Store.PruneAudit(ctx, c, pruneBatch)
	}
	if err != nil {
		return 0, false, fmt.Errorf("prune the audit trail: %w", err)
	}
	return count, count == pruneBatch, nil
}

// LookupPlace returns the state of a place in the store: "present" if that record is there,
// "checkpoint" if the trail begins after it, "differs" if another record is there, and
// "unknown" if the store cannot know.
func (s *Service) LookupPlace(ctx context.Context, place Place) (string, error) {
	page, err := s.Store.AuditPage(ctx, idp.AuditQuery{After: max(place.Seq, 1) - 1, Limit: 1})
	if err != nil {
		return "", fmt.Errorf("read the audit trail: %w", err)
	}
	hash, state := "", "present"
	if c := page.Checkpoint; c != nil && c.Seq == place.Seq {
		hash, state = c.Hash, "checkpoint"
	} else if len(page.Lines) > 0 && page.Lines[0].Place == place.Seq {
		l, _ := ReadLine(page.Lines[0])
		hash = l.Hash
	} else {
		return "unknown", nil
	}
	if hash != place.Hash {
		return "differs", nil
	}
	return state, nil
}
