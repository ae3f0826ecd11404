package assurance

import (
	"strconv"
	"strings"

	"vernal/idp"
)

// Ask is what a request says about assurance, as it was sent.
type Ask struct {
	// Comparison is "" (which means exact), "exact", "minimum", "maximum" or
	// "better".
	Comparison string
	ClassRefs  []string
	// Unsigned is set for a request that anybody may have made. What it asks is
	// not the provider's word, so it cannot ask for less than the provider is
	// registered with.
	Unsigned bool
}

// AskOf is what a stored request says.
func AskOf(req *idp.LoginRequest) Ask {
	return Ask{Comparison: req.Comparison, ClassRefs: req.ClassRefs, Unsigned: req.CertSHA256 == ""}
}

// Requirement is what a sign-in must prove, and what the Response then says.
type Requirement struct {
	IAL IAL
	AAL AAL
	// RememberedDevice reports whether a remembered device may stand for the
	// second factor.
	RememberedDevice bool
	// ClassRef is the AuthnContextClassRef of the Response.
	ClassRef string
	// Attributes are the requested attributes that the provider is registered
	// for and the level allows, by their names in Table and in its order.
	// Those that are sent to everyone are not among them.
	Attributes []string
	// ASCII asks for proofed values in ASCII.
	ASCII bool

	// Dropped are requested attributes that are not sent, Unknown values of
	// AuthnContextClassRef that were passed over. Both are for the log and
	// for the integrator: cut short, in the order asked.
	Dropped []Dropped
	Unknown []string

	aalValue string // what attribute aal says
	asked    string // the value that a refusal of the user names
	urn      bool   // attribute ial speaks in urn:acr.login.gov
}

const fieldClassRef = "AuthnContextClassRef"

// maxClassRefs bounds, in bytes, the values of a request. They are kept until the
// sign-in is over, so a stranger's must be few.
const maxClassRefs = 8 << 10

// CheckLength refuses values that are too long to be kept.
func (a Ask) CheckLength() error {
	n := 0
	for _, ref := range a.ClassRefs {
		n += len(ref)
	}
	if n > maxClassRefs {
		return idp.Refuse(idp.RefusedRequestTooLarge, fieldClassRef, strconv.Itoa(n)+" bytes", strconv.Itoa(maxClassRefs))
	}
	return nil
}

// noted bounds the lists that only a log reads.
const noted = 20

// Resolve works out what the request needs from the service provider's
// registration. The rules, each a row of a test:
//
//   - one recognised value is enough; unknown ones beside it are passed over;
//   - the identity level is the strongest one asked for, the authentication
//     level the first one; what is not asked for comes from the registration;
//   - anything about proofed identity needs AAL2 at least;
//   - an unsigned request needs the registered authentication level at least;
//   - "minimum" with a level below proofing, from a provider that may ask for
//     proofing, takes proofed data if the person has it. Otherwise the
//     comparison changes nothing;
//   - the Response states the authentication value asked for, else the
//     identity value, else what a library sent unasked, else the default;
//   - a provider that was built for Login.gov is told the authentication value
//     asked for, else the default, and never an identity value. It gets verified_at
//     with any proofed data, asked for and registered or not.
//
// Errors are *idp.Refusal: RefusedComparison, RefusedAuthnContext for values
// that are all unknown, RefusedAuthnContextLevel for more than the provider may
// ask.
func Resolve(a Ask, sp *idp.ServiceProvider) (*Requirement, error) {
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

// wanted is what the values of one request come down to.
type wanted struct {
	ial, aal, strict, generic *context
	attributes                []string // requested names, lower case
	hasAttributes             bool     // asked, if only for none
}

// readRefs sorts the values and refuses what cannot be asked.
func (r *Requirement) readRefs(refs []string, sp *idp.ServiceProvider) (w wanted, err error) {
	var bad []string // for a refusal
	valid := false
	for _, ref := range refs {
		ref = strings.TrimSpace(ref) // white space of an anyURI collapses
		if names, ok := requestedAttributes(ref); ok {
			w.hasAttributes = true
			w.attributes = append(w.attributes, names...)
			continue
		}
		c := contexts[ref]
		if c == nil || c.companion {
			bad = append(bad, ref)
			if c == nil {
				r.Unknown = appendBounded(r.Unknown, ref)
				continue
			}
		}
		valid = valid || !c.companion
		if !c.isAllowedFor(sp) {
			return w, idp.Refuse(idp.RefusedAuthnContextLevel, fieldClassRef, ref, sp.IAL)
		}
		r.urn = r.urn || strings.HasPrefix(ref, nsACR)
		w.addContext(c)
	}
	if len(bad) > 0 && !valid {
		return w, idp.Refuse(idp.RefusedAuthnContext, fieldClassRef, bad[0], strings.Join(ClassRefs(), ", "))
	}
	return w, nil
}

// addContext keeps the value that counts of each kind.
func (w *wanted) addContext(c *context) {
	switch {
	case c.kind == kindIAL && (w.ial == nil || c.rank < w.ial.rank):
		w.ial = c
	case c.kind == kindAAL && w.aal == nil:
		w.aal = c
	case c.kind == kindStrict:
		w.strict = c
	case c.kind == kindGeneric && w.generic == nil:
		w.generic = c
	}
}

// decideLevels fills in the levels and what the Response states about them.
func (r *Requirement) decideLevels(a Ask, w wanted, sp *idp.ServiceProvider) {
	r.IAL = defaultIAL(sp)
	if w.ial != nil {
		r.IAL = w.ial.ial
		if r.IAL == AuthOnly && a.Comparison == "minimum" && allowsVerified(sp) {
			r.IAL = IALMax
		}
	}
	registered, stated := defaultAAL(sp)
	r.AAL = registered
	r.aalValue = trimParameters(stated)
	r.ClassRef = stated
	switch {
	case w.aal != nil:
		r.AAL = w.aal.aal
		r.aalValue = trimParameters(w.aal.uri)
		r.ClassRef = w.aal.uri
	case w.ial != nil:
		r.ClassRef = w.ial.uri
	case w.strict != nil:
		r.ClassRef = w.strict.uri
	case w.generic != nil:
		r.ClassRef = w.generic.uri
	}
	if r.asked = r.ClassRef; w.aal == nil && sp.IsLoginGovCompatible() {
		r.ClassRef = stated
	}
	if a.Unsigned {
		r.AAL = max(r.AAL, registered)
	}
	if r.IAL.isProofed() {
		r.AAL = max(r.AAL, AAL2)
	}
	// A provider that may see proofed data never takes a remembered device,
	// not even when it asks for none of it this time.
	r.RememberedDevice = r.AAL == AALDefault && !allowsVerified(sp)
}

// trimParameters is a value without its parameters.
func trimParameters(uri string) string {
	b, _, _ := strings.Cut(uri, "?")
	return b
}

// appendBounded appends to a list for the log, within bounds.
func appendBounded(list []string, s string) []string {
	if len(list) >= noted {
		return list
	}
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "…"
	}
	return append(list, s)
}

// SatisfiedBy reports whether a person proofed so can be signed in. If not, the
// request is refused or the person is sent to be proofed.
func (r *Requirement) SatisfiedBy(p Proofing) bool {
	switch r.IAL {
	case Verified, FacialPreferred:
		// "preferred" asks for a facial match only of somebody who has no
		// proofed identity yet; then, too, it is not satisfied.
		return p != Unproofed
	case FacialRequired:
		return p == ProofedFace
	}
	return true
}
