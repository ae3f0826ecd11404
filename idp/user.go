package idp

import (
	"slices"
	"strings"
	"time"
)

// User is a person who can sign in. Stores keep it sealed: all of it is
// personal data or secret. What was proofed of their identity is not part of it,
// but a record of its own, see Profile.
type User struct {
	ID UserID `json:"id"`
	// Emails are the person's addresses, the first one primary. An address
	// belongs to at most one person.
	Emails []Email `json:"emails"`
	// PasswordHash is in PHC form: "$argon2id$…" or "$pbkdf2-sha256$…".
	PasswordHash      string    `json:"password_hash,omitempty"`
	PasswordChangedAt time.Time `json:"password_changed_at,omitzero"`
	TOTPs             []TOTP    `json:"totps,omitempty"`
	// Devices are the browsers that the person is remembered in, oldest first.
	// Whatever changes how the person proves who they are forgets them all.
	Devices []RememberedDevice `json:"devices,omitempty"`
	// Proofed is what decisions need to know of the person's Profile; nil if
	// they have none. It is the store's to set, with the Profile and from it.
	Proofed *Proofed `json:"proofed,omitempty"`
	Role    string   `json:"role,omitempty"`
	// LockedAt is set while an operator has locked the account.
	LockedAt   time.Time `json:"locked_at,omitzero"`
	LockReason string    `json:"lock_reason,omitempty"`
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
}

// Email is one address of a person.
type Email struct {
	Address      string    `json:"address"`
	ConfirmedAt  time.Time `json:"confirmed_at,omitzero"`
	LastSignInAt time.Time `json:"last_sign_in_at,omitzero"`
	// DisclosedTo are the service providers that were given the address as a NameID:
	// to them, and to no other, it names the person.
	DisclosedTo []EntityID `json:"disclosed_to,omitempty"`
}

// DisclosedEmail returns the person's address that is written so, but for its case, if
// the provider was given it as a NameID; nil otherwise.
func (u *User) DisclosedEmail(provider EntityID, address string) *Email {
	for i := range u.Emails {
		if e := &u.Emails[i]; strings.EqualFold(e.Address, address) && slices.Contains(e.DisclosedTo, provider) {
			return e
		}
	}
	return nil
}

// TOTP is one authenticator application or token (RFC 6238).
type TOTP struct {
	Name string `json:"name"`
	// Secret is the shared key, raw bytes.
	Secret []byte `json:"secret"`
	// Period is the length of a step in seconds: 30 or 60.
	Period int `json:"period"`
	// LastStep is the newest step that was accepted. A code of this step or
	// an older one is a replay; see account.CheckTOTP.
	LastStep int64     `json:"last_step"`
	AddedAt  time.Time `json:"added_at"`
}

// Proofed says that a person's identity was proofed, and nothing of who they
// are.
type Proofed struct {
	// Level is IALVerified or IALFacialMatch.
	Level string `json:"level"`
	// VerifiedAt is when the identity was proofed; zero if nobody knows.
	VerifiedAt time.Time `json:"verified_at,omitzero"`
}

// Equal reports whether both say the same; of two nil ones it is true.
func (p *Proofed) Equal(q *Proofed) bool {
	if p == nil || q == nil {
		return p == q
	}
	return p.Level == q.Level && p.VerifiedAt.Equal(q.VerifiedAt)
}

// Profile is what was proofed of a person's identity. Stores seal it apart from
// the User, and it is unsealed only to be released, exported, compared with
// another one or described by the names of its values: a sign-in that releases
// none of it does not touch it.
//
// An empty value was not proofed; a service provider that asks for it gets an
// empty attribute. The names are those of the attributes, the forms are package
// account's to check.
type Profile struct {
	// Level is IALVerified or IALFacialMatch.
	Level string `json:"level"`
	// VerifiedAt is when the identity was proofed; zero if nobody knows.
	VerifiedAt time.Time `json:"verified_at,omitzero"`
	FirstName  string    `json:"first_name,omitempty"`
	MiddleName string    `json:"middle_name,omitempty"`
	LastName   string    `json:"last_name,omitempty"`
	Address1   string    `json:"address1,omitempty"`
	Address2   string    `json:"address2,omitempty"`
	City       string    `json:"city,omitempty"`
	State      string    `json:"state,omitempty"`
	// Zipcode has five digits.
	Zipcode string `json:"zipcode,omitempty"`
	// DOB is the date of birth, YYYY-MM-DD.
	DOB string `json:"dob,omitempty"`
	// SSN has nine digits, with the two dashes or without, as it was proofed.
	SSN string `json:"ssn,omitempty"`
	// Phone is in E.164 form: "+12025550123".
	Phone string `json:"phone,omitempty"`
}

// Proofed is what the person's User says of the profile; nil for nil.
func (p *Profile) Proofed() *Proofed {
	if p == nil {
		return nil
	}
	return &Proofed{Level: p.Level, VerifiedAt: p.VerifiedAt}
}

// PrimaryEmail is the person's first address, or "".
func (u *User) PrimaryEmail() string {
	if len(u.Emails) == 0 {
		return ""
	}
	return u.Emails[0].Address
}

// Locked reports whether an operator has locked the account.
func (u *User) Locked() bool { return !u.LockedAt.IsZero() }

// ImportedUser is a person who comes with the NameIDs that service providers
// know them by already.
type ImportedUser struct {
	User *User
	// Profile becomes the person's, and User.Proofed what it says; nil for none.
	Profile *Profile
	// NameIDs become the person's, as if they had been issued here.
	NameIDs map[NameIDScope]NameID
	// Deleted is true of a person who was deleted where they come from: nothing
	// of them is kept but User.ID and the NameIDs, so that both stay taken.
	Deleted bool
	// Existing is true of a person who is here already: the NameIDs are added to
	// those that they have. Of User only the ID counts, and DisclosedTo of its Emails,
	// which is added to that of the same address, compared without case.
	Existing bool
	// Event is recorded if the person is added; none without a Kind.
	Event AuditEvent
}
