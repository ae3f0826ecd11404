package idp

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strings"
	"time"
)

// Factor is a way in which a user proved their identity.
type Factor string

// Factors that a session can record.
const (
	FactorPassword         Factor = "password"
	FactorTOTP             Factor = "totp"
	FactorRememberedDevice Factor = "remembered-device"
	FactorPasskey          Factor = "passkey"
	FactorPIV              Factor = "piv"
	FactorRecoveryCode     Factor = "recovery-code"
)

// FactorUse is one use of a factor and its time.
type FactorUse struct {
	Factor Factor    `json:"factor"`
	At     time.Time `json:"at"`
}

// Session is one browser in which a user has signed in, or has begun to.
type Session struct {
	ID   SessionID `json:"id"`
	User UserID    `json:"user"`
	// Pending marks a sign-in that has proved the password but not yet the second factor.
	// It has a separate cookie and gives no other access.
	Pending bool `json:"pending,omitempty"`
	// SignInEmailMark records, for a Pending session, which of their email addresses the user entered:
	// an account.AddressMark, which does not reveal the email address. It is "" afterwards.
	SignInEmailMark string `json:"came_as,omitempty"`
	// BegunAt is when the user signed in, for a session that replaced another one because
	// the user proved more within it; zero if that is CreatedAt.
	BegunAt time.Time `json:"begun_at,omitzero"`
	// CreatedAt is when this SessionID was made, SeenAt its last use (accurate to about a
	// minute), and ExpiresAt its absolute end.
	CreatedAt time.Time `json:"created_at"`
	SeenAt    time.Time `json:"seen_at"`
	ExpiresAt time.Time `json:"expires_at"`
	// IdleTimeout is how long the session lasts without use; 0 means until ExpiresAt.
	IdleTimeout time.Duration `json:"idle,omitempty"`
	// Device is the device on which the session began, as far as the browser discloses it.
	Device Device `json:"device,omitzero"`
	// AuthnAt is when the user last authenticated with all factors.
	AuthnAt      time.Time     `json:"authn_at,omitzero"`
	Factors      []FactorUse   `json:"factors"`
	Participants []Participant `json:"participants,omitempty"`
}

// SignedInAt returns when the user signed in. It does not change when the user proves more within
// the session, which gives it another ID.
func (s *Session) SignedInAt() time.Time {
	if s.BegunAt.IsZero() {
		return s.CreatedAt
	}
	return s.BegunAt
}

// EndsAt returns when the session ends if it is not used again.
func (s *Session) EndsAt() time.Time {
	if s.IdleTimeout > 0 {
		if idleEnd := s.SeenAt.Add(s.IdleTimeout); idleEnd.Before(s.ExpiresAt) {
			return idleEnd
		}
	}
	return s.ExpiresAt
}

// Device is the data by which a user can recognize their browser. It holds less than the browser
// sent: no version and no complete IP address.
type Device struct {
	// Browser and System are names of a closed list, such as "Firefox" and
	// "Windows"; "" if unknown.
	Browser string `json:"browser,omitempty"`
	System  string `json:"system,omitempty"`
	// Network is the network part of the IP address: the first 24 bits of IPv4, 48 of
	// IPv6, as a prefix ("203.0.113.0/24").
	Network string `json:"network,omitempty"`
}

// Participant is a service provider to which a session was disclosed.
type Participant struct {
	SP     EntityID `json:"sp"`
	NameID NameID   `json:"name_id"`
	// SessionIndexes identify the session to this provider: one, which every assertion
	// carries, or several where sessions were merged. A LogoutRequest may name any of them
	// as long as the session lives.
	SessionIndexes []string  `json:"session_indexes"`
	Year           Year      `json:"year"`
	At             time.Time `json:"at"`
}

// SessionIndex returns the latest index that the provider was given in the session; "" if it
// does not take part.
func (s *Session) SessionIndex(provider EntityID) string {
	var last *Participant
	for i := range s.Participants {
		p := &s.Participants[i]
		if p.SP == provider && len(p.SessionIndexes) > 0 && (last == nil || !p.At.Before(last.At)) {
			last = p
		}
	}
	if last == nil {
		return ""
	}
	return last.SessionIndexes[len(last.SessionIndexes)-1]
}

// IsDisclosedTo reports whether the session was disclosed to the provider, under one of the
// indexes if any are given.
func (s *Session) IsDisclosedTo(provider EntityID, indexes []string) bool {
	return slices.ContainsFunc(s.Participants, func(p Participant) bool {
		return p.SP == provider && (len(indexes) == 0 ||
			slices.ContainsFunc(indexes, func(i string) bool { return slices.Contains(p.SessionIndexes, i) }))
	})
}

// LastUsedAt reports when the session last recorded the factor; zero if never.
func (s *Session) LastUsedAt(f Factor) time.Time {
	var at time.Time
	for _, u := range s.Factors {
		if u.Factor == f && u.At.After(at) {
			at = u.At
		}
	}
	return at
}

// LoginRequest is our record of a verified and accepted AuthnRequest: the data that the sign-in
// needs, and the browser to which the request belongs. It is the only data that the steps of a
// sign-in pass to each other.
type LoginRequest struct {
	SP        EntityID      `json:"sp"`
	MessageID string        `json:"message_id"`
	Handle    RequestHandle `json:"handle"`
	// SecretHash ties the request to one browser: the SHA-256 of the value of its cookie,
	// which is a secret or holds the request itself. It is empty if a live session
	// answered the request at once.
	SecretHash []byte `json:"secret_hash,omitempty"`

	Year         Year   `json:"year"`
	ACSURL       string `json:"acs_url"`
	RelayState   string `json:"relay_state,omitempty"`
	HasRelay     bool   `json:"has_relay,omitempty"`
	ForceAuthn   bool   `json:"force_authn,omitempty"`
	IsPassive    bool   `json:"is_passive,omitempty"`
	NameIDFormat string `json:"name_id_format"`
	// SubjectHash is the HashSubject of the NameID that must identify the user in the
	// Response; nil if the message names no user.
	SubjectHash []byte `json:"subject_hash,omitempty"`
	// Comparison and ClassRefs are the RequestedAuthnContext as it was sent.
	Comparison string   `json:"comparison,omitempty"`
	ClassRefs  []string `json:"class_refs,omitempty"`
	Locale     string   `json:"locale,omitempty"`
	// AsksForSignUp requests that a user without a session begins by creating an account.
	AsksForSignUp bool `json:"sign_up,omitempty"`
	// CertSHA256 is the fingerprint of the SP's request certificate that verified the
	// message, hex; empty for an unsigned message.
	CertSHA256 string `json:"cert_sha256,omitempty"`

	// MessageHash is the HashMessage that identifies the same message when it is delivered
	// again.
	MessageHash []byte `json:"message_hash,omitempty"`

	// Preview identifies the permission to use an unpublished year: "field" for the provider's
	// registration, otherwise the ID of a link; "" for a live year.
	Preview string `json:"preview,omitempty"`

	// IssuedAt is the message's IssueInstant, by the sender's clock.
	IssuedAt   time.Time `json:"issued_at,omitzero"`
	ReceivedAt time.Time `json:"received_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	// AnsweredAt is set when a Response is issued. The request cannot be used after that.
	AnsweredAt time.Time `json:"answered_at,omitzero"`
	// AnsweringSession is the session from which the answer was issued.
	AnsweringSession SessionID `json:"answered_in,omitempty"`
}

// IsAnswered reports whether a Response has been issued to the request.
func (r *LoginRequest) IsAnswered() bool { return !r.AnsweredAt.IsZero() }

// ResubmitWindow is how soon after its first delivery a message may be delivered again, for
// example by a double click.
const ResubmitWindow = 10 * time.Second

// IsResubmitted reports whether r is byte for byte the message of the stored request and
// arrived within ResubmitWindow of it. It does not consider whether that request was answered.
func (r *LoginRequest) IsResubmitted(stored *LoginRequest) bool {
	return r.SP == stored.SP && r.MessageID == stored.MessageID &&
		len(r.MessageHash) > 0 && bytes.Equal(r.MessageHash, stored.MessageHash) &&
		r.ReceivedAt.Sub(stored.ReceivedAt).Abs() <= ResubmitWindow
}

// HashSubject returns the hash of a NameID. Email addresses are compared without case.
func HashSubject(name string, isEmail bool) []byte {
	if isEmail {
		name = strings.ToLower(name)
	}
	return shortHash([]byte(name))
}

// HashMessage returns the hash of a message's bytes.
func HashMessage(xml []byte) []byte { return shortHash(xml) }

// shortHash returns half a SHA-256. A cookie may have to hold it, and a sender gains nothing
// from a collision between two of its own values.
func shortHash(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:sha256.Size/2]
}

// Issuance is everything that one issued assertion changes; see
// SessionStore.RecordIssuance.
type Issuance struct {
	// Request is marked as answered. If it is not stored yet, because a live session
	// answers at once, it is stored as answered.
	Request *LoginRequest
	Session SessionID
	User    UserID
	Scope   NameIDScope
	// ProposedNameID becomes the user's NameID in the scope if the user has none.
	ProposedNameID NameID
	// SessionIndex becomes the SP's index in the session if the SP has none there.
	SessionIndex string
	// EmailAddress is the user's email address that the assertion contains as the NameID, if it
	// was not disclosed to the SP before; "" otherwise.
	EmailAddress string
	At           time.Time
	// Check decides again within the write; nil if the answer is not signed.
	Check Check
	Event AuditEvent
}

// Standing is the data that the right to answer a service provider depends on, as stored at
// the moment of a write.
type Standing struct {
	// Rotation is the rotation's document; nil if it does not exist. It is valid until the
	// Check returns, and must not be changed.
	Rotation []byte
	// Revision identifies the content of the registration: it stays the same as long as
	// the content does. It is nil without a registration, valid until the Check returns,
	// and must not be changed.
	Revision []byte
	// Provider reads the registration, or returns ErrNotFound. It costs more than
	// comparing the Revision.
	Provider func() (*ServiceProvider, error)
}

// Check decides within the write of an answer whether it may still be given. If it returns an
// error, nothing is written and the caller gets that error. It must not call the store, and
// may run more than once.
type Check func(Standing) error

// IssuedIDs contains the values that the assertion of an Issuance must carry.
type IssuedIDs struct {
	NameID       NameID
	SessionIndex string
}
