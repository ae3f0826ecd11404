package account

import (
	"time"

	"vernal/idp"
)

// Record is a user in the file format of Import and Export. It shares no type with the store,
// so that no stored field is exported, or refused on import, without a decision. A test lists
// the decision for each field.
type Record struct {
	// Emails are the user's email addresses, the first one primary.
	Emails []RecordEmail `json:"emails,omitempty"`
	// PasswordHash is in PHC form, argon2id or pbkdf2-sha256.
	PasswordHash      string         `json:"password_hash,omitempty"`
	PasswordChangedAt time.Time      `json:"password_changed_at,omitzero"`
	TOTPs             []RecordTOTP   `json:"totps,omitempty"`
	Role              string         `json:"role,omitempty"`
	Locked            bool           `json:"locked,omitempty"`
	LockedAt          time.Time      `json:"locked_at,omitzero"`
	LockReason        string         `json:"lock_reason,omitempty"`
	Profile           *RecordProfile `json:"profile,omitempty"`
	// NameIDs are the identifiers by which service providers know the user, keyed by
	// agency name or entity ID.
	NameIDs map[string]idp.NameID `json:"name_ids,omitempty"`
	// Services are the service providers that the user signed in to, with the user's consents.
	Services  []RecordService `json:"services,omitempty"`
	CreatedAt time.Time       `json:"created_at,omitzero"`
	// ReservedEmails are the SHA-256 hashes, in hex, of email addresses that service providers
	// received as a NameID and that the user has removed. No other user may get them.
	ReservedEmails []string `json:"reserved_emails,omitempty"`
	// Deleted marks a deleted user. Only their NameIDs and ReservedEmails remain, so that they
	// are never reused.
	Deleted bool `json:"deleted,omitempty"`
}

// RecordEmail is an email address of a user.
type RecordEmail struct {
	Address string `json:"address"`
	// Confirmed is true for an email address that the other identity provider confirms
	// without a date. It then counts as confirmed since the account was created.
	Confirmed    bool      `json:"confirmed,omitempty"`
	ConfirmedAt  time.Time `json:"confirmed_at,omitzero"`
	LastSignInAt time.Time `json:"last_sign_in_at,omitzero"`
	// DisclosedTo are the service providers that received the email address as a NameID.
	// They may end the user's sessions by it, so it must still identify the user after a
	// move.
	DisclosedTo []idp.EntityID `json:"disclosed_to,omitempty"`
}

// RecordService is idp.ConnectedService in a file. The conversion between the two does not compile
// if their fields differ.
type RecordService struct {
	SP      idp.EntityID `json:"sp"`
	FirstAt time.Time    `json:"first_at"`
	LastAt  time.Time    `json:"last_at"`
	// Attributes are those that the user agreed to disclose at ConsentAt.
	Attributes  []string  `json:"attributes,omitempty"`
	ConsentAt   time.Time `json:"consent_at,omitzero"`
	WithdrawnAt time.Time `json:"withdrawn_at,omitzero"`
	// Email is the email address that the user chose for the service provider.
	Email string `json:"email,omitempty"`
}

// RecordTOTP is an authenticator with its secret in base32.
type RecordTOTP struct {
	Name   string `json:"name,omitempty"`
	Secret string `json:"secret"`
	Period int    `json:"period,omitempty"`
	// LastStep is the newest step whose code was accepted. Without it, a code seen in the
	// old installation could be used again in the new one.
	LastStep int64     `json:"last_step,omitempty"`
	AddedAt  time.Time `json:"added_at,omitzero"`
}

// RecordProfile is idp.Profile in a file. The conversion between the two does not compile if
// their fields differ.
type RecordProfile struct {
	Level      string    `json:"level"`
	VerifiedAt time.Time `json:"verified_at,omitzero"`
	FirstName  string    `json:"first_name,omitempty"`
	MiddleName string    `json:"middle_name,omitempty"`
	LastName   string    `json:"last_name,omitempty"`
	Address1   string    `json:"address1,omitempty"`
	Address2   string    `json:"address2,omitempty"`
	City       string    `json:"city,omitempty"`
	State      string    `json:"state,omitempty"`
	Zipcode    string    `json:"zipcode,omitempty"`
	DOB        string    `json:"dob,omitempty"`
	SSN        string    `json:"ssn,omitempty"`
	Phone      string    `json:"phone,omitempty"`
}

// recordFile is a record with the short forms of single-entry lists.
type recordFile struct {
	Email      string `json:"email"`
	TOTPSecret string `json:"totp_secret"`
	TOTPPeriod int    `json:"totp_period"`
	Record
}

// ParseRecord parses one JSON object strictly: unknown or repeated names and values of the
// wrong type are errors. The error is InputErrors. Import checks the values.
func ParseRecord(data []byte) (*Record, error) {
	var d decoder
	var f recordFile
	d.decodeObject(data, &f)
	return d.unfoldRecord(&f)
}

// unfoldRecord moves the short forms into the lists.
func (d *decoder) unfoldRecord(f *recordFile) (*Record, error) {
	switch {
	case f.Email != "" && len(f.Emails) > 0:
		d.addInvalid("email", "use either email or emails, not both")
	case f.Email != "":
		f.Emails = []RecordEmail{{Address: f.Email, Confirmed: true}}
	}
	switch {
	case f.TOTPSecret == "" && f.TOTPPeriod != 0:
		d.addInvalid("totp_period", "requires a totp_secret")
	case f.TOTPSecret != "" && len(f.TOTPs) > 0:
		d.addInvalid("totp_secret", "use either totp_secret or totps, not both")
	case f.TOTPSecret != "":
		f.TOTPs = []RecordTOTP{{Secret: f.TOTPSecret, Period: f.TOTPPeriod}}
	}
	if len(d.problems) > 0 {
		return nil, d.problems
	}
	return &f.Record, nil
}

// ParseProfile parses the JSON object of a profile like ParseRecord parses a record. The error
// is InputErrors.
func ParseProfile(data []byte) (*idp.Profile, error) {
	var d decoder
	p := new(RecordProfile)
	if d.decodeObject(data, p); len(d.problems) > 0 {
		return nil, d.problems
	}
	return (*idp.Profile)(p), nil
}
