package templates

import (
	"slices"
	"strings"
	"time"
)

// FieldShown identifies what a ConsentPage shows.
const FieldShown = "shown"

// ConsentPage asks a user whether data about them may be disclosed to a service provider.
type ConsentPage struct {
	Base
	Action  string // where the form is posted
	Request string // handle of the LoginRequest
	Shown   string // FieldShown
	// Reason is why the user is asked: "first", "grown", "reproofed", "expired" or "withdrawn".
	Reason string
	// IsChanged reports whether the user agreed to something else before.
	IsChanged bool
	Items     []ConsentItem
	// IsKnownByEmail reports whether the service provider identifies the user by the email
	// address.
	IsKnownByEmail bool
	// Agency is the agency whose service providers share an identifier of the user, "" for none,
	// and SharedWith are the names of the others.
	Agency     string
	SharedWith []string
	// Email is the email address of the user who is asked. SignInURL leads to the sign-in of
	// another one.
	Email, SignInURL string
	// AccountURL is the way out without a Base.ReturnURL.
	AccountURL string
}

// ConsentValue is an attribute with its values.
type ConsentValue struct {
	Name   string
	Values []string
}

// ConsentItem is one row of the data that would be disclosed: an attribute, or several that belong
// together.
type ConsentItem struct {
	Label Key
	// Values are one for each line; none if the user's record has no value.
	Values []string
	// Day replaces Values for a date.
	Day time.Time
	// IsSecret hides the values until the user asks for them.
	IsSecret bool
	// IsNew reports whether the user has not agreed to it before.
	IsNew bool

	names []string // of the attributes
}

// AttributeKey returns the key for an attribute in words of users.
func AttributeKey(name string) Key { return Key("consent.attribute." + name) }

// consentRows are the rows in the order of the page, each with its attributes.
var consentRows = []struct {
	label string
	names []string
}{
	{"email", []string{"email"}},
	{"all_emails", []string{"all_emails"}},
	{"name", []string{"first_name", "middle_name", "last_name"}},
	{"address", []string{"address1", "address2", "city", "state", "zipcode"}},
	{"phone", []string{"phone"}},
	{"dob", []string{"dob"}},
	{"ssn", []string{"ssn"}},
	{"x509_subject", []string{"x509_subject"}},
	{"x509_issuer", []string{"x509_issuer"}},
	{"verified_at", []string{"verified_at"}},
}

// NewConsentItems arranges attributes as rows. All email addresses include the one of the sign-in,
// so that has no row beside them.
func NewConsentItems(values []ConsentValue) (items []ConsentItem) {
	lookup := func(name string) *ConsentValue {
		if i := slices.IndexFunc(values, func(v ConsentValue) bool { return v.Name == name }); i >= 0 {
			return &values[i]
		}
		return nil
	}
	for _, row := range consentRows {
		item := ConsentItem{Label: AttributeKey(row.label), IsSecret: row.label == "ssn"}
		parts := map[string]string{}
		for _, name := range row.names {
			v := lookup(name)
			if v == nil {
				continue
			}
			item.names = append(item.names, name)
			if parts[name] = strings.Join(v.Values, ", "); len(row.names) == 1 {
				item.Values = v.Values
			}
		}
		if len(item.names) == 0 || row.label == "email" && lookup("all_emails") != nil {
			continue
		}
		switch row.label {
		case "name":
			item.Values = joinLines([]string{parts["first_name"], parts["middle_name"], parts["last_name"]})
		case "address":
			item.Values = joinLines([]string{parts["address1"]}, []string{parts["address2"]}, []string{parts["city"], parts["state"], parts["zipcode"]})
		case "dob", "verified_at":
			item.Day = parseDay(parts[row.label])
		}
		items = append(items, item)
	}
	return items
}

// joinLines joins the words of each line, and leaves out empty words and lines.
func joinLines(lines ...[]string) (out []string) {
	for _, words := range lines {
		words = slices.DeleteFunc(words, func(word string) bool { return word == "" })
		if len(words) > 0 {
			out = append(out, strings.Join(words, " "))
		}
	}
	return out
}

// parseDay parses the day of an attribute; the zero time for any other text.
func parseDay(value string) time.Time {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if day, err := time.Parse(layout, value); err == nil {
			return day
		}
	}
	return time.Time{}
}

// MarkNew marks the rows with one of the attributes as new.
func (p *ConsentPage) MarkNew(names []string) {
	for i := range p.Items {
		p.Items[i].IsNew = slices.ContainsFunc(p.Items[i].names, func(name string) bool { return slices.Contains(names, name) })
	}
}

// Heading returns the key of the title.
func (p ConsentPage) Heading() Key { return Key("consent.title." + p.Reason) }

// Intro returns the key of the text that says why the user is asked.
func (p ConsentPage) Intro() Key { return Key("consent.text." + p.Reason) }

// SharedNames returns the names in SharedWith as one text.
func (p ConsentPage) SharedNames() string { return strings.Join(p.SharedWith, ", ") }
