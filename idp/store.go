package idp

import (
	"context"
	"time"
)

// Store keeps everything that outlives a request. Each method is one atomic,
// durable step: when it returns nil, the change survives a crash, and nothing
// of it is kept when it returns an error. Events given to a method are appended
// to the audit trail in the same step.
//
// A record that is not authentic, because someone else wrote or moved it, gives
// ErrTampered wherever it is read, and is never changed, replaced or taken for one
// that is missing. Sessions are the exception: one that is not authentic has ended.
// Session and UpdateSession return ErrTampered for it, all other methods treat it
// like one that is not there.
//
// Look-ups return ErrNotFound, and what they return belongs to the caller. What
// a method is given stays the caller's too: it is not changed, and later changes
// to it are not seen. Functions given to a method may run more than once, must not
// call the store, and must return or panic; if they return an error, nothing
// changes and that error is returned as it is. Update methods of what is not there
// return ErrNotFound. Times are UTC. All methods may be called concurrently; after
// Close all return an error. A method that changes something returns ErrBusy, and
// changes nothing, if too many changes wait to be written.
//
// No method needs a lock on more than the records that it names, or those of the user
// or service provider that it names: other changes may run beside it. The audit trail
// alone is one chain.
//
// A new kind of record is a Records in the DocumentStore, and not a new method.
type Store interface {
	ProviderStore
	UserStore
	SessionStore
	LogoutStore
	AuditStore
	DocumentStore

	// Sweep removes up to limit records whose ExpiresAt is not after now and
	// reports how many; fewer than limit means that none is left. So do network
	// addresses in the audit trail that are older than AddressLifetime. Its cost
	// does not grow with the records that stay.
	Sweep(ctx context.Context, now time.Time, limit int) (int, error)
	// Close releases the store; changes under way are finished first.
	Close() error
}

// ProviderStore keeps the registrations of service providers.
type ProviderStore interface {
	// CreateProvider adds p; ErrExists if its EntityID is there. last is the Scope of
	// the *RemovedError that Provider returned for it, "" without one: if that is
	// another one by now, nothing changes and the error is ErrProviderChanged, because
	// the scope of p was chosen for a provider with another past.
	CreateProvider(ctx context.Context, p *ServiceProvider, last NameIDScope, events ...AuditEvent) error
	// Provider looks a registration up. For one that was removed the error is a
	// *RemovedError, which is an ErrNotFound too.
	Provider(ctx context.Context, id EntityID) (*ServiceProvider, error)
	// Providers lists all, sorted by EntityID. With a *TamperedError it lists those
	// that are authentic.
	Providers(ctx context.Context) ([]*ServiceProvider, error)
	// UpdateProvider changes a registration. With u.KeepNameIDs, all NameIDs that its
	// scope before holds, deleted people's too, are copied to the one after in the
	// same step, and it reports how many were not there yet. If someone has another
	// NameID there, or a NameID is someone else's there, nothing changes and the error
	// is a *ClashError.
	UpdateProvider(ctx context.Context, u ProviderUpdate, events ...AuditEvent) (copied int, err error)
	// RemoveProvider removes the registration. NameIDs stay, and so does a
	// note of the scope, for the *RemovedError.
	RemoveProvider(ctx context.Context, id EntityID, events ...AuditEvent) error
}

// ProviderUpdate is a change of a registration.
type ProviderUpdate struct {
	ID EntityID
	// Change makes the change. EntityID must stay.
	Change func(*ServiceProvider) error
	// KeepNameIDs is for a change of NameIDScope that takes the NameIDs along.
	KeepNameIDs bool
}

// UserStore keeps people, their Profiles and their NameIDs. Records are sealed at
// rest, the Profile apart from the User, and addresses are looked up by a keyed
// hash.
type UserStore interface {
	// ImportUsers adds people with their Profiles and NameIDs, all who can be added in
	// one step, and appends the events of those. The first result says for each why
	// they were not added, nil for those who were: ErrExists if one of their addresses
	// is taken, or their ID is, be it by a person who was deleted; ErrNotFound for one
	// who should exist and does not; or a *TakenError if a NameID is someone else's, or
	// the person has another one there. One who comes earlier in the list counts for
	// those after.
	ImportUsers(ctx context.Context, people []ImportedUser) ([]error, error)
	User(ctx context.Context, id UserID) (*User, error)
	// UserByEmail finds a person by any address, compared without case.
	UserByEmail(ctx context.Context, address string) (*User, error)
	// Users lists people by ID.
	Users(ctx context.Context, q UserQuery) ([]*User, error)
	// UpdateUser changes a person and keeps the index of addresses in step;
	// ErrExists if an address added is taken. ID and Proofed must stay.
	UpdateUser(ctx context.Context, id UserID, change func(*User) error, events ...AuditEvent) error
	// Profile is what was proofed of a person's identity; ErrNotFound if they
	// have none. No other method unseals it.
	Profile(ctx context.Context, id UserID) (*Profile, error)
	// SetProfile puts p in the place of a person's Profile, or with nil takes it
	// away, and in the same step sets the Proofed of the User to what p says and
	// its UpdatedAt.
	SetProfile(ctx context.Context, id UserID, p *Profile, at time.Time, events ...AuditEvent) error
	// DeleteUser removes a person with their Profile and ends their sessions.
	// Their ID and their NameIDs stay taken permanently, their addresses are free
	// again.
	DeleteUser(ctx context.Context, id UserID, events ...AuditEvent) error

	// NameID is the person's identifier in the scope. It answers for people who
	// were deleted, too.
	NameID(ctx context.Context, scope NameIDScope, user UserID) (NameID, error)
	// UserByNameID is its reverse. It too answers for people who were deleted:
	// look the person up to know.
	UserByNameID(ctx context.Context, scope NameIDScope, name NameID) (UserID, error)
	// NameIDScopes lists every scope in which anyone has a NameID, deleted
	// people included.
	NameIDScopes(ctx context.Context) ([]NameIDScope, error)
}

// UserQuery selects up to Limit people after the given ID.
type UserQuery struct {
	After UserID
	Limit int
	// Deleted selects those who were deleted, of whom nothing but the ID is left.
	Deleted bool
}

// SessionStore keeps sessions, the requests that wait for a sign-in in the store, and
// those that were answered.
type SessionStore interface {
	// StartSession adds b.Session and ends the sessions in b.Replaces, if they are
	// there. Participants of replaced sessions of the same person are carried over to
	// what is stored; *b.Session does not change, so read the session to see them.
	// ErrExists if the ID is there; ErrNotFound for a person who was deleted, even if
	// their sign-in began before.
	//
	// With b.Completes or b.Continues, that session ends too. If it is not there any
	// more, because the account was locked, its password changed or it was ended
	// meanwhile, or is not of the kind that the field says, nothing changes and the
	// error is ErrSessionEnded; ErrSessionUser if it is another person's.
	StartSession(ctx context.Context, b SessionStart, events ...AuditEvent) error
	// Session returns a session that is stored, expired or not; lifetimes are
	// the session package's.
	Session(ctx context.Context, id SessionID) (*Session, error)
	// UpdateSession changes a session. ID and User must stay.
	UpdateSession(ctx context.Context, id SessionID, change func(*Session) error, events ...AuditEvent) error
	// EndSessions removes the sessions that e selects, those that others become at
	// that moment included, and reports how many there were.
	EndSessions(ctx context.Context, e SessionEnd, events ...AuditEvent) (int, error)
	// Sessions lists stored sessions.
	Sessions(ctx context.Context, q SessionQuery) ([]*Session, error)

	// CreateLoginRequest adds r. ErrReplayed if a request with the same SP and
	// MessageID is stored, else ErrExists if one with its handle is.
	CreateLoginRequest(ctx context.Context, r *LoginRequest, events ...AuditEvent) error
	LoginRequest(ctx context.Context, k RequestKey) (*LoginRequest, error)
	// AnswerLoginRequest marks r as answered at the given time, without an
	// assertion; the zero time is refused, as the request would stay unanswered. A
	// stored request must be unanswered (ErrAnswered), and nothing but its answer
	// changes. One whose handle is not stored is stored as answered, unless its SP
	// and MessageID were seen (ErrReplayed); a handle of another message is
	// ErrExists. check decides about the answer first, if it is not nil.
	AnswerLoginRequest(ctx context.Context, r *LoginRequest, at time.Time, check Check, events ...AuditEvent) error

	// RecordIssuance is the one write of an issued assertion. In one step it
	//   - has i.Check, if it is not nil, decide again;
	//   - checks that the session is there and not pending (ErrSessionEnded),
	//     and of i.User (ErrSessionUser);
	//   - marks i.Request as answered at i.At from i.Session, as
	//     AnswerLoginRequest does;
	//   - finds the person's NameID in i.Scope. Where they have none there, the
	//     scope that the provider has now counts, should it have moved since
	//     i.Scope was read; the NameID there is found, or becomes i.Proposed
	//     (ErrExists if that is another person's);
	//   - notes in the person's record that the SP was told i.Address, if there is
	//     one and it is still theirs (Email.DisclosedTo);
	//   - adds the participant to the session, under the SessionIndex that the
	//     SP was last given in it, whatever its NameID was then, or else under
	//     i.SessionIndex; and sets the session's SeenAt;
	//   - appends i.Event.
	// It returns what the assertion must carry. A zero i.At is refused.
	RecordIssuance(ctx context.Context, i *Issuance) (Issued, error)
}

// SessionStart is a session that begins.
type SessionStart struct {
	Session *Session
	// Completes is the pending session that becomes this one, "" for none.
	Completes SessionID
	// Continues is the session within which the person has proved more, "" for none.
	// What is stored began when that one did (Session.Began).
	Continues SessionID
	Replaces  []SessionID
}

// SessionEnd selects sessions to end: those in IDs, or all of User but Keep.
type SessionEnd struct {
	IDs  []SessionID
	User UserID
	// Keep is the session from which it is asked for, "" for none. If it is not there
	// any more, nothing changes and the error is ErrSessionEnded: a session that was
	// ended has no say.
	Keep SessionID
	// Event makes the audit record of each session that ends; nil for none.
	Event func(*Session) AuditEvent
}

// SessionQuery selects all sessions of User, oldest first, or without User up to
// Limit sessions of anyone after the given ID, by ID.
type SessionQuery struct {
	User  UserID
	After SessionID
	Limit int
}

// RequestKey names a stored request by its Handle or, without one, by what its
// sender called it.
type RequestKey struct {
	Handle    RequestHandle
	SP        EntityID
	MessageID string
}

// LogoutStore keeps the LogoutRequests that were verified, and ends sessions
// because of them.
type LogoutStore interface {
	// ReceiveLogout keeps a request that waits for its browser, and returns the
	// one that was received first under its SP and MessageID: r, or an earlier
	// one, which keeps all but its SecretHash. That becomes r's, so that the
	// browser that brought the message last can go on with it. ErrExists if a
	// request with r's handle is another message.
	ReceiveLogout(ctx context.Context, r *LogoutRequest) (*LogoutRequest, error)
	LogoutRequest(ctx context.Context, k RequestKey) (*LogoutRequest, error)
	// RecordLogout is the one write of an answer to a LogoutRequest. In one
	// step it
	//   - finds the request that was received first under the SP and MessageID
	//     of l.Request, or stores l.Request as that one;
	//   - asks l.Decide what ends, and ends it. Other sessions than those it was
	//     given are left alone;
	//   - where the request is answered for the first time, or anything ended,
	//     notes the status with the request and appends l.Event. Any other
	//     repetition writes nothing, however often it comes.
	// l.Decide and l.Event may run more than once and must not call the store. A
	// zero l.At is refused; ErrExists as for ReceiveLogout.
	RecordLogout(ctx context.Context, l *Logout) (*LogoutOutcome, error)
}

// Document is one document of a DocumentStore.
type Document struct {
	Key string
	// Data is empty for a document that is not there.
	Data []byte
	// ExpiresAt is when Sweep may remove it; zero: never. Until it does, the document
	// is read like any other.
	ExpiresAt time.Time
}

// DocumentQuery selects the documents with one of Keys, or all of a kind.
type DocumentQuery struct {
	Keys []string
	All  bool
}

// DocumentStore keeps small documents by kind and key, whose form is their writer's:
// counters, links, what was disclosed to whom. Kind and key are any strings, the kind
// not empty; both are readable in what is stored. See Records for typed ones.
type DocumentStore interface {
	// Documents lists documents of a kind that are there, sorted by key.
	Documents(ctx context.Context, kind string, q DocumentQuery) ([]Document, error)
	// UpdateDocuments has change replace Data and ExpiresAt of each of the documents,
	// in one step; empty Data removes a document. Of two updates one sees what the
	// other wrote, so that a step is claimed by writing it down. change gets the keys
	// in the order given; one that is named twice is changed once. Until it returns,
	// change may complete the details of the events.
	UpdateDocuments(ctx context.Context, kind string, keys []string, change func(*Document) error, events ...AuditEvent) error
}

// AuditStore keeps the audit trail: append-only and hash-chained.
type AuditStore interface {
	// AppendAudit adds events that change nothing else, such as refusals.
	AppendAudit(ctx context.Context, events ...AuditEvent) error
	// AuditPage reads up to limit records after a place as they are stored,
	// whatever they hold, and the state of the whole trail at that moment. From 0 it
	// begins with whatever is first. If the checkpoint alone cannot be read, it returns
	// the page with the error.
	AuditPage(ctx context.Context, after uint64, limit int) (*AuditPage, error)
	// PruneAudit makes c the beginning of the trail, unless it is, and then removes up
	// to limit of the records up to it, the oldest first, but never the last of the
	// trail. It reports how many; fewer than limit means that none is left. c.Hash must be that record's, and c must lie
	// after the checkpoint there is, or be that one, be it with another MAC; else
	// nothing changes.
	PruneAudit(ctx context.Context, c AuditCheckpoint, limit int, events ...AuditEvent) (removed int, err error)
}

// Sealer protects values with the keys of the installation. The context string names
// what the value is and where it is kept ("link/ID"): with another context, Open and
// VerifyMAC fail, so that values cannot be swapped.
type Sealer interface {
	// Seal encrypts a value that leaves the installation and comes back.
	Seal(context string, plaintext []byte) []byte
	// Open returns the plaintext, or an error if Seal did not make the value for
	// this context.
	Open(context string, sealed []byte) ([]byte, error)
	// Hash is a keyed hash, for look-ups by something that must not be
	// readable in the store. It changes when the keys are renewed.
	Hash(context string, data []byte) []byte
	// MAC shows that the data is from this installation.
	MAC(context string, data []byte) []byte
	// VerifyMAC reports whether MAC made it, in constant time.
	VerifyMAC(context string, data, mac []byte) bool
}
