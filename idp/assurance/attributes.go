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
// email_attribute claim-uri (Entra External ID supports no other).
const claimEmail = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"

// Level is the condition for releasing an attribute.
type Level string

// Levels of attributes.
const (
	LevelAny     Level = "any"     // every sign-in
	LevelProofed Level = "proofed" // a proofed identity or IALMax was requested
	// LevelEligible is met if LevelProofed is met, or if the provider may request proofed
	// identities.
	LevelEligible Level = "eligible"
	LevelPIV      Level = "piv" // a PIV/CAC card was used in this session
)

// Row is one attribute that a service provider can be registered for.
type Row struct {
	// Name is the attribute's name in requests and registrations, and its FriendlyName. It
	// is also its Name on the wire, unless Rule says otherwise.
	Name       string
	NameFormat string
	Level      Level
	// IsAlwaysSent is true for attributes that are sent without a request.
	IsAlwaysSent bool
	// IsPersonal is true for attributes with data about the user, which the user agrees to
	// disclose. The others describe the sign-in, or are the identifier that every provider gets.
	IsPersonal bool
	// Source is the origin of the value, and Rule describes its form.
	Source, Rule string

	// value appends the values to dst. It is nil if this version has no source. Without values
	// the Attribute element is empty.
	value func(dst []string, r *Requirement, p UserData) []string
}

// tokenASCII in a list of attributes is not an attribute. It requests proofed values in ASCII.
const tokenASCII = "ascii"

// Table returns a copy of the list of all attributes, in the order in which they are sent.
func Table() []Row { return slices.Clone(table) }

// IsKnown reports whether a registration may contain the name.
func IsKnown(name string) bool { return name == tokenASCII || findRow(name) >= 0 }

// findRow returns the index of an attribute in the table, or -1.
func findRow(name string) int {
	return slices.IndexFunc(table, func(row Row) bool { return row.Name == name })
}

// DroppedAttribute is a requested attribute that is not sent, with the reason.
type DroppedAttribute struct {
	Name   string     `json:"name"`
	Reason DropReason `json:"reason"`
}

// DropReason is the reason why a requested attribute is not sent.
type DropReason string

// Reasons to drop an attribute.
const (
	DropUnknown       DropReason = "unknown"        // no such attribute
	DropNotRegistered DropReason = "not-registered" // the provider is not registered for it
	DropLevel         DropReason = "level"          // the request is below the required level
	DropNoSource      DropReason = "no-source"      // this version has no value for it
)

// parseAttributeList reads a value of AuthnContextClassRef that lists attributes
// ("…/requested_attributes?ReqAttr=email,phone"). ok is false for other values. Any
// character that no name contains separates names. Names may be percent-encoded, and upper case is
// ignored.
func parseAttributeList(ref string) (names []string, ok bool) {
	if len(ref) < len(nsReqAttr) || !strings.EqualFold(ref[:len(nsReqAttr)], nsReqAttr) {
		return nil, false
	}
	rest := ref[len(nsReqAttr):]
	if rest != "" && rest[0] != '?' {
		return nil, false
	}
	rest = strings.TrimPrefix(rest, "?")
	// A "%" that encodes nothing counts as a separator.
	if decoded, err := url.PathUnescape(rest); err == nil {
		rest = decoded
	}
	rest = strings.ToLower(rest)
	rest = strings.TrimPrefix(rest, "reqattr=")
	return strings.FieldsFunc(rest, func(c rune) bool {
		return !(c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z')
	}), true
}

// RequestAttributes returns the AuthnContextClassRef that requests the attributes.
func RequestAttributes(names ...string) string {
	return nsReqAttr + "?ReqAttr=" + strings.Join(names, ",")
}

// selectAttributes reduces the requested attributes, or the registered bundle, to those that
// may be sent.
func (r *Requirement) selectAttributes(refs contextSet, sp *idp.ServiceProvider) {
	names := sp.Attributes
	if refs.hasAttributes {
		names = refs.attributes
	}
	var isChosen [64]bool // by row. The table is far shorter
	for _, name := range names {
		if name == tokenASCII {
			r.WantsASCII = true
			continue
		}
		i := findRow(name)
		if reason := r.findDropReason(i, name, sp); reason != "" {
			r.dropAttribute(name, reason)
		} else if !table[i].IsAlwaysSent {
			isChosen[i] = true
		}
	}
	for i := range table {
		if table[i].Level == LevelEligible && r.IAL.isProofed() && r.isGranted(&table[i], sp) {
			isChosen[i] = true // sent with proofed data, requested or not
		}
		if isChosen[i] {
			r.Attributes = append(r.Attributes, table[i].Name)
		}
	}
}

// findDropReason returns the reason why the attribute of row i is not sent, or "" if it is sent.
func (r *Requirement) findDropReason(i int, name string, sp *idp.ServiceProvider) DropReason {
	switch {
	case i < 0:
		return DropUnknown
	case table[i].IsAlwaysSent:
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

// isGranted reports whether the provider may get the attribute of the row: it is registered for it,
// or gets it with proofed data because it is compatible with Login.gov.
func (r *Requirement) isGranted(row *Row, sp *idp.ServiceProvider) bool {
	return slices.Contains(sp.Attributes, row.Name) || row.Level == LevelEligible && r.IAL.isProofed() && sp.IsLoginGovCompatible()
}

// isLevelEnough reports whether the requested level is enough. It does not consider the factors
// that the session also needs.
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
	if len(r.DroppedAttributes) >= maxLogged {
		return
	}
	d := DroppedAttribute{name, reason}
	if len(d.Name) > 64 {
		d.Name = d.Name[:64] + "…"
	}
	if !slices.Contains(r.DroppedAttributes, d) {
		r.DroppedAttributes = append(r.DroppedAttributes, d)
	}
}
