package idp

import "time"

// AuditEvent describes a change for the audit trail. It holds no personal data beyond our own
// UserID: no email address, no name, no NameID, no secret.
type AuditEvent struct {
	Kind AuditKind `json:"kind"`
	// Outcome is "ok" or the code of a refusal.
	Outcome string `json:"outcome"`
	// Actor identifies who made the change: "user:ID", "cli:uid=1000(ops)", "server".
	Actor string   `json:"actor,omitempty"`
	User  UserID   `json:"user,omitempty"`
	SP    EntityID `json:"sp,omitempty"`
	Year  Year     `json:"year,omitempty"`
	// RequestID identifies the request in our log. ErrorID is the error ID shown to the
	// user.
	RequestID string `json:"request_id,omitempty"`
	ErrorID   string `json:"error_id,omitempty"`
	// IPAddress is the peer's IP address. It is not part of the record, which is permanent;
	// see AuditRecord.IPAddressSum.
	IPAddress string `json:"address,omitempty"`
	// Detail lists the changes, by name and value.
	Detail map[string]string `json:"detail,omitempty"`
}

// AuditRecord is an AuditEvent at its position in the chain.
type AuditRecord struct {
	// Seq counts from 1 without gaps.
	Seq uint64    `json:"seq"`
	At  time.Time `json:"at"`
	AuditEvent
	// IPAddressSum commits to IPAddress without disclosing it. It is the SHA-256, hex, over
	// the time, 16 random bytes and the IP address. The random bytes and the IP address
	// are stored beside the record and removed after IPAddressLifetime. From then on, no one
	// can find the IP address by trying all of them. "" if the event had no IP address.
	IPAddressSum string `json:"address_sum,omitempty"`
	// Prev is the Hash of the previous record, hex; 64 zeros for the first record.
	Prev string `json:"prev"`
	// Hash is the SHA-256, hex, over the record's JSON without this field and
	// without IPAddress.
	Hash string `json:"hash"`
}

// IPAddressLifetime is how long an IP address stays in the trail.
const IPAddressLifetime = 90 * 24 * time.Hour

// AuditHead is the end of the trail: the number of records ever written and the Hash of the
// last one. A copy is kept outside the store, in the log. It shows when records were cut off
// or an older store was restored.
type AuditHead struct {
	Seq uint64 `json:"seq"`
	// Hash is 64 zeros before the first record.
	Hash string `json:"hash"`
	// MAC authenticates Seq and Hash under the master key, hex.
	MAC string `json:"mac"`
}

// AuditLine is a record in its stored form.
type AuditLine struct {
	// Place is the position at which the record is stored, and should equal its Seq. It is 0
	// for data stored at a place where no record can be.
	Place uint64
	// JSON is the record without its IP address.
	JSON []byte
	// IPAddress is the data about the IP address stored beside the record; nil if it never
	// existed or was removed.
	IPAddress []byte
}

// AuditPage is a part of the trail in its stored form, with the store's view of the whole
// trail at the same moment.
type AuditPage struct {
	Lines []AuditLine
	// Head is the end of the trail as authenticated when it was written. IsHeadAuthentic reports
	// whether its MAC is valid.
	Head            AuditHead
	IsHeadAuthentic bool
	// RecordCount is the store's second, separate count of the records.
	RecordCount uint64
	// Checkpoint is the beginning of the trail; nil if no record was pruned.
	Checkpoint *AuditCheckpoint
	// HasStrayIPAddress reports whether an IP address in this part belongs to no record.
	HasStrayIPAddress bool
}

// AuditCheckpoint replaces the records up to Seq, which were exported and removed. With the
// certificate of its year, anyone can check that an exported file is complete.
type AuditCheckpoint struct {
	Seq  uint64    `json:"seq"`
	Hash string    `json:"hash"`
	At   time.Time `json:"at"`
	// Issuer is our entityID.
	Issuer string `json:"issuer"`
	// Year is the year whose key signed. SHA256 is the fingerprint of its certificate,
	// hex.
	Year   Year   `json:"year"`
	SHA256 string `json:"cert_sha256"`
	// Signature is RSA with SHA-256 (PKCS #1 v1.5) over the text of the fields above; see
	// audit.CheckpointText. MAC is computed over the same text with the master key, hex.
	Signature []byte `json:"signature"`
	MAC       string `json:"mac"`
}
