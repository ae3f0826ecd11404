package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"vernal/idp"
)

// ErrOutdated is returned for a change that depends on a state of the account that has changed, for
// example because of a new password. Nothing was changed.
var ErrOutdated = errors.New("account has changed since")

// CheckOwnPassword works like CheckNewPassword, for a user with several email addresses.
func CheckOwnPassword(password string, emails ...string) error {
	for _, email := range append([]string{""}, emails...) {
		if err := CheckNewPassword(password, email); err != nil {
			return err
		}
	}
	return nil
}

// HashOwnPassword checks and hashes a password that a user chooses. A mailed link is redeemed after
// it, so that a refused password does not use the link up.
func (s *Service) HashOwnPassword(ctx context.Context, password string, emails ...string) (string, error) {
	if err := CheckOwnPassword(password, emails...); err != nil {
		return "", err
	}
	hash, err := s.Hasher.Hash(ctx, password)
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	return hash, nil
}

// AcceptTexts returns the record that a user accepts the operator's texts now; nil without texts.
func (s Settings) AcceptTexts(now time.Time) *idp.AcceptedTexts {
	if len(s.Rules) == 0 && len(s.Privacy) == 0 {
		return nil
	}
	return &idp.AcceptedTexts{Rules: hashTexts(s.Rules), Privacy: hashTexts(s.Privacy), At: now}
}

// hashTexts returns the version of a text, which is in several languages: the hash of all; "" for
// none.
func hashTexts(texts map[string]string) string {
	if len(texts) == 0 {
		return ""
	}
	sum := sha256.New()
	for _, lang := range slices.Sorted(maps.Keys(texts)) {
		fmt.Fprintf(sum, "%s\x00%d\x00%s", lang, len(texts[lang]), texts[lang])
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// Registration is the data with which a user completes an account. The user has proved by a mailed
// link that the email address is theirs.
type Registration struct {
	Email string
	// PasswordHash is the result of HashOwnPassword.
	PasswordHash string
	Lang         string
	// Accepted are the operator's texts that the user accepted; nil for none.
	Accepted *idp.AcceptedTexts
}

// Register adds the user, who still needs a second factor. The error matches idp.ErrExists if the
// email address was taken meanwhile.
func (s *Service) Register(ctx context.Context, r Registration, newEvent func(idp.UserID) idp.AuditEvent) (*idp.User, error) {
	email, err := NormalizeEmail(r.Email)
	if err != nil {
		return nil, err
	}
	now := s.Clock.Now()
	user := &idp.User{
		ID:           idp.UserID(rand.Text()),
		Emails:       []idp.Email{{Address: email, ConfirmedAt: now}},
		PasswordHash: r.PasswordHash, PasswordChangedAt: now,
		Lang: r.Lang, Accepted: r.Accepted,
		CreatedAt: now, UpdatedAt: now,
	}
	event := newEvent(user.ID)
	event.Kind, event.Outcome, event.User = idp.AuditUserAdd, "ok", user.ID
	conflicts, err := s.Store.ImportUsers(ctx, []idp.ImportedUser{{User: user, Event: event}})
	if err := errors.Join(append(conflicts, err)...); err != nil {
		return nil, fmt.Errorf("register: %w", err)
	}
	return user, nil
}

// CompleteInvitation gives the password to a user whom an operator created, and confirms the
// email address to which the invitation was mailed. stamp is the user's LinkStamp when the invitation
// was mailed. The error matches ErrOutdated if the user has a password, or no longer has that stamp
// or email address, and idp.ErrNotFound if the user was deleted.
func (s *Service) CompleteInvitation(ctx context.Context, user idp.UserID, stamp string, r Registration, event idp.AuditEvent) (*idp.User, error) {
	var changed *idp.User
	now := s.Clock.Now()
	err := s.changeSignIn(ctx, OwnChange{User: user, Event: event}, idp.AuditUserSetPassword, func(u *idp.User) error {
		i := slices.IndexFunc(u.Emails, func(e idp.Email) bool { return strings.EqualFold(e.Address, r.Email) })
		if i < 0 || u.LinkStamp() != stamp || u.PasswordHash != "" {
			return ErrOutdated
		}
		if u.Emails[i].ConfirmedAt.IsZero() {
			u.Emails[i].ConfirmedAt = now
		}
		u.PasswordHash, u.PasswordChangedAt = r.PasswordHash, now
		if u.Lang == "" {
			u.Lang = r.Lang
		}
		if r.Accepted != nil {
			u.Accepted = r.Accepted
		}
		changed = u
		return nil
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}
