package idp

import "time"

// AuditEvent is what a change tells the audit trail. It holds no personal data
// beyond our own UserID: no address, no name, no NameID, no secret.
type AuditEvent struct {
	Kind AuditKind `json:"kind"`
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
	// Address is the peer's IP address. It is not part of the record, which is
	// kept for good; see AuditRecord.AddressSum.
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
	// AddressSum commits to Address without telling it: the SHA-256, hex, over
	// the time, 16 random bytes and the address. Those are kept beside the
	// record and are gone after AddressLifetime; from then on nobody can find
	// the address by trying all of them. "" if there was none.
	AddressSum string `json:"address_sum,omitempty"`
	// Prev is the Hash of the record before, hex; 64 zeros for the first.
	Prev string `json:"prev"`
	// Hash is the SHA-256, hex, over the record's JSON without this field and
	// without Address.
	Hash string `json:"hash"`
}

// AddressLifetime is how long a network address stays in the trail.
const AddressLifetime = 90 * 24 * time.Hour

// AuditHead is the end of the trail: how many records there have been, and the
// Hash of the last. A copy of it kept elsewhere, in the log, shows when records
// were cut off or an older store was put back.
type AuditHead struct {
	Seq uint64 `json:"seq"`
	// Hash is 64 zeros while there is no record.
	Hash string `json:"hash"`
	// MAC authenticates Seq and Hash under the master key, hex.
	MAC string `json:"mac"`
}

// AuditLine is a record as it is stored.
type AuditLine struct {
	// Place is where it stands: it should be the record's Seq. 0 for what
	// stands where no record can.
	Place uint64
	// JSON is the record without its address.
	JSON []byte
	// Address is what is kept beside it; nil if there is nothing, or not any
	// more.
	Address []byte
}

// AuditPage is a part of the trail as it is stored, with what the store says of
// the whole, all of one moment.
type AuditPage struct {
	Lines []AuditLine
	// Head is the end of the trail as it was authenticated when it was written;
	// Authentic says that its MAC fits.
	Head      AuditHead
	Authentic bool
	// Counted is how many records the store has counted, in a second place.
	Counted uint64
	// Checkpoint is where the trail begins; nil if nothing was pruned.
	Checkpoint *AuditCheckpoint
	// Stray says that an address in this part belongs to no record.
	Stray bool
}

// AuditCheckpoint stands for the records up to Seq, which were exported and
// removed. Who has its year's certificate can tell from it that an exported
// file is whole.
type AuditCheckpoint struct {
	Seq  uint64    `json:"seq"`
	Hash string    `json:"hash"`
	At   time.Time `json:"at"`
	// Issuer is our entityID.
	Issuer string `json:"issuer"`
	// Year is the one whose key signed; SHA256 is the fingerprint of its
	// certificate, hex.
	Year   Year   `json:"year"`
	SHA256 string `json:"cert_sha256"`
	// Signature is RSA with SHA-256 (PKCS #1 v1.5) over the text of the fields
	// above, see audit.CheckpointText. MAC is over the same, under the master
	// key, hex.
	Signature []byte `json:"signature"`
	MAC       string `json:"mac"`
}
