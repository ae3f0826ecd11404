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
// to it are not seen. The functions given to Update and Move methods may run
// more than once and must not call the store; if they return an error, nothing
// changes and that error is returned as it is. Update methods of what is not
// there return ErrNotFound. Times are UTC. All methods may be called
// concurrently; after Close all return an error. A method that changes something
// returns ErrBusy, and changes nothing, if too many changes wait to be written.
type Store interface {
	ProviderStore
	UserStore
	SessionStore
	LogoutStore
	ThrottleStore
	AuditStore
	RotationStore
	DocumentStore

	// Sweep removes up to limit records whose ExpiresAt is not after now and
	// reports how many; fewer than limit means that none is left. So do network
	// addresses in the audit trail that are older than AddressLifetime. Its cost
	// does not grow with the records that stay.
	Sweep(ctx context.Context, now time.Time, limit int) (int, error)
	// Ping reports whether the store answers.
	Ping(ctx context.Context) error
	// Close releases the store; changes under way are finished first.
	Close() error
}

// ProviderStore keeps the registrations of service providers.
type ProviderStore interface {
	// CreateProvider adds p; ErrExists if its EntityID is there. last is what
	// LastScope said of it, "" for nothing: if that is another one by now,
	// nothing changes and the error is ErrProviderChanged, because the scope of
	// p was chosen for a provider with another past.
	CreateProvider(ctx context.Context, p *ServiceProvider, last NameIDScope, events ...AuditEvent) error
	Provider(ctx context.Context, id EntityID) (*ServiceProvider, error)
	// Providers lists all, sorted by EntityID. With a *TamperedError it lists those
	// that are authentic.
	Providers(ctx context.Context) ([]*ServiceProvider, error)
	// UpdateProvider changes a registration. EntityID must stay.
	UpdateProvider(ctx context.Context, id EntityID, change func(*ServiceProvider) error, events ...AuditEvent) error
	// MoveProvider is UpdateProvider for a change of NameIDScope that takes the
	// NameIDs along: in the same step, all that the scope before holds, deleted
	// people's too, are copied to the one after, and it reports how many were
	// not there yet. If somebody has another NameID there, or a NameID is
	// somebody else's there, nothing changes and the error is a *ClashError.
	MoveProvider(ctx context.Context, id EntityID, change func(*ServiceProvider) error, events ...AuditEvent) (copied int, err error)
	// RemoveProvider removes the registration. NameIDs stay, and so does a
	// note of the scope, for LastScope.
	RemoveProvider(ctx context.Context, id EntityID, events ...AuditEvent) error
	// LastScope is the NameIDScope of a provider that was removed;
	// ErrNotFound if the EntityID was never registered and removed.
	LastScope(ctx context.Context, id EntityID) (NameIDScope, error)
}

// UserStore keeps people, their Profiles and their NameIDs. Records are sealed at
// rest, the Profile apart from the User, and addresses are looked up by a keyed
// hash.
type UserStore interface {
	// CreateUser adds u; ErrExists if one of its addresses is taken, or its ID
	// is, be it by a person who was deleted. u.Proofed must be nil.
	CreateUser(ctx context.Context, u *User, events ...AuditEvent) error
	// ImportUsers adds people with their NameIDs, all who can be added in one
	// step, and appends the events of those. The first result says for each why
	// they were not added, nil for those who were: ErrExists as CreateUser has
	// it, ErrNotFound for one who should exist and does not, or a *TakenError if
	// a NameID is somebody else's, or the person has another one there. One who
	// stands earlier in the list counts for those after.
	ImportUsers(ctx context.Context, people []ImportedUser) ([]error, error)
	User(ctx context.Context, id UserID) (*User, error)
	// UserByEmail finds a person by any address, compared without case.
	UserByEmail(ctx context.Context, address string) (*User, error)
	// Users lists up to limit people after the given ID, by ID.
	Users(ctx context.Context, after UserID, limit int) ([]*User, error)
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
	// Their ID and their NameIDs stay taken for ever, their addresses are free
	// again.
	DeleteUser(ctx context.Context, id UserID, events ...AuditEvent) error

	// NameID is the person's identifier in the scope. It answers for people who
	// were deleted, too.
	NameID(ctx context.Context, scope NameIDScope, user UserID) (NameID, error)
	// UserByNameID is its reverse. It too answers for people who were deleted:
	// look the person up to know.
	UserByNameID(ctx context.Context, scope NameIDScope, name NameID) (UserID, error)
	// NameIDScopes lists every scope in which somebody has a NameID, deleted
	// people included.
	NameIDScopes(ctx context.Context) ([]NameIDScope, error)
	// DeletedUsers lists up to limit IDs of deleted people after the given one,
	// sorted.
	DeletedUsers(ctx context.Context, after UserID, limit int) ([]UserID, error)
}

// SessionStore keeps sessions, the requests that wait for a sign-in in the store, and
// those that were answered.
type SessionStore interface {
	// CreateSession adds s and ends the sessions in replaces, if they are
	// there. Participants of replaced sessions of the same person are carried
	// over to what is stored; *s does not change, so read the session to see
	// them. ErrExists if the ID is there; ErrNotFound for a person who was
	// deleted, even if their sign-in began before.
	CreateSession(ctx context.Context, s *Session, replaces []SessionID, events ...AuditEvent) error
	// CompleteSession is CreateSession for a sign-in that began with a pending
	// session, which ends with it. If that one is not there any more, because
	// the account was locked or its password changed meanwhile, nothing changes
	// and it returns ErrSessionEnded; ErrSessionUser if it is another person's.
	CompleteSession(ctx context.Context, pending SessionID, s *Session, replaces []SessionID, events ...AuditEvent) error
	// ReplaceSession is CreateSession for a person who has proved more within a
	// session, which ends with it. What is stored began when that one did
	// (Session.Began). If that one is not there any more, because it was ended
	// meanwhile, or waits for its second factor, nothing changes and it returns
	// ErrSessionEnded; ErrSessionUser if it is another person's.
	ReplaceSession(ctx context.Context, old SessionID, s *Session, events ...AuditEvent) error
	// Session returns a session that is stored, expired or not; lifetimes are
	// the session package's.
	Session(ctx context.Context, id SessionID) (*Session, error)
	// UpdateSession changes a session. ID and User must stay.
	UpdateSession(ctx context.Context, id SessionID, change func(*Session) error, events ...AuditEvent) error
	// EndSession removes a session; nil if it is not there.
	EndSession(ctx context.Context, id SessionID, events ...AuditEvent) error
	// EndUserSessions removes all sessions of a person but keep, if that is not
	// "", and reports how many. It sees those that others become at that moment.
	// If keep is not there any more, nothing changes and it returns
	// ErrSessionEnded: who asks from a session that was ended has no say. event
	// tells what goes on record for each; nil for nothing.
	EndUserSessions(ctx context.Context, user UserID, keep SessionID, event func(*Session) AuditEvent) (int, error)
	// EndSessions removes those of the sessions that are there and reports how
	// many.
	EndSessions(ctx context.Context, ids []SessionID, events ...AuditEvent) (int, error)
	// UserSessions lists a person's stored sessions, oldest first.
	UserSessions(ctx context.Context, user UserID) ([]*Session, error)
	// Sessions lists up to limit stored sessions after the given ID, by ID.
	Sessions(ctx context.Context, after SessionID, limit int) ([]*Session, error)

	// CreateLoginRequest adds r. ErrReplayed if a request with the same SP and
	// MessageID is stored, else ErrExists if one with its handle is.
	CreateLoginRequest(ctx context.Context, r *LoginRequest, events ...AuditEvent) error
	LoginRequest(ctx context.Context, h RequestHandle) (*LoginRequest, error)
	// LoginRequestByMessage finds a request by what its sender called it.
	LoginRequestByMessage(ctx context.Context, sp EntityID, messageID string) (*LoginRequest, error)

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

// LogoutStore keeps the LogoutRequests that were verified, and ends sessions
// because of them.
type LogoutStore interface {
	// ReceiveLogout keeps a request that waits for its browser, and returns the
	// one that was received first under its SP and MessageID: r, or an earlier
	// one, which keeps all but its SecretHash. That becomes r's, so that the
	// browser that brought the message last can go on with it. ErrExists if a
	// request with r's handle is another message.
	ReceiveLogout(ctx context.Context, r *LogoutRequest) (*LogoutRequest, error)
	LogoutRequest(ctx context.Context, h RequestHandle) (*LogoutRequest, error)
	// LogoutRequestByMessage finds a request by what its sender called it.
	LogoutRequestByMessage(ctx context.Context, sp EntityID, messageID string) (*LogoutRequest, error)
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

// ThrottleStore keeps counters of failures. A key is any string, whatever it
// holds; it need not be readable in what is stored, and no method lists keys.
type ThrottleStore interface {
	// UpdateThrottle changes the counter of the key; a counter that is not
	// stored, or is past its ExpiresAt at now, starts at its zero value.
	UpdateThrottle(ctx context.Context, key string, now time.Time, change func(*Throttle) error) error
	// Throttle returns the counter of the key at now, or its zero value.
	Throttle(ctx context.Context, key string, now time.Time) (Throttle, error)
	// ClearThrottle forgets the counter.
	ClearThrottle(ctx context.Context, key string) error
}

// RotationStore keeps what has happened to the yearly keys: one document, whose
// form is its writer's.
type RotationStore interface {
	// Rotation is the document; nil if none was written.
	Rotation(ctx context.Context) ([]byte, error)
	// UpdateRotation replaces the document by what change makes of it, which
	// is the caller's too. old is nil if there is none; an empty result removes
	// it. Of two updates one sees what the other wrote, so that a step is
	// claimed by writing it down. Until it returns, change may complete the details
	// of the events.
	UpdateRotation(ctx context.Context, change func(old []byte) ([]byte, error), events ...AuditEvent) error
}

// Document is one document of a DocumentStore.
type Document struct {
	Key  string
	Data []byte
}

// DocumentStore keeps small documents by kind and key, whose form is their
// writer's: counts, links, what was told to whom. Kind and key are any strings,
// the kind not empty; both are readable in what is stored.
type DocumentStore interface {
	Document(ctx context.Context, kind, key string) ([]byte, error)
	// Documents lists those of a kind, sorted by key.
	Documents(ctx context.Context, kind string) ([]Document, error)
	// UpdateDocuments replaces the documents under the keys by what change
	// makes of each, in one step. old is nil if there is none; an empty result
	// removes it. Of two updates one sees what the other wrote. The keys come
	// in the order given; one that is named twice is changed once.
	UpdateDocuments(ctx context.Context, kind string, keys []string, change func(key string, old []byte) ([]byte, error), events ...AuditEvent) error
}

// AuditStore keeps the audit trail: append-only and hash-chained.
type AuditStore interface {
	// AppendAudit adds events that change nothing else, such as refusals.
	AppendAudit(ctx context.Context, events ...AuditEvent) error
	// AuditRecords lists up to limit records with Seq greater than after.
	AuditRecords(ctx context.Context, after uint64, limit int) ([]AuditRecord, error)
	// AuditPage reads up to limit records after a place as they are stored,
	// whatever they hold, and the state of the whole trail at that moment. From
	// 0 it begins with whatever stands first.
	AuditPage(ctx context.Context, after uint64, limit int) (*AuditPage, error)
	// AuditCheckpoint makes c the beginning of the trail: the records up to
	// c.Seq stay until PruneAudit. c.Hash must be that record's, and c must
	// lie after the checkpoint there is, or be that one with another MAC; else
	// nothing changes.
	AuditCheckpoint(ctx context.Context, c AuditCheckpoint, events ...AuditEvent) error
	// PruneAudit removes up to limit of the records before the checkpoint, the
	// oldest first, and reports how many; fewer than limit means that none is
	// left.
	PruneAudit(ctx context.Context, limit int) (removed int, err error)
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
