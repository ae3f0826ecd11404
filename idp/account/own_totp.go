package account

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"vernal/idp"
)

// NewFactorTime is how long a proposed authenticator can be added.
const NewFactorTime = time.Hour

// Proposal is a new authenticator before its first code proves that the user has set it up. It is
// not stored: the page holds it, sealed.
type Proposal struct {
	Enrolment
	// Sealed is for the form. It is bound to the user.
	Sealed string
}

// proposal is the content of Proposal.Sealed.
type proposal struct {
	Secret []byte    `json:"secret"`
	At     time.Time `json:"at"`
}

func proposalContext(user idp.UserID) string { return "new-totp/" + string(user) }

// ProposeTOTP returns a new authenticator for a user.
func (s *Service) ProposeTOTP(u *idp.User) (*Proposal, error) {
	t, err := newTOTP(NewTOTP{}, s.Clock.Now())
	if err != nil {
		return nil, err
	}
	plain, err := json.Marshal(proposal{Secret: t.Secret, At: s.Clock.Now()})
	if err != nil {
		return nil, fmt.Errorf("encode authenticator: %w", err)
	}
	sealed := base64.RawURLEncoding.EncodeToString(s.Sealer.Seal(proposalContext(u.ID), plain))
	return &Proposal{Enrolment: *s.newEnrolment(t, u.PrimaryEmail()), Sealed: sealed}, nil
}

// OpenProposal returns the authenticator that was proposed to the user, to show it again. The error
// is idp.ErrNotFound if it was proposed to another user or more than NewFactorTime ago.
func (s *Service) OpenProposal(u *idp.User, sealed string) (*Proposal, error) {
	t, err := s.openProposal(u.ID, sealed)
	if err != nil {
		return nil, err
	}
	return &Proposal{Enrolment: *s.newEnrolment(t, u.PrimaryEmail()), Sealed: sealed}, nil
}

// maxSealedProposal is longer than every Proposal.Sealed.
const maxSealedProposal = 1024

func (s *Service) openProposal(user idp.UserID, sealed string) (idp.TOTP, error) {
	if len(sealed) > maxSealedProposal {
		return idp.TOTP{}, idp.ErrNotFound
	}
	b, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		return idp.TOTP{}, idp.ErrNotFound
	}
	plain, err := s.Sealer.Open(proposalContext(user), b)
	if err != nil {
		return idp.TOTP{}, errors.Join(idp.ErrNotFound, err)
	}
	var p proposal
	if err := json.Unmarshal(plain, &p); err != nil {
		return idp.TOTP{}, fmt.Errorf("decode authenticator: %w", err)
	}
	now := s.Clock.Now()
	if now.Sub(p.At) >= NewFactorTime {
		return idp.TOTP{}, idp.ErrNotFound
	}
	return idp.TOTP{Secret: p.Secret, Period: 30, AddedAt: now}, nil
}

// AddOwnTOTP adds a proposed authenticator to the user's account once a code of it proves that it is
// set up. Adding the same one twice changes nothing, because a form can be sent twice.
//
// Errors: ErrWrong for a wrong code; idp.ErrNotFound as OpenProposal; *InputError for the name, or
// with problem "too_many"; ErrLocked.
func (s *Service) AddOwnTOTP(ctx context.Context, c OwnChange, sealed, name, code string) error {
	t, err := s.openProposal(c.User, sealed)
	if err != nil {
		return err
	}
	if t.Name, err = cleanTOTPName(name); err != nil {
		return err
	}
	code, _ = normalizeCode(code)
	now := s.Clock.Now()
	if t.LastStep, err = findStep(t, code, now); err != nil {
		return err
	}
	err = s.changeSignIn(ctx, c, idp.AuditUserAddTOTP, func(u *idp.User) error {
		switch {
		case u.TOTP(t.ID()) != nil:
			return errUnchanged
		case len(u.TOTPs) >= MaxTOTPs:
			return &InputError{"totp_secret", "too_many", fmt.Sprintf("the account already has %d authenticators, the maximum", len(u.TOTPs))}
		}
		u.TOTPs = append(u.TOTPs, t)
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}

// errUnchanged ends a change that was already made.
var errUnchanged = errors.New("already changed")

// CheckTOTPName returns an *InputError for a name that an authenticator cannot have.
func CheckTOTPName(name string) error {
	_, err := cleanTOTPName(name)
	return err
}

// cleanTOTPName returns the name of an authenticator, which may be empty.
func cleanTOTPName(name string) (string, error) {
	name, ok := cleanText(name)
	if !ok || len(name) > maxTOTPName {
		return "", &InputError{"totp_name", "invalid", textRule}
	}
	return name, nil
}

// maxTOTPName limits the names that users choose, in bytes.
const maxTOTPName = 100

// findStep returns the step of a code of an authenticator, or ErrWrong.
func findStep(t idp.TOTP, code string, now time.Time) (int64, error) {
	step, found := now.Unix()/int64(t.Period), int64(-1)
	for _, candidate := range []int64{step - 1, step, step + idp.TOTPStepsAhead} {
		want, err := computeCode(t.Secret, candidate)
		if err != nil {
			return 0, err
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			found = candidate
		}
	}
	if found < 0 {
		return 0, ErrWrong
	}
	return found, nil
}

// RenameTOTP renames one of the user's authenticators. Errors: *InputError; idp.ErrNotFound if the
// user has none with the ID; ErrLocked.
func (s *Service) RenameTOTP(ctx context.Context, c OwnChange, id, name string) error {
	name, err := cleanTOTPName(name)
	if err != nil {
		return err
	}
	return s.changeOwn(ctx, c, idp.AuditUserRenameTOTP, func(u *idp.User) error {
		t := u.TOTP(id)
		if t == nil {
			return idp.ErrNotFound
		}
		t.Name = name
		return nil
	})
}

// RemoveTOTP removes one of the user's authenticators. Errors: *InputError with problem
// "last" for the only second factor, because two factors are mandatory; idp.ErrNotFound if the user has
// none with the ID; ErrLocked.
func (s *Service) RemoveTOTP(ctx context.Context, c OwnChange, id string) error {
	return s.changeSignIn(ctx, c, idp.AuditUserRemoveTOTP, func(u *idp.User) error {
		if u.TOTP(id) == nil {
			return idp.ErrNotFound
		}
		var rest []idp.TOTP
		for _, t := range u.TOTPs {
			if t.ID() != id {
				rest = append(rest, t)
			}
		}
		u.TOTPs = rest
		if !u.HasSecondFactor() {
			return &InputError{"totp", "last", "the only second factor cannot be removed, add another one first"}
		}
		return nil
	})
}
