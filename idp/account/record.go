package account

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"vernal/idp"
)

// Record is a user in the form of the files of Import and Export. It shares no type
// with what is stored, so that no stored field gets into a file, or is refused in
// one, without a decision. A test holds a decision for each.
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
	// NameIDs are those that service providers know the person by, under the
	// name of the agency or the entity ID.
	NameIDs   map[string]idp.NameID `json:"name_ids,omitempty"`
	CreatedAt time.Time             `json:"created_at,omitzero"`
	// Deleted is true of a person who was deleted: of them there is nothing but
	// the NameIDs, which nobody may get again.
	Deleted bool `json:"deleted,omitempty"`
}

// RecordEmail is an email address of a user.
type RecordEmail struct {
	Address string `json:"address"`
	// Confirmed is true of an email address that the other identity provider vouches
	// for without a date. It then counts as confirmed since the account was created.
	Confirmed    bool      `json:"confirmed,omitempty"`
	ConfirmedAt  time.Time `json:"confirmed_at,omitzero"`
	LastSignInAt time.Time `json:"last_sign_in_at,omitzero"`
	// DisclosedTo are the service providers that were given the email address as a
	// NameID. They may end the user's sessions by it, so they must know the user by
	// it after a move, too.
	DisclosedTo []idp.EntityID `json:"disclosed_to,omitempty"`
}

// RecordTOTP is an authenticator with its secret in base32.
type RecordTOTP struct {
	Name   string `json:"name,omitempty"`
	Secret string `json:"secret"`
	Period int    `json:"period,omitempty"`
	// LastStep is the newest step whose code was accepted: without it, a code that
	// was seen in the old installation could be used once more in the new one.
	LastStep int64     `json:"last_step,omitempty"`
	AddedAt  time.Time `json:"added_at,omitzero"`
}

// RecordProfile is idp.Profile in a file. The two are converted as a whole, which
// does not compile while one has a field that the other lacks.
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

// recordNames are the names in a record; email, totp_secret and totp_period are
// short for lists with one entry.
var recordNames = []string{
	"email", "emails", "password_hash", "password_changed_at", "totp_secret", "totp_period", "totps", "role",
	"locked", "locked_at", "lock_reason", "profile", "name_ids", "created_at", "deleted",
}

// ParseRecord reads one JSON object strictly: a name that is not known, or is
// there twice, and a value of another type are errors. The error is InputErrors.
// What the values say is checked by Import.
func ParseRecord(data []byte) (*Record, error) {
	rec := new(Record)
	var short RecordTOTP
	var shortEmail string
	o := &object{names: recordNames}
	o.read(data, func(name string, raw json.RawMessage) {
		switch name {
		case "email":
			o.text(name, raw, &shortEmail)
		case "emails":
			rec.Emails = o.emails(raw)
		case "password_hash":
			o.text(name, raw, &rec.PasswordHash)
		case "password_changed_at":
			o.time(name, raw, &rec.PasswordChangedAt)
		case "totp_secret":
			o.text(name, raw, &short.Secret)
		case "totp_period":
			o.number(name, raw, &short.Period)
		case "totps":
			rec.TOTPs = o.totps(raw)
		case "role":
			o.text(name, raw, &rec.Role)
		case "locked":
			o.flag(name, raw, &rec.Locked)
		case "locked_at":
			o.time(name, raw, &rec.LockedAt)
		case "lock_reason":
			o.text(name, raw, &rec.LockReason)
		case "profile":
			rec.Profile = (*RecordProfile)(o.profile(raw))
		case "name_ids":
			rec.NameIDs = o.nameIDs(raw)
		case "created_at":
			o.time(name, raw, &rec.CreatedAt)
		case "deleted":
			o.flag(name, raw, &rec.Deleted)
		}
	})
	o.short(rec, shortEmail, short)
	if len(o.wrong) > 0 {
		return nil, o.wrong
	}
	return rec, nil
}

// short folds the short forms into the lists.
func (o *object) short(rec *Record, email string, t RecordTOTP) {
	switch {
	case email != "" && len(rec.Emails) > 0:
		o.fault("email", "invalid", "give email or emails, not both")
	case email != "":
		rec.Emails = []RecordEmail{{Address: email, Confirmed: true}}
	}
	switch {
	case t.Secret == "" && t.Period != 0:
		o.fault("totp_period", "invalid", "needs a totp_secret")
	case t.Secret != "" && len(rec.TOTPs) > 0:
		o.fault("totp_secret", "invalid", "give totp_secret or totps, not both")
	case t.Secret != "":
		rec.TOTPs = []RecordTOTP{t}
	}
}

// ParseProfile reads the JSON object of a profile as ParseRecord reads a
// record. The error is InputErrors.
func ParseProfile(data []byte) (*idp.Profile, error) {
	o := &object{}
	p := o.profile(data)
	if len(o.wrong) > 0 {
		for _, w := range o.wrong {
			w.Field = strings.TrimPrefix(w.Field, "profile.")
		}
		return nil, o.wrong
	}
	return p, nil
}

// profile reads a profile; its errors stand under "profile.".
func (o *object) profile(raw json.RawMessage) *idp.Profile {
	p := new(idp.Profile)
	inner := &object{path: "profile", names: []string{"level", "verified_at"}}
	at := map[string]*string{"level": &p.Level}
	for _, f := range profileFields {
		inner.names = append(inner.names, f.name)
		at[f.name] = f.at(p)
	}
	inner.read(raw, func(name string, raw json.RawMessage) {
		if name == "verified_at" {
			inner.time(name, raw, &p.VerifiedAt)
			return
		}
		inner.text(name, raw, at[name])
	})
	o.wrong = append(o.wrong, inner.wrong...)
	return p
}

func (o *object) nameIDs(raw json.RawMessage) map[string]idp.NameID {
	inner := &object{path: "name_ids"}
	ids := map[string]idp.NameID{}
	inner.read(raw, func(key string, raw json.RawMessage) {
		var value string
		if inner.text(key, raw, &value) {
			ids[key] = idp.NameID(value)
		}
	})
	o.wrong = append(o.wrong, inner.wrong...)
	return ids
}

// emails reads a list of email addresses, each a string or an object. The other
// identity provider vouches for one that is a string.
func (o *object) emails(raw json.RawMessage) []RecordEmail {
	var list []RecordEmail
	for i, one := range o.list("emails", raw) {
		if len(one) > 0 && one[0] == '"' {
			e := RecordEmail{Confirmed: true}
			o.text("emails", one, &e.Address)
			list = append(list, e)
			continue
		}
		var e RecordEmail
		inner := &object{path: fmt.Sprintf("emails[%d]", i+1), names: []string{"address", "confirmed", "confirmed_at", "last_sign_in_at", "disclosed_to"}}
		inner.read(one, func(name string, raw json.RawMessage) {
			switch name {
			case "address":
				inner.text(name, raw, &e.Address)
			case "confirmed":
				inner.flag(name, raw, &e.Confirmed)
			case "confirmed_at":
				inner.time(name, raw, &e.ConfirmedAt)
			case "last_sign_in_at":
				inner.time(name, raw, &e.LastSignInAt)
			case "disclosed_to":
				inner.texts(name, raw, &e.DisclosedTo)
			}
		})
		o.wrong = append(o.wrong, inner.wrong...)
		list = append(list, e)
	}
	return list
}

func (o *object) totps(raw json.RawMessage) []RecordTOTP {
	var list []RecordTOTP
	for i, one := range o.list("totps", raw) {
		var t RecordTOTP
		inner := &object{path: fmt.Sprintf("totps[%d]", i+1), names: []string{"name", "secret", "period", "last_step", "added_at"}}
		inner.read(one, func(name string, raw json.RawMessage) {
			switch name {
			case "name":
				inner.text(name, raw, &t.Name)
			case "secret":
				inner.text(name, raw, &t.Secret)
			case "period":
				inner.number(name, raw, &t.Period)
			case "last_step":
				inner.number(name, raw, &t.LastStep)
			case "added_at":
				inner.time(name, raw, &t.AddedAt)
			}
		})
		o.wrong = append(o.wrong, inner.wrong...)
		list = append(list, t)
	}
	return list
}
