package idp

import "time"

// AuditEvent is what a change tells the audit trail. It holds no personal data
// beyond our own UserID: no address, no name, no NameID, no secret.
type AuditEvent struct {
	// Kind is a dotted name: "sign_in", "sp.add", "user.lock".
	Kind string `json:"kind"`
	// Outcome is "ok" or the code of a refusal.
	Outcome string `json:"outcome"`
	// Actor is who did it: "user:ID", "cli:uid=1000(ops)", "server".
	Actor string   `json:"actor,omitempty"`
	User  UserID   `json:"user,omitempty"`
	SP    EntityID `json:"sp,omitempty"`
	Year  Year     `json:"year,omitempty"`
	// RequestID is the request in our log, ErrorID the one a person was shown.
	RequestID string `json:"request_id,omitempty"`
	ErrorID   string `json:"error_id,omitempty"`
	// Address is the peer's IP address.
	Address string `json:"address,omitempty"`
	// Detail says what changed, as name and value.
	Detail map[string]string `json:"detail,omitempty"`
}

// AuditRecord is an AuditEvent in its place in the chain.
type AuditRecord struct {
	// Seq counts from 1 without gaps.
	Seq uint64    `json:"seq"`
	At  time.Time `json:"at"`
	AuditEvent
	// Prev is the Hash of the record before, hex; 64 zeros for the first.
	Prev string `json:"prev"`
	// Hash is the SHA-256, hex, over the record's JSON without this field.
	Hash string `json:"hash"`
}
