package idp

import "time"

// LogoutRequest is our record of a LogoutRequest that was verified: what its
// answer needs of it. It holds no name: whom it names is looked up when it
// comes, and kept as our own UserID.
type LogoutRequest struct {
	Handle RequestHandle `json:"handle"`
	// SecretHash ties the request to one browser, as that of a LoginRequest;
	// empty on the back channel.
	SecretHash []byte `json:"secret_hash,omitempty"`

	SP         EntityID `json:"sp"`
	MessageID  string   `json:"message_id"`
	Year       Year     `json:"year"`
	RelayState string   `json:"relay_state,omitempty"`
	HasRelay   bool     `json:"has_relay,omitempty"`
	Locale     string   `json:"locale,omitempty"`
	// User is the person whom the request names, by what its SP was told of
	// them; "" if the SP was never told of such a person.
	User UserID `json:"user,omitempty"`
	// SessionIndexes are as they came; none: any session of the person's will
	// do.
	SessionIndexes []string `json:"session_indexes,omitempty"`
	// CertSHA256 names the SP's request certificate that verified the message.
	CertSHA256 string `json:"cert_sha256"`

	ReceivedAt time.Time `json:"received_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	// AnsweredAt is set once the answer is decided; Status and StatusDetail are
	// then its status codes (saml-core §3.2.2.2). The same request again gets
	// the same answer.
	AnsweredAt   time.Time `json:"answered_at,omitzero"`
	Status       string    `json:"status,omitempty"`
	StatusDetail string    `json:"status_detail,omitempty"`
}

// Answered reports whether the answer is decided.
func (r *LogoutRequest) Answered() bool { return !r.AnsweredAt.IsZero() }

// Logout is everything that one answered LogoutRequest changes; see
// LogoutStore.RecordLogout.
type Logout struct {
	Request *LogoutRequest
	// Session ends; "" for none.
	Session SessionID
	// EndAllOf is the person whose sessions end, those in which the request's
	// SP takes part; "" for nobody.
	EndAllOf UserID
	// SessionIndexes, if there are any, leave of those only the ones that the
	// SP was told of by one of them.
	SessionIndexes []string
}
