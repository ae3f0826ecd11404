package assurance

import (
	"net/url"
	"slices"
	"strings"

	"vernal/idp"
)

// NameFormats of attributes (saml-core §8.2).
const (
	NameFormatBasic = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"
	NameFormatURI   = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"
)

// claimEmail is the Name of the email attribute for providers registered with
// email_attribute claim-uri (Entra External ID knows no other).
const claimEmail = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"

// Level is what it takes for an attribute to be released.
type Level string

// The levels.
const (
	LevelAny     Level = "any"     // every sign-in
	LevelProofed Level = "proofed" // a proofed identity was asked for, or IALMax
	// LevelEligible: as LevelProofed, or the provider may ask for proofed
	// identities, whatever it asks for this time.
	LevelEligible Level = "eligible"
	LevelPIV      Level = "piv" // a PIV/CAC card was used in this session
)

// Row is one attribute that a service provider can be registered for.
type Row struct {
	// Name is the attribute's name in requests and registrations, and its
	// FriendlyName; its Name on the wire but for what Rule says.
	Name       string
	NameFormat string
	Level      Level
	// Always is true of attributes that are sent unasked.
	Always bool
	// Source says where the value comes from, Rule its form.
	Source, Rule string

	// value appends the values to dst; nil while there is no source yet. No
	// values give an empty Attribute element.
	value func(dst []string, r *Requirement, p Person) []string
}

// tokenASCII in a list of attributes is no attribute: it asks for proofed
// values in ASCII.
const tokenASCII = "ascii"

// Table is the list of all attributes, in the order in which they are sent. It
// belongs to the caller.
func Table() []Row { return slices.Clone(table) }

// Known reports whether the name may stand in a registration.
func Known(name string) bool { return name == tokenASCII || findRow(name) >= 0 }

// findRow is the index of an attribute in the table; -1 if there is none.
func findRow(name string) int {
	return slices.IndexFunc(table, func(row Row) bool { return row.Name == name })
}

// Dropped is a requested attribute that is not sent, and why.
type Dropped struct {
	Name   string     `json:"name"`
	Reason DropReason `json:"reason"`
}

// DropReason says why a requested attribute is not sent.
type DropReason string

// The reasons.
const (
	DropUnknown       DropReason = "unknown"        // no such attribute
	DropNotRegistered DropReason = "not-registered" // the provider is not registered for it
	DropLevel         DropReason = "level"          // the request is below the level it takes
	DropNoSource      DropReason = "no-source"      // this version has no value for it
)

// requestedAttributes reads a value of AuthnContextClassRef that lists
// attributes ("…/requested_attributes?ReqAttr=email,phone"); ok is false for
// one that does not. Names are parted by anything that is not part of a name,
// may be percent-encoded and in either case.
func requestedAttributes(ref string) (names []string, ok bool) {
	if len(ref) < len(nsReqAttr) || !strings.EqualFold(ref[:len(nsReqAttr)], nsReqAttr) {
		return nil, false
	}
	rest := ref[len(nsReqAttr):]
	if rest != "" && rest[0] != '?' {
		return nil, false
	}
	rest = strings.TrimPrefix(rest, "?")
	// A "%" that encodes nothing is one more thing between names.
	if plain, err := url.PathUnescape(rest); err == nil {
		rest = plain
	}
	rest = strings.ToLower(rest)
	rest = strings.TrimPrefix(rest, "reqattr=")
	return strings.FieldsFunc(rest, func(c rune) bool {
		return !(c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z')
	}), true
}

// RequestAttributes is the AuthnContextClassRef that asks for the attributes.
func RequestAttributes(names ...string) string {
	return nsReqAttr + "?ReqAttr=" + strings.Join(names, ",")
}

// selectAttributes takes what was asked, or the registered bundle, down to what
// may be sent.
func (r *Requirement) selectAttributes(w wanted, sp *idp.ServiceProvider) {
	names := sp.Attributes
	if w.hasAttributes {
		names = w.attributes
	}
	var chosen [64]bool // by row; the table is far shorter
	for _, name := range names {
		if name == tokenASCII {
			r.ASCII = true
			continue
		}
		i := findRow(name)
		if reason := r.dropReason(i, name, sp); reason != "" {
			r.dropAttribute(name, reason)
		} else if !table[i].Always {
			chosen[i] = true
		}
	}
	for i := range table {
		if table[i].Level == LevelEligible && r.IAL.isProofed() && r.isGranted(&table[i], sp) {
			chosen[i] = true // goes with proofed data, asked for or not
		}
		if chosen[i] {
			r.Attributes = append(r.Attributes, table[i].Name)
		}
	}
}

// dropReason says why the attribute of row i is not sent; "" if it is.
func (r *Requirement) dropReason(i int, name string, sp *idp.ServiceProvider) DropReason {
	switch {
	case i < 0:
		return DropUnknown
	case table[i].Always:
		return ""
	case !r.isGranted(&table[i], sp):
		return DropNotRegistered
	case !r.isLevelEnough(table[i].Level, sp):
		return DropLevel
	case table[i].value == nil:
		return DropNoSource
	}
	return ""
}

// isGranted reports whether the provider may have the attribute of the row at all: it is
// registered for it, or is to have it as Login.gov gives it, with proofed data.
func (r *Requirement) isGranted(row *Row, sp *idp.ServiceProvider) bool {
	return slices.Contains(sp.Attributes, row.Name) || row.Level == LevelEligible && r.IAL.isProofed() && sp.IsLoginGovCompatible()
}

// isLevelEnough reports whether the level of what was asked for is enough. What a
// session must hold besides is not its to say.
func (r *Requirement) isLevelEnough(l Level, sp *idp.ServiceProvider) bool {
	switch l {
	case LevelProofed:
		return r.IAL.isProofed()
	case LevelEligible:
		return r.IAL.isProofed() || allowsVerified(sp)
	}
	return true
}

func (r *Requirement) dropAttribute(name string, reason DropReason) {
	if len(r.Dropped) >= noted {
		return
	}
	d := Dropped{name, reason}
	if len(d.Name) > 64 {
		d.Name = d.Name[:64] + "…"
	}
	if !slices.Contains(r.Dropped, d) {
		r.Dropped = append(r.Dropped, d)
	}
}
