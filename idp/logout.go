package idp

import "time"

// LogoutRequest is our record of a verified LogoutRequest, with the data that the answer needs. It
// holds no NameID: the user is looked up on arrival and stored as our own UserID.
type LogoutRequest struct {
	Handle RequestHandle `json:"handle"`
	// SecretHash ties the request to one browser, like that of a LoginRequest; empty if no
	// browser waits for the answer.
	SecretHash []byte `json:"secret_hash,omitempty"`

	SP         EntityID `json:"sp"`
	MessageID  string   `json:"message_id"`
	Year       Year     `json:"year"`
	RelayState string   `json:"relay_state,omitempty"`
	HasRelay   bool     `json:"has_relay,omitempty"`
	Locale     string   `json:"locale,omitempty"`
	// User is the user identified by the NameID, as disclosed to the SP; "" if the SP was
	// never given that NameID.
	User UserID `json:"user,omitempty"`
	// SessionIndexes are the unchanged values of the message.
	SessionIndexes []string `json:"session_indexes,omitempty"`
	// UUIDIndex is set if one of the SessionIndexes is User's UUID at the SP, which
	// selects every session.
	UUIDIndex bool `json:"uuid_index,omitempty"`
	// IndexUser is the user whose UUID at the SP is the only SessionIndex; "" if that does
	// not apply. The back channel uses it instead of User.
	IndexUser UserID `json:"index_user,omitempty"`
	// CertSHA256 is the fingerprint of the SP's request certificate that verified the
	// message.
	CertSHA256 string `json:"cert_sha256"`

	// ReceivedAt is when the message was first received. The request does not apply to
	// sessions that began later. The store moves it forward to the newest session it
	// holds, so that a clock that was set back excludes no session.
	ReceivedAt time.Time `json:"received_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	// AnsweredAt is when the answer was first decided. Status and StatusDetail are the
	// status codes (saml-core §3.2.2.2) of the last decision that counted; see
	// LogoutStore.RecordLogout.
	AnsweredAt   time.Time `json:"answered_at,omitzero"`
	Status       string    `json:"status,omitempty"`
	StatusDetail string    `json:"status_detail,omitempty"`
}

// IsAnswered reports whether the answer was already decided.
func (r *LogoutRequest) IsAnswered() bool { return !r.AnsweredAt.IsZero() }

// AppliesToEverySession reports whether the request applies to every session of the user in which its
// SP takes part (saml-core §3.7.3.1).
func (r *LogoutRequest) AppliesToEverySession() bool {
	return len(r.SessionIndexes) == 0 || r.UUIDIndex
}

// Logout is one delivery of a LogoutRequest that needs an answer now; see
// LogoutStore.RecordLogout.
type Logout struct {
	// Request is the message as delivered this time.
	Request *LogoutRequest
	At      time.Time
	// Check decides within the write whether the SP may still be answered; nil if it may.
	Check Check
	// Decide gets the request as first received and the stored sessions of its User and
	// IndexUser, oldest first.
	Decide func(received *LogoutRequest, sessions []*Session) LogoutDecision
	// Event returns the audit record of the request with its current answer.
	Event func(request *LogoutRequest) AuditEvent
}

// LogoutDecision contains the sessions to end and the status for the SP.
type LogoutDecision struct {
	Status, StatusDetail string
	SessionIDs           []SessionID
}

// LogoutOutcome is the result of RecordLogout.
type LogoutOutcome struct {
	// Request is the request as first received, with the status of this answer.
	Request *LogoutRequest
	// EndedSessions are the sessions that ended in this call.
	EndedSessions []*Session
}
