package idp

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strings"
	"time"
)

// Factor is a way in which a person proved who they are.
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

// FactorUse is one proof and its time.
type FactorUse struct {
	Factor Factor    `json:"factor"`
	At     time.Time `json:"at"`
}

// Session is one browser in which a person has signed in, or has begun to.
type Session struct {
	ID   SessionID `json:"id"`
	User UserID    `json:"user"`
	// Pending marks a sign-in that has proved the password but not yet the
	// second factor. It has a cookie of its own and opens nothing else.
	Pending bool `json:"pending,omitempty"`
	// CameAs tells, of a Pending one, which of the person's addresses they gave:
	// account.AddressMark, from which no address can be read; "" afterwards.
	CameAs string `json:"came_as,omitempty"`
	// BegunAt is when the user signed in, for a session that took another's
	// place because they proved more within it; zero if that is CreatedAt.
	BegunAt time.Time `json:"begun_at,omitzero"`
	// CreatedAt is when this SessionID was made, SeenAt its last use (kept to
	// about a minute), ExpiresAt its absolute end.
	CreatedAt time.Time `json:"created_at"`
	SeenAt    time.Time `json:"seen_at"`
	ExpiresAt time.Time `json:"expires_at"`
	// Idle is how long it lasts without use; 0 until ExpiresAt.
	Idle time.Duration `json:"idle,omitempty"`
	// Device is what it was begun on, as far as that is told.
	Device Device `json:"device,omitzero"`
	// AuthnAt is when the person last proved who they are with all factors.
	AuthnAt      time.Time     `json:"authn_at,omitzero"`
	Factors      []FactorUse   `json:"factors"`
	Participants []Participant `json:"participants,omitempty"`
}

// Began is when the user signed in: it stays what it was when they prove more
// within the session, which gives it another ID.
func (s *Session) Began() time.Time {
	if s.BegunAt.IsZero() {
		return s.CreatedAt
	}
	return s.BegunAt
}

// EndsAt is when the session ends if it is not used again.
func (s *Session) EndsAt() time.Time {
	if s.Idle > 0 {
		if idle := s.SeenAt.Add(s.Idle); idle.Before(s.ExpiresAt) {
			return idle
		}
	}
	return s.ExpiresAt
}

// Device is what a person can know a browser of theirs by. It holds less than
// what the browser sent: no version, and no whole network address.
type Device struct {
	// Browser and System are names of a closed list, such as "Firefox" and
	// "Windows"; "" if not known.
	Browser string `json:"browser,omitempty"`
	System  string `json:"system,omitempty"`
	// Network is the part of the address that tells the network: the first 24
	// bits of IPv4, 48 of IPv6, as a prefix ("203.0.113.0/24").
	Network string `json:"network,omitempty"`
}

// Participant is a service provider to which a session was disclosed.
type Participant struct {
	SP     EntityID `json:"sp"`
	NameID NameID   `json:"name_id"`
	// SessionIndexes name the session to this provider: one, which every
	// assertion carries, or several where sessions became one. A LogoutRequest
	// may name any of them as long as the session lives.
	SessionIndexes []string  `json:"session_indexes"`
	Year           Year      `json:"year"`
	At             time.Time `json:"at"`
}

// SessionIndex is the one that the provider was last given in the session; ""
// if it takes no part.
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

// DisclosedTo reports whether the session was disclosed to the provider: under one of
// the indexes, if there are any.
func (s *Session) DisclosedTo(provider EntityID, indexes []string) bool {
	return slices.ContainsFunc(s.Participants, func(p Participant) bool {
		return p.SP == provider && (len(indexes) == 0 ||
			slices.ContainsFunc(indexes, func(i string) bool { return slices.Contains(p.SessionIndexes, i) }))
	})
}

// Used reports when the session last recorded the factor; zero if never.
func (s *Session) Used(f Factor) time.Time {
	var at time.Time
	for _, u := range s.Factors {
		if u.Factor == f && u.At.After(at) {
			at = u.At
		}
	}
	return at
}

// LoginRequest is our record of an AuthnRequest that was verified and accepted:
// what the sign-in needs of it, and the browser it belongs to. It is the only
// thing that the steps of a sign-in hand to one another.
type LoginRequest struct {
	SP        EntityID      `json:"sp"`
	MessageID string        `json:"message_id"`
	Handle    RequestHandle `json:"handle"`
	// SecretHash ties the request to one browser: the SHA-256 of the value of
	// its cookie, which is a secret or holds the request itself. Empty when it was
	// answered at once, from a live session.
	SecretHash []byte `json:"secret_hash,omitempty"`

	Year         Year   `json:"year"`
	ACSURL       string `json:"acs_url"`
	RelayState   string `json:"relay_state,omitempty"`
	HasRelay     bool   `json:"has_relay,omitempty"`
	ForceAuthn   bool   `json:"force_authn,omitempty"`
	IsPassive    bool   `json:"is_passive,omitempty"`
	NameIDFormat string `json:"name_id_format"`
	// SubjectHash is the HashSubject of the NameID that the Response must name the
	// user by; nil if the message asks for no one.
	SubjectHash []byte `json:"subject_hash,omitempty"`
	// Comparison and ClassRefs are the RequestedAuthnContext as it was sent.
	Comparison string   `json:"comparison,omitempty"`
	ClassRefs  []string `json:"class_refs,omitempty"`
	Locale     string   `json:"locale,omitempty"`
	// CertSHA256 names the SP's request certificate that verified the message,
	// hex; empty for an unsigned one.
	CertSHA256 string `json:"cert_sha256,omitempty"`

	// MessageHash is the HashMessage by which the same message is known when it is
	// delivered again.
	MessageHash []byte `json:"message_hash,omitempty"`

	// Preview says what opened a year that was not published: "field" for the
	// provider's registration, else the ID of a link; "" for a live year.
	Preview string `json:"preview,omitempty"`

	// IssuedAt is the message's IssueInstant, by the sender's clock.
	IssuedAt   time.Time `json:"issued_at,omitzero"`
	ReceivedAt time.Time `json:"received_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	// AnsweredAt is set once a Response was issued; the request is then spent.
	AnsweredAt time.Time `json:"answered_at,omitzero"`
	// AnsweredIn is the session the answer was issued from.
	AnsweredIn SessionID `json:"answered_in,omitempty"`
}

// Answered reports whether a Response has been issued to the request.
func (r *LoginRequest) Answered() bool { return !r.AnsweredAt.IsZero() }

// ResubmitWindow is how soon after its first delivery a message may be delivered
// again, as a double click does.
const ResubmitWindow = 10 * time.Second

// IsResubmitted reports whether r is the message of the stored request, byte by byte,
// and came within ResubmitWindow of it. Whether that has its answer is another
// question.
func (r *LoginRequest) IsResubmitted(stored *LoginRequest) bool {
	return r.SP == stored.SP && r.MessageID == stored.MessageID &&
		len(r.MessageHash) > 0 && bytes.Equal(r.MessageHash, stored.MessageHash) &&
		r.ReceivedAt.Sub(stored.ReceivedAt).Abs() <= ResubmitWindow
}

// HashSubject is the hash of a NameID. Email addresses are the same in either case.
func HashSubject(name string, isEmail bool) []byte {
	if isEmail {
		name = strings.ToLower(name)
	}
	return shortHash([]byte(name))
}

// HashMessage is the hash of a message's bytes.
func HashMessage(xml []byte) []byte { return shortHash(xml) }

// shortHash is half a SHA-256. A cookie may have to hold it, and nothing is gained by
// two values of one sender that have the same.
func shortHash(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:sha256.Size/2]
}

// Issuance is everything that one issued assertion changes; see
// SessionStore.RecordIssuance.
type Issuance struct {
	// Request is marked as answered. If it is not stored yet (a live session
	// answers at once) it is stored as answered.
	Request *LoginRequest
	Session SessionID
	User    UserID
	Scope   NameIDScope
	// Proposed becomes the person's NameID in the scope if they have none.
	Proposed NameID
	// SessionIndex becomes the one of the SP in the session if it has none there.
	SessionIndex string
	// Address is the one of the person's addresses that the assertion names them
	// by, if its SP was not told it before; "" otherwise.
	Address string
	At      time.Time
	// Check decides again within the write; nil if nothing is signed.
	Check Check
	Event AuditEvent
}

// Standing is what the right to answer a service provider rests upon, as the
// store holds it at the moment of a write.
type Standing struct {
	// Rotation is the rotation's document; nil if there is none. It is valid
	// until the Check returns, and must not be changed.
	Rotation []byte
	// Revision stands for the content of the registration: it is the same as
	// long as that is. It is nil if there is none, valid until the Check
	// returns, and must not be changed.
	Revision []byte
	// Provider reads the registration; ErrNotFound if there is none. It is more
	// work than to compare the Revision.
	Provider func() (*ServiceProvider, error)
}

// Check decides within the write of an answer whether it may still be given.
// If it returns an error, nothing is written and that error is the caller's. It
// must not call the store, and may run more than once.
type Check func(Standing) error

// Issued is what the assertion of an Issuance must carry.
type Issued struct {
	NameID       NameID
	SessionIndex string
}
