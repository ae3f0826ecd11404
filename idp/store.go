package idp

import (
	"context"
	"time"
)

// Store keeps everything that outlives a request. Each method is one atomic, durable step:
// when it returns nil, the change survives a crash, and when it returns an error, no part of
// it is kept. Events passed to a method are appended to the audit trail in the same step.
//
// A record that is not authentic, because someone else wrote or moved it, gives ErrTampered
// wherever it is read, and is never changed, replaced or treated as missing. Sessions are the
// exception: one that is not authentic has ended. Session and UpdateSession return ErrTampered
// for it. All other methods treat it as missing.
//
// Look-ups return ErrNotFound, and their results belong to the caller. Arguments stay the
// caller's too: a method does not change them, and does not see later changes to them.
// Functions passed to a method may run more than once, must not call the store, and must
// return or panic. If they return an error, nothing changes and that error is returned
// unchanged. Update methods return ErrNotFound for a missing record. Times are UTC. All
// methods may be called concurrently. After Close, all return an error. A method that changes
// something returns ErrBusy, and changes nothing, if too many changes are waiting to be
// written, and ErrNotWritten if the disk does not take it.
//
// No method needs a lock on more than the records that it names, or those of the user or
// service provider that it names. Other changes may run at the same time. Only the audit trail
// is one chain.
//
// A new kind of record is a Records in the DocumentStore, not a new method.
type Store interface {
	ProviderStore
	UserStore
	SessionStore
	LogoutStore
	AuditStore
	DocumentStore

	// Sweep removes up to limit records whose ExpiresAt is not after now and returns their
	// number. Fewer than limit means that none is left. It treats IP addresses in the
	// audit trail that are older than IPAddressLifetime the same way. Its cost does not grow
	// with the remaining records.
	Sweep(ctx context.Context, now time.Time, limit int) (int, error)
	// Close releases the store after finishing changes in progress.
	Close() error
}

// OwnedStore is the whole store, for the process that opened it.
type OwnedStore interface {
	Store
	RestoreStore
	WriteChecker
}

// WriteChecker reports whether a store can be written.
type WriteChecker interface {
	// CheckWrites returns the reason why changes cannot be written, which is ErrNotWritten,
	// ErrDamaged or ErrBusy, or nil if they can. It uses the result of the last change if that
	// is no older than WriteCheckAge, and otherwise makes a change of its own. It also returns
	// ErrNotWritten if ctx's deadline passes first.
	CheckWrites(ctx context.Context) error
	// WriteFailures returns how many changes could not be written since the store was
	// opened.
	WriteFailures() uint64
}

// WriteCheckAge is how long the last change shows that the store can be written.
const WriteCheckAge = 5 * time.Second

// ProviderStore keeps the registrations of service providers.
type ProviderStore interface {
	// CreateProvider adds p, or returns ErrExists if its EntityID exists. lastScope is the
	// Scope of the *RemovedError that Provider returned for it, "" without one. If that
	// has changed since, nothing changes and the error is ErrProviderChanged, because the
	// scope of p was chosen for a provider with another history.
	CreateProvider(ctx context.Context, p *ServiceProvider, lastScope NameIDScope, events ...AuditEvent) error
	// Provider looks up a registration. For a removed one the error is a *RemovedError,
	// which is also an ErrNotFound.
	Provider(ctx context.Context, id EntityID) (*ServiceProvider, error)
	// Providers lists all registrations, sorted by EntityID. With a *TamperedError it
	// lists the authentic ones.
	Providers(ctx context.Context) ([]*ServiceProvider, error)
	// UpdateProvider changes a registration. With u.KeepNameIDs, all NameIDs in its
	// previous scope, including those of deleted users, are copied to the new scope in the
	// same step, and it returns how many were new there. If a user has another NameID
	// there, or a NameID belongs to another user there, nothing changes and the error is a
	// *ClashError.
	UpdateProvider(ctx context.Context, u ProviderUpdate, events ...AuditEvent) (copied int, err error)
	// RemoveProvider removes the registration. NameIDs stay, and so does a record of the
	// scope, for the *RemovedError.
	RemoveProvider(ctx context.Context, id EntityID, events ...AuditEvent) error
}

// ProviderUpdate is a change of a registration.
type ProviderUpdate struct {
	ID EntityID
	// Change makes the change. EntityID must stay.
	Change func(*ServiceProvider) error
	// KeepNameIDs is for a change of NameIDScope that keeps the NameIDs.
	KeepNameIDs bool
}

// UserStore keeps users, their Profiles and their NameIDs. Records are sealed at rest, the
// Profile apart from the User, and email addresses are looked up by a keyed hash.
//
// An email address that was disclosed to a service provider as a NameID (Email.DisclosedTo) is
// reserved for its user permanently, even after the user has removed it or was deleted: see
// User.ReservedEmails. The same user may add it again.
type UserStore interface {
	// ImportUsers adds users with their Profiles and NameIDs, as many as possible in one
	// step, and appends the events of those added. The first result contains an error for
	// each user, nil for those added: ErrExists if one of their email addresses, reserved
	// ones included, or their ID is taken, even by a deleted user; ErrNotFound for a user
	// that should exist and does not; or a *TakenError if a NameID belongs to another user,
	// or the user already has another one there. Earlier users in the list count for later
	// ones. A reserved email address of a deleted user that is already reserved is left out.
	// It is ErrExists if nothing else of the user is left.
	ImportUsers(ctx context.Context, users []ImportedUser) ([]error, error)
	User(ctx context.Context, id UserID) (*User, error)
	// UserByEmail finds a user by any of their email addresses, compared without case.
	UserByEmail(ctx context.Context, address string) (*User, error)
	// Users lists users by ID.
	Users(ctx context.Context, q UserQuery) ([]*User, error)
	// UpdateUser changes a user and keeps the index of email addresses in step. It returns
	// ErrExists if an added email address is taken, or reserved for another user. ID, Proofing
	// and ReservedEmails must stay. UpdateUser adds to ReservedEmails.
	UpdateUser(ctx context.Context, id UserID, change func(*User) error, events ...AuditEvent) error
	// Profile returns a user's proofed identity, or ErrNotFound. No other method unseals
	// it.
	Profile(ctx context.Context, id UserID) (*Profile, error)
	// SetProfile replaces a user's Profile, or removes it if p is nil. In the same step it
	// updates the User: its Proofing from p, its UpdatedAt, and it is no longer paused.
	SetProfile(ctx context.Context, id UserID, p *Profile, at time.Time, events ...AuditEvent) error
	// DeleteUser removes a user with their Profile and ends their sessions. The ID and the
	// NameIDs stay taken permanently. The email addresses become available again, except those
	// that are reserved.
	DeleteUser(ctx context.Context, id UserID, events ...AuditEvent) error

	// NameID returns the user's identifier in the scope, also for deleted users.
	NameID(ctx context.Context, scope NameIDScope, user UserID) (NameID, error)
	// UserByNameID returns the user with a NameID, also for deleted users. Look up the
	// user to find out.
	UserByNameID(ctx context.Context, scope NameIDScope, name NameID) (UserID, error)
	// NameIDScopes lists every scope in which a user has a NameID, including deleted
	// users.
	NameIDScopes(ctx context.Context) ([]NameIDScope, error)
}

// UserQuery selects up to Limit users after the given ID.
type UserQuery struct {
	After UserID
	Limit int
	// Deleted selects deleted users, of whom only the ID and ReservedEmails are left.
	Deleted bool
}

// SessionStore keeps sessions, the requests that wait in the store for a sign-in, and the
// answered requests.
type SessionStore interface {
	// StartSession adds b.Session and ends the sessions in b.ReplacedIDs, if they exist.
	// Participants of replaced sessions of the same user are carried over to the stored
	// session. *b.Session does not change, so read the session to see them. It returns
	// ErrExists if the ID exists, and ErrNotFound for a deleted user, even if their
	// sign-in began before.
	//
	// With b.PendingID or b.PreviousID, that session ends too. If it no longer exists,
	// because the account was locked, its password changed or it was ended, or if it is
	// not of the kind that the field requires, nothing changes and the error is
	// ErrSessionEnded; ErrSessionUser if it belongs to another user.
	StartSession(ctx context.Context, b SessionStart, events ...AuditEvent) error
	// Session returns a stored session, expired or not. The session package applies the
	// lifetimes.
	Session(ctx context.Context, id SessionID) (*Session, error)
	// UpdateSession changes a session. ID and User must stay.
	UpdateSession(ctx context.Context, id SessionID, change func(*Session) error, events ...AuditEvent) error
	// EndSessions removes the sessions that e selects, including those that other sessions
	// turn into at that moment, and returns their number.
	EndSessions(ctx context.Context, e SessionEnd, events ...AuditEvent) (int, error)
	// Sessions lists stored sessions.
	Sessions(ctx context.Context, q SessionQuery) ([]*Session, error)

	// CreateLoginRequest adds r. It returns ErrReplayed if a request with the same SP and
	// MessageID is stored, otherwise ErrExists if one with its handle is.
	CreateLoginRequest(ctx context.Context, r *LoginRequest, events ...AuditEvent) error
	LoginRequest(ctx context.Context, k RequestKey) (*LoginRequest, error)
	// AnswerLoginRequest marks r as answered at the given time, without an assertion. The
	// zero time is refused, because the request would stay unanswered. A stored request
	// must be unanswered (ErrAnswered), and only its answer changes. A request whose
	// handle is not stored yet is stored as answered, unless its SP and MessageID were seen
	// (ErrReplayed). It returns ErrExists for the handle of another message. check decides about the
	// answer first, if it is not nil.
	AnswerLoginRequest(ctx context.Context, r *LoginRequest, at time.Time, check Check, events ...AuditEvent) error

	// RecordIssuance is the one write of an issued assertion. In one step it
	//
	//   - calls i.Check, if it is not nil, to decide again;
	//   - checks that the session exists and is not pending (ErrSessionEnded), and belongs
	//     to i.User (ErrSessionUser);
	//   - marks i.Request as answered at i.At from i.Session, as AnswerLoginRequest does;
	//   - finds the user's NameID in i.Scope. If the user has none and the provider has moved
	//     to another scope since i.Scope was read, the new scope counts. The NameID there
	//     is found, or becomes i.ProposedNameID (ErrExists if that belongs to another user);
	//   - calls i.CheckUser with the user's record, if both exist;
	//   - records in the user's record, if it exists, the visit and i.Consent
	//     (User.RecordVisit), and that i.EmailAddress was disclosed to the SP, if it is set and
	//     still the user's (Email.DisclosedTo). Otherwise the record is not written;
	//   - adds the participant to the session, under the SessionIndex that the SP was last
	//     given in it, even under another NameID, otherwise under i.SessionIndex, and
	//     sets the session's SeenAt;
	//   - appends i.Event.
	//
	// It returns the values that the assertion must carry. A zero i.At is refused.
	RecordIssuance(ctx context.Context, i *Issuance) (IssuedIDs, error)
}

// SessionStart is the start of a session.
type SessionStart struct {
	Session *Session
	// PendingID is the pending session that becomes this one, "" for none.
	PendingID SessionID
	// PreviousID is the session within which the user has proved more, "" for none. The
	// stored session keeps its time of sign-in (Session.SignedInAt).
	PreviousID  SessionID
	ReplacedIDs []SessionID
}

// SessionEnd selects sessions to end: those in IDs, or all of User except KeptID.
type SessionEnd struct {
	IDs  []SessionID
	User UserID
	// KeptID is the session that makes the request, "" for none. If it no longer exists,
	// nothing changes and the error is ErrSessionEnded, because an ended session may not
	// end others.
	KeptID SessionID
	// Change changes the record of User in the same step, as UpdateUser does, so that no session
	// outlives a change of how the user signs in; nil for none. If it fails, no session ends.
	Change func(*User) error
	// Event returns the audit event of each session that ends; nil for none.
	Event func(*Session) AuditEvent
}

// SessionQuery selects all sessions of User, oldest first, or without User up to Limit
// sessions of all users after the given ID, by ID.
type SessionQuery struct {
	User  UserID
	After SessionID
	Limit int
}

// RequestKey identifies a stored request by its Handle or, without one, by its sender's ID for
// it.
type RequestKey struct {
	Handle    RequestHandle
	SP        EntityID
	MessageID string
}

// LogoutStore keeps verified LogoutRequests, and ends sessions because of them.
type LogoutStore interface {
	// ReceiveLogout stores a request that waits for its browser, and returns the one first
	// received under its SP and MessageID: r, or an earlier one, which keeps everything
	// but its SecretHash. That becomes r's, so that the browser that delivered the message
	// last can continue with it. It returns ErrExists if a request with r's handle is
	// another message.
	ReceiveLogout(ctx context.Context, r *LogoutRequest) (*LogoutRequest, error)
	LogoutRequest(ctx context.Context, k RequestKey) (*LogoutRequest, error)
	// RecordLogout is the one write of an answer to a LogoutRequest. In one step it
	//
	//   - finds the request first received under the SP and MessageID of l.Request, or
	//     stores l.Request as that one;
	//   - calls l.Decide for the sessions to end, and ends them. It ends no sessions other
	//     than those passed to l.Decide;
	//   - records the status with the request and appends l.Event, if the request is
	//     answered for the first time or a session ended. No other repetition writes
	//     anything.
	//
	// l.Decide and l.Event may run more than once and must not call the store. A zero l.At
	// is refused. It returns ErrExists in the same case as ReceiveLogout.
	RecordLogout(ctx context.Context, l *Logout) (*LogoutOutcome, error)
}

// Document is one document of a DocumentStore.
type Document struct {
	Key string
	// Data is empty for a missing document.
	Data []byte
	// ExpiresAt is when Sweep may remove it; zero: never. Until then, the document is
	// read like any other.
	ExpiresAt time.Time
}

// DocumentQuery selects the documents with one of Keys, or all of a kind.
type DocumentQuery struct {
	Keys []string
	All  bool
}

// DocumentStore keeps small documents by kind and key, whose form their writer defines:
// counters, links, disclosures. Kind and key are any strings, the kind not empty. Both are
// readable in the store. See Records for typed documents.
type DocumentStore interface {
	// Documents lists the existing documents of a kind, sorted by key.
	Documents(ctx context.Context, kind string, q DocumentQuery) ([]Document, error)
	// UpdateDocuments calls change to replace Data and ExpiresAt of each of the documents, in
	// one step. Empty Data removes a document. Of two updates, the second sees the data that
	// the first wrote, so that recording a step claims it. change gets the documents in the
	// order of keys. A repeated key is changed once. Until it returns, change may complete the
	// details of the events.
	UpdateDocuments(ctx context.Context, kind string, keys []string, change func(*Document) error, events ...AuditEvent) error
}

// AuditStore keeps the audit trail: append-only and hash-chained.
type AuditStore interface {
	// AppendAudit adds events that change nothing else, such as refusals.
	AppendAudit(ctx context.Context, events ...AuditEvent) error
	// AuditPage reads a part of the trail, and the state of the whole trail at that moment. If
	// only the checkpoint cannot be read, it returns the page with the error.
	AuditPage(ctx context.Context, q AuditQuery) (*AuditPage, error)
	// PruneAudit makes c the beginning of the trail, unless it already is, and then
	// removes up to limit of the records up to it, the oldest first, but never the last of
	// the trail. It returns their number. Fewer than limit means that none is left. c.Hash
	// must be the hash of that record. c must be after the current checkpoint, or be the
	// same one, even with another MAC. Otherwise nothing changes.
	PruneAudit(ctx context.Context, c AuditCheckpoint, limit int, events ...AuditEvent) (removed int, err error)
}

// AuditQuery selects up to Limit stored records after the position After, whatever they contain,
// oldest first. From 0, it begins with the first one.
//
// With User, it selects the newest Limit records about that user before the position Before,
// newest first, and After has no effect. A Before of 0 begins with the newest one. A record that
// cannot be read, or that an earlier version wrote without the index of users, is left out. The
// page then does not report HasStrayIPAddress.
type AuditQuery struct {
	After  uint64
	Limit  int
	User   UserID
	Before uint64
}

// StoreExaminer is a store that can be searched for damage while it is in use.
type StoreExaminer interface {
	// Examine reads up to limit records after a place, of every kind, and checks that each is
	// authentic and readable. It changes nothing, and no change waits for it. The error is
	// ErrDamaged if the records at the place cannot be read.
	Examine(ctx context.Context, after StorePlace, limit int) (StoreExamination, error)
}

// StorePlace is a place among the records of a store. The zero value is both the beginning and
// the end.
type StorePlace struct {
	Part int
	Key  string
}

// IsZero reports whether p is the beginning or the end.
func (p StorePlace) IsZero() bool { return p == StorePlace{} }

// StoreExamination is the result of Examine.
type StoreExamination struct {
	// Next is the place at which to continue.
	Next    StorePlace
	Records int
	// Tampered names the kind of each record that is not authentic.
	Tampered []string
}

// RestoreStore prevents a store that was restored from a backup from bringing back sessions,
// requests and codes that were ended or used after the backup.
type RestoreStore interface {
	// Restore is the one write of a restore. In one step it
	//
	//   - removes all sessions, login requests and logout requests;
	//   - calls r.Change for each authentic document, as UpdateDocuments does;
	//   - adds the documents that r.Add returns;
	//   - makes r.At RestoredAt. From then on, users are read without the devices and
	//     codes that they must not use again; see User.ExpireUntil.
	//
	// It returns the numbers of removed records. A zero r.At is refused.
	Restore(ctx context.Context, r Restore, events ...AuditEvent) (EndedRecords, error)
	// RestoredAt returns when the store was last restored from a backup; zero: never. The store
	// knows no earlier sessions and requests. The time is never in the future, even if the
	// clock was set back. RestoredAt does not read the store.
	RestoredAt() time.Time
}

// Restore describes the changes that a restore makes in the store.
type Restore struct {
	At time.Time
	// Change changes or removes a document of the kind. Its Key must stay.
	Change func(kind string, d *Document) error
	// Add returns documents by kind that are new, or replace others that Change left as they
	// were. It may complete the details of the events. It is optional.
	Add func(EndedRecords) (map[string]Document, error)
}

// EndedRecords counts the records that a restore removed.
type EndedRecords struct {
	Sessions       int `json:"sessions"`
	LoginRequests  int `json:"login_requests"`
	LogoutRequests int `json:"logout_requests"`
	// Documents counts the removed documents by kind.
	Documents map[string]int `json:"documents,omitempty"`
}

// Sealer protects values with the keys of the installation. The context string names the kind
// of the value and its location ("link/ID"). Open and VerifyMAC fail with another context, so
// that values cannot be swapped.
type Sealer interface {
	// Seal encrypts a value that leaves the installation and comes back.
	Seal(context string, plaintext []byte) []byte
	// Open returns the plaintext, or an error if Seal did not make the value for
	// this context.
	Open(context string, sealed []byte) ([]byte, error)
	// Hash returns a keyed hash, for look-ups by a value that must not be readable in the
	// store. It changes when the keys are renewed.
	Hash(context string, data []byte) []byte
	// MAC returns a proof that the data is from this installation.
	MAC(context string, data []byte) []byte
	// VerifyMAC reports whether MAC made it, in constant time.
	VerifyMAC(context string, data, mac []byte) bool
}
