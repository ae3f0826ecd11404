package idp

import "time"

// LogoutRequest is our record of a LogoutRequest that was verified: what its
// answer needs of it. It holds no name: the user whom it names is looked up
// when it comes, and kept as our own UserID.
type LogoutRequest struct {
	Handle RequestHandle `json:"handle"`
	// SecretHash ties the request to one browser, as that of a LoginRequest;
	// empty if none waits for it.
	SecretHash []byte `json:"secret_hash,omitempty"`

	SP         EntityID `json:"sp"`
	MessageID  string   `json:"message_id"`
	Year       Year     `json:"year"`
	RelayState string   `json:"relay_state,omitempty"`
	HasRelay   bool     `json:"has_relay,omitempty"`
	Locale     string   `json:"locale,omitempty"`
	// User is the user whom the NameID names, as it was disclosed to the SP; ""
	// if the SP was given no such name.
	User UserID `json:"user,omitempty"`
	// SessionIndexes are as they came.
	SessionIndexes []string `json:"session_indexes,omitempty"`
	// UUIDIndex is set if one of the SessionIndexes is User's UUID at the SP,
	// which names every session.
	UUIDIndex bool `json:"uuid_index,omitempty"`
	// IndexUser is the user whose UUID at the SP is the only SessionIndex; ""
	// without one. The back channel goes by it rather than by User.
	IndexUser UserID `json:"index_user,omitempty"`
	// CertSHA256 names the SP's request certificate that verified the message.
	CertSHA256 string `json:"cert_sha256"`

	// ReceivedAt is when the message was first received. It names no session
	// that began later. The store moves it forward to the newest session that
	// was there, so that a clock that was set back leaves none out.
	ReceivedAt time.Time `json:"received_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	// AnsweredAt is when the answer was first decided; Status and StatusDetail
	// are the status codes (saml-core §3.2.2.2) of the last decision that
	// counted, see LogoutStore.RecordLogout.
	AnsweredAt   time.Time `json:"answered_at,omitzero"`
	Status       string    `json:"status,omitempty"`
	StatusDetail string    `json:"status_detail,omitempty"`
}

// Answered reports whether the answer was decided before.
func (r *LogoutRequest) Answered() bool { return !r.AnsweredAt.IsZero() }

// EverySession reports whether the request names every session of the user in
// which its SP takes part (saml-core §3.7.3.1).
func (r *LogoutRequest) EverySession() bool { return len(r.SessionIndexes) == 0 || r.UUIDIndex }

// Logout is one delivery of a LogoutRequest that is to be answered now; see
// LogoutStore.RecordLogout.
type Logout struct {
	// Request is the message as it came this time.
	Request *LogoutRequest
	At      time.Time
	// Check decides within the write whether the SP may still be answered; nil
	// if it may.
	Check Check
	// Decide is given the request as it was first received and the stored
	// sessions of its User and IndexUser, oldest first.
	Decide func(first *LogoutRequest, sessions []*Session) LogoutDecision
	// Event makes the audit record of the request as it is answered now.
	Event func(answered *LogoutRequest) AuditEvent
}

// LogoutDecision says which of the sessions end and what the SP is answered.
type LogoutDecision struct {
	Status, StatusDetail string
	End                  []SessionID
}

// LogoutOutcome is what RecordLogout did.
type LogoutOutcome struct {
	// Request is the one first received, with the status of this answer.
	Request *LogoutRequest
	// Ended are the sessions that ended now.
	Ended []*Session
}
