package assurance

import (
	"strconv"
	"strings"

	"vernal/idp"
)

// ContextRequest contains the values of a request that concern assurance, as they were sent.
type ContextRequest struct {
	// Comparison is "" (which means exact), "exact", "minimum", "maximum" or
	// "better".
	Comparison string
	ClassRefs  []string
	// IsUnsigned is set for a request that anyone may have made. The provider does not vouch
	// for it, so it cannot ask for less than the registered level.
	IsUnsigned bool
}

// NewContextRequest returns the Ask of a stored request.
func NewContextRequest(req *idp.LoginRequest) ContextRequest {
	return ContextRequest{Comparison: req.Comparison, ClassRefs: req.ClassRefs, IsUnsigned: req.CertSHA256 == ""}
}

// Requirement lists the levels that a sign-in must prove, and the values that the Response then
// states.
type Requirement struct {
	IAL IAL
	AAL AAL
	// AllowsRememberedDevice reports whether a remembered device may replace the second factor.
	AllowsRememberedDevice bool
	// ClassRef is the AuthnContextClassRef of the Response.
	ClassRef string
	// Attributes are the requested attributes that the provider is registered for and the
	// level allows, by their names in Table and in its order. They do not include the ones
	// that are always sent.
	Attributes []string
	// WantsASCII requests proofed values in ASCII.
	WantsASCII bool

	// DroppedAttributes lists requested attributes that are not sent, Unknown lists ignored values
	// of AuthnContextClassRef. Both are for the log and the integrator: limited in length,
	// in the requested order.
	DroppedAttributes []DroppedAttribute
	UnknownClassRefs []string

	aalValue string // value of attribute aal
	requestedRef    string // value that a refusal of the user names
	usesURN      bool   // attribute ial uses urn:acr.login.gov
}

const fieldClassRef = "AuthnContextClassRef"

// maxClassRefs limits, in bytes, the values of a request. They are stored until the sign-in is
// over, so an unverified sender must not store many.
const maxClassRefs = 8 << 10

// CheckLength refuses values that are too long to store.
func (a ContextRequest) CheckLength() error {
	n := 0
	for _, ref := range a.ClassRefs {
		n += len(ref)
	}
	if n > maxClassRefs {
		return idp.Refuse(idp.RefusedRequestTooLarge, fieldClassRef, strconv.Itoa(n)+" bytes", strconv.Itoa(maxClassRefs))
	}
	return nil
}

// maxLogged limits the lists that only a log contains.
const maxLogged = 20

// Resolve derives the Requirement from the request and the service provider's registration. Each
// rule is a row of a test:
//
//   - One recognized value is enough. Unknown values next to it are ignored.
//   - The identity level is the strongest one requested, the authentication level the first
//     one. A level that is not requested comes from the registration.
//   - Every level that concerns proofed identity needs at least AAL2.
//   - An unsigned request needs at least the registered authentication level.
//   - "minimum" with a level below proofing, from a provider that may ask for proofing, takes
//     proofed data if the user has it. Otherwise the comparison changes nothing.
//   - The Response states the requested authentication value, otherwise the identity value,
//     otherwise the value that a library sends by default, otherwise our default.
//   - A provider that was built for Login.gov gets the requested authentication value,
//     otherwise the default, and never an identity value. It gets verified_at with any proofed
//     data, even if not requested or registered.
//
// Errors are *idp.Refusal: RefusedComparison, RefusedAuthnContext if all values are unknown,
// RefusedAuthnContextLevel for a higher level than the provider may request.
func Resolve(a ContextRequest, sp *idp.ServiceProvider) (*Requirement, error) {
	switch a.Comparison {
	case "", "exact", "minimum", "maximum", "better": // saml-core §3.3.2.2.1
	default:
		return nil, idp.Refuse(idp.RefusedComparison, "Comparison", a.Comparison)
	}
	r := &Requirement{}
	w, err := r.readRefs(a.ClassRefs, sp)
	if err != nil {
		return nil, err
	}
	r.decideLevels(a, w, sp)
	r.selectAttributes(w, sp)
	return r, nil
}

// contextSet is the result of reading the values of one request.
type contextSet struct {
	ialContext, aalContext, strictContext, genericContext *context
	attributes                []string // requested names, lower case
	hasAttributes             bool     // true even if the list is empty
}

// readRefs sorts the values and refuses those that are not allowed.
func (r *Requirement) readRefs(refs []string, sp *idp.ServiceProvider) (w contextSet, err error) {
	var bad []string // for a refusal
	valid := false
	for _, ref := range refs {
		ref = strings.TrimSpace(ref) // white space of an anyURI collapses
		if names, ok := parseAttributeList(ref); ok {
			w.hasAttributes = true
			w.attributes = append(w.attributes, names...)
			continue
		}
		c := contexts[ref]
		if c == nil || c.isCompanion {
			bad = append(bad, ref)
			if c == nil {
				r.UnknownClassRefs = appendBounded(r.UnknownClassRefs, ref)
				continue
			}
		}
		valid = valid || !c.isCompanion
		if !c.isAllowedFor(sp) {
			return w, idp.Refuse(idp.RefusedAuthnContextLevel, fieldClassRef, ref, sp.IAL)
		}
		r.usesURN = r.usesURN || strings.HasPrefix(ref, nsACR)
		w.addContext(c)
	}
	if len(bad) > 0 && !valid {
		return w, idp.Refuse(idp.RefusedAuthnContext, fieldClassRef, bad[0], strings.Join(ListClassRefs(), ", "))
	}
	return w, nil
}

// addContext keeps the value of each kind that counts.
func (w *contextSet) addContext(c *context) {
	switch {
	case c.kind == kindIAL && (w.ialContext == nil || c.rank < w.ialContext.rank):
		w.ialContext = c
	case c.kind == kindAAL && w.aalContext == nil:
		w.aalContext = c
	case c.kind == kindStrict:
		w.strictContext = c
	case c.kind == kindGeneric && w.genericContext == nil:
		w.genericContext = c
	}
}

// decideLevels sets the levels and the values that the Response states about them.
func (r *Requirement) decideLevels(a ContextRequest, w contextSet, sp *idp.ServiceProvider) {
	r.IAL = chooseDefaultIAL(sp)
	if w.ialContext != nil {
		r.IAL = w.ialContext.ial
		if r.IAL == IALAuthOnly && a.Comparison == "minimum" && allowsVerified(sp) {
			r.IAL = IALMax
		}
	}
	registered, stated := chooseDefaultAAL(sp)
	r.AAL = registered
	r.aalValue = trimParameters(stated)
	r.ClassRef = stated
	switch {
	case w.aalContext != nil:
		r.AAL = w.aalContext.aal
		r.aalValue = trimParameters(w.aalContext.uri)
		r.ClassRef = w.aalContext.uri
	case w.ialContext != nil:
		r.ClassRef = w.ialContext.uri
	case w.strictContext != nil:
		r.ClassRef = w.strictContext.uri
	case w.genericContext != nil:
		r.ClassRef = w.genericContext.uri
	}
	if r.requestedRef = r.ClassRef; w.aalContext == nil && sp.IsLoginGovCompatible() {
		r.ClassRef = stated
	}
	if a.IsUnsigned {
		r.AAL = max(r.AAL, registered)
	}
	if r.IAL.isProofed() {
		r.AAL = max(r.AAL, AAL2)
	}
	// A provider that may see proofed data never accepts a remembered device, even if this
	// request asks for no proofed data.
	r.AllowsRememberedDevice = r.AAL == AALDefault && !allowsVerified(sp)
}

// trimParameters returns a value without its parameters.
func trimParameters(uri string) string {
	b, _, _ := strings.Cut(uri, "?")
	return b
}

// appendBounded appends to a list for the log, within its limits.
func appendBounded(list []string, s string) []string {
	if len(list) >= maxLogged {
		return list
	}
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "…"
	}
	return append(list, s)
}

// IsSatisfiedBy reports whether a user with this proofing can be signed in. If not, the request
// is refused or the user is sent to be proofed.
func (r *Requirement) IsSatisfiedBy(p Proofing) bool {
	switch r.IAL {
	case IALVerified, IALFacialPreferred:
		// "preferred" demands a facial match only from a user who has no proofed
		// identity yet, and it is not satisfied in that case either.
		return p != ProofingNone
	case IALFacialRequired:
		return p == ProofingFacialMatch
	}
	return true
}
