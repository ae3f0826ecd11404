// Package maillink issues the single-use links that users receive by mail: to register, to set a
// new password, to confirm an email address, or to undo a change.
//
//	Issue    Link ─► token for the mail; the store keeps the token's hash and the sealed Link
//	Lookup   token ─► Link; changes nothing, because mail scanners follow links
//	Redeem   token ─► Link; uses the token up
//
// A caller whose user can ask for another link redeems it before the change. One whose user cannot
// looks it up, makes the change, which must be safe to repeat, and redeems it last. A crash then
// leaves the user with the link.
//
// A link works in any browser. It is bound to its purpose, its email address and, once there is
// one, to its user and the state of the account (Stamp). A caller that finds another stamp refuses
// it, so that a new password voids all links that were mailed before it.
//
// The package sends no mail (usermail) and changes no account (account).
package maillink

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"vernal/idp"
)

// Purpose is what a link is for. A link for one purpose never serves another.
type Purpose string

// The purposes.
const (
	SignUp        Purpose = "sign_up"        // confirm an email address and create an account
	Invitation    Purpose = "invitation"     // complete an account that an operator created
	ResetPassword Purpose = "reset_password" // set a new password
	AddEmail      Purpose = "add_email"      // confirm another email address
	UndoPrimary   Purpose = "undo_primary"   // make the earlier primary email address primary again
	// CancelDeletion keeps an account whose deletion is planned because its factors are lost.
	CancelDeletion Purpose = "cancel_deletion"
)

// lifetimes are how long links work.
var lifetimes = map[Purpose]time.Duration{
	SignUp:        24 * time.Hour,
	Invitation:    14 * 24 * time.Hour,
	ResetPassword: 30 * time.Minute,
	AddEmail:      24 * time.Hour,
	UndoPrimary:   7 * 24 * time.Hour,
	// The wait for the deletion, and until the server's job has deleted the account.
	CancelDeletion: 26 * time.Hour,
}

// Lifetime returns how long a link works.
func (p Purpose) Lifetime() time.Duration { return lifetimes[p] }

// RecordKind is the kind of document under which the store keeps links.
const RecordKind = "mail_link"

// Link is the meaning of a token.
type Link struct {
	Purpose Purpose `json:"purpose"`
	// Email is the email address to which the link was mailed.
	Email string `json:"email"`
	// User is "" for SignUp.
	User idp.UserID `json:"user,omitzero"`
	// Stamp is User.LinkStamp at the time of Issue.
	Stamp string `json:"stamp,omitzero"`
	// SP is the service provider to which the user wanted to sign in, and Request the stored
	// request, which only the browser that sent it can continue. Both may be "".
	SP      idp.EntityID      `json:"sp,omitzero"`
	Request idp.RequestHandle `json:"request,omitzero"`
	// IssuedAt and ExpiresAt are set by Issue.
	IssuedAt  time.Time `json:"issued_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

// record is a link in the store. Links contain email addresses, so they are sealed.
type record struct {
	Sealed []byte `json:"sealed"`
}

// Service issues and redeems links. All fields are required.
type Service struct {
	Store  idp.DocumentStore
	Sealer idp.Sealer
	Clock  idp.Clock
}

func (s *Service) records() idp.Records[record] {
	return idp.Records[record]{Store: s.Store, Kind: RecordKind, Clock: s.Clock}
}

// keyOf returns the key under which the store keeps the link of a token. A copy of the store
// discloses no token.
func keyOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func sealContext(key string) string { return RecordKind + "/" + key }

// Issue stores a link and returns its token, which is disclosed only here.
func (s *Service) Issue(ctx context.Context, l Link) (token string, err error) {
	if l.Purpose.Lifetime() == 0 {
		return "", fmt.Errorf("mail link: unknown purpose %q", l.Purpose)
	}
	var secret [32]byte
	rand.Read(secret[:])
	token = base64.RawURLEncoding.EncodeToString(secret[:])
	key := keyOf(token)
	l.IssuedAt = s.Clock.Now().UTC()
	l.ExpiresAt = l.IssuedAt.Add(l.Purpose.Lifetime())
	plain, err := json.Marshal(l)
	if err != nil {
		return "", fmt.Errorf("encode mail link: %w", err)
	}
	err = s.records().Update(ctx, []string{key}, func(r *idp.Record[record]) error {
		r.Value, r.ExpiresAt = &record{Sealed: s.Sealer.Seal(sealContext(key), plain)}, l.ExpiresAt
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("store mail link: %w", err)
	}
	return token, nil
}

// Lookup returns the link of a token without using it up. The error of every token that cannot be
// used for the purpose is idp.ErrNotFound, so that it discloses no reason.
func (s *Service) Lookup(ctx context.Context, purpose Purpose, token string) (*Link, error) {
	if len(token) > maxToken {
		return nil, idp.ErrNotFound
	}
	key := keyOf(token)
	r, err := s.records().Get(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("look up mail link: %w", err)
	}
	return s.open(key, r, purpose)
}

// maxToken is longer than every token.
const maxToken = 64

// Redeem returns the link of a token and uses the token up: of two concurrent calls, one gets
// idp.ErrNotFound.
func (s *Service) Redeem(ctx context.Context, purpose Purpose, token string) (*Link, error) {
	if len(token) > maxToken {
		return nil, idp.ErrNotFound
	}
	var found *Link
	key := keyOf(token)
	err := s.records().Update(ctx, []string{key}, func(r *idp.Record[record]) (err error) {
		if r.Value == nil {
			return idp.ErrNotFound
		}
		if found, err = s.open(key, r.Value, purpose); err != nil {
			return err
		}
		r.Value = nil
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("redeem mail link: %w", err)
	}
	return found, nil
}

// open unseals a link. One that was sealed under other keys, before they were renewed, no longer
// works.
func (s *Service) open(key string, r *record, purpose Purpose) (*Link, error) {
	plain, err := s.Sealer.Open(sealContext(key), r.Sealed)
	if err != nil {
		return nil, errors.Join(idp.ErrNotFound, err)
	}
	l := new(Link)
	if err := json.Unmarshal(plain, l); err != nil {
		return nil, fmt.Errorf("decode mail link: %w", err)
	}
	if l.Purpose != purpose || !s.Clock.Now().Before(l.ExpiresAt) {
		return nil, idp.ErrNotFound
	}
	return l, nil
}
