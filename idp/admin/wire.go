package admin

import (
	"time"

	"vernal/idp"
	"vernal/idp/sp"
)

// Empty is a request or an answer that says nothing more.
type Empty struct{}

// Pong is the answer to ping.
type Pong struct {
	Version string `json:"version"`
	// Address is where the server answers; "" if none runs.
	Address string `json:"address,omitempty"`
	// TLS: it speaks https there, and not plain http behind a proxy.
	TLS bool `json:"tls,omitempty"`
}

// SPRequest names a service provider.
type SPRequest struct {
	EntityID idp.EntityID `json:"entity_id"`
}

// SPChange adds or edits a service provider. The answer is an sp.Change.
type SPChange struct {
	// EntityID may be empty when adding from metadata, which names it.
	EntityID idp.EntityID `json:"entity_id,omitempty"`
	// Metadata is an EntityDescriptor to read values from first; null: none.
	// MetadataFetched is set when it comes from a URL, and not from a file.
	Metadata        []byte `json:"metadata"`
	MetadataFetched bool   `json:"metadata_fetched,omitempty"`
	// Edit is applied after it.
	Edit    sp.Edit    `json:"edit"`
	Options sp.Options `json:"options"`
}

// SPList is the answer to sp/list, sorted by EntityID.
type SPList struct {
	SPs []*idp.ServiceProvider `json:"sps"`
	// Tampered are registrations that are not authentic and answer no one.
	Tampered []idp.EntityID `json:"tampered,omitempty"`
}

// UserRequest names a person by one of their addresses.
type UserRequest struct {
	Email string `json:"email"`
	// Reason is why; for lock.
	Reason string `json:"reason,omitempty"`
	// Password is the new one; for set-password.
	Password string `json:"password,omitempty"`
	// The rest is for reset-mfa, as in NewUser.
	TOTP       bool   `json:"totp,omitempty"`
	TOTPSecret string `json:"totp_secret,omitempty"`
	TOTPPeriod int    `json:"totp_period,omitempty"`
}

// UserChanged is the answer to a change of a person.
type UserChanged struct {
	User User `json:"user"`
	// SessionsEnded counts the sessions that the change ended.
	SessionsEnded int `json:"sessions_ended"`
	// TOTPSecret and TOTPURL are those of a new authenticator, shown this once.
	TOTPSecret string `json:"totp_secret,omitempty"`
	TOTPURL    string `json:"totp_url,omitempty"`
}

// NewUser makes a person.
type NewUser struct {
	Email    string `json:"email"`
	Password string `json:"password,omitempty"`
	// TOTP enrols an authenticator: with TOTPSecret, base32, or a new secret.
	TOTP       bool   `json:"totp,omitempty"`
	TOTPSecret string `json:"totp_secret,omitempty"`
	TOTPPeriod int    `json:"totp_period,omitempty"`
}

// UserAdded is the answer to user/add.
type UserAdded struct {
	User User `json:"user"`
	// TOTPSecret and TOTPURL are shown this once; "" without an authenticator.
	TOTPSecret string `json:"totp_secret,omitempty"`
	TOTPURL    string `json:"totp_url,omitempty"`
}

// UsersRequest asks for people after an ID.
type UsersRequest struct {
	After idp.UserID `json:"after,omitempty"`
	Limit int        `json:"limit,omitempty"`
}

// UserList is the answer to user/list. Next is where to go on; "" at the end.
type UserList struct {
	Users []User     `json:"users"`
	Next  idp.UserID `json:"next,omitempty"`
}

// User is a person without what is secret.
type User struct {
	ID                idp.UserID `json:"id"`
	Emails            []Email    `json:"emails"`
	HasPassword       bool       `json:"has_password"`
	PasswordChangedAt time.Time  `json:"password_changed_at,omitzero"`
	TOTPs             []TOTP     `json:"totps"`
	// Devices are the browsers that stand for the second factor where a service
	// provider leaves that open, the newest last.
	Devices []RememberedDevice `json:"devices,omitempty"`
	// Profile is nil for somebody without a proofed identity.
	Profile    *Profile  `json:"profile,omitempty"`
	Role       string    `json:"role,omitempty"`
	Locked     bool      `json:"locked"`
	LockedAt   time.Time `json:"locked_at,omitzero"`
	LockReason string    `json:"lock_reason,omitempty"`
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
}

// Email is an email address of a user. It leaves out whom it was disclosed to: a list
// of users does not say which service providers they visit.
type Email struct {
	Address      string    `json:"address"`
	ConfirmedAt  time.Time `json:"confirmed_at,omitzero"`
	LastSignInAt time.Time `json:"last_sign_in_at,omitzero"`
}

// RememberedDevice is a browser that a person is remembered in. ID is how the
// audit trail names it when it is forgotten.
type RememberedDevice struct {
	ID              string    `json:"id"`
	Browser         string    `json:"browser,omitempty"`
	System          string    `json:"system,omitempty"`
	RememberedAt    time.Time `json:"remembered_at"`
	RememberedUntil time.Time `json:"remembered_until"`
	UsedAt          time.Time `json:"used_at,omitzero"`
}

// TOTP is an authenticator without its secret.
type TOTP struct {
	Name    string    `json:"name"`
	Period  int       `json:"period"`
	AddedAt time.Time `json:"added_at"`
}

// MetadataRequest asks for a metadata document: a year's, or with "" the
// stable one.
type MetadataRequest struct {
	Year idp.Year `json:"year,omitempty"`
}

// Document is the answer to metadata/show.
type Document struct {
	Year     idp.Year `json:"year,omitempty"`
	Document string   `json:"document"`
}

// YearList is the answer to year/list, oldest first.
type YearList struct {
	Years []Year `json:"years"`
}

// Year is one year as it stands.
type Year struct {
	Year  idp.Year `json:"year"`
	State string   `json:"state"`
	// NotBefore, NotAfter and SHA256 are the certificate's; absent while there
	// is none.
	NotBefore time.Time `json:"not_before,omitzero"`
	NotAfter  time.Time `json:"not_after,omitzero"`
	SHA256    string    `json:"sha256,omitempty"`
}
