package idp

import "fmt"

// Refusal says why a message or a sign-in was turned down, in terms that an
// integrator can act upon. The texts for Expected and Remedy are in the
// catalogues under the Code ("refusal.CODE.title", ".expected", ".remedy");
// Args fills their placeholders {0}, {1}, ….
//
// A Refusal is shown to strangers. Seen is what they sent themselves, cut to a
// sane length; Args hold only what the sender may know, never a registered URL
// or certificate before the sender's signature is verified. Err is for the log
// alone.
type Refusal struct {
	Code  RefusalCode
	Field string // the part of the message, as the standard names it
	Seen  string // the value found there; "" if absent
	Args  []string
	Err   error
}

// RefusalCode names a reason for a refusal. It is stable: catalogues, audit
// records and the test corpus use it.
type RefusalCode string

// Codes of the binding: how the message travelled.
const (
	RefusedRequestMissing    RefusalCode = "request_missing"      // no SAMLRequest
	RefusedParameterTwice    RefusalCode = "parameter_twice"      // a parameter more than once, or in query and body
	RefusedParameterConflict RefusalCode = "parameter_conflict"   // SAMLResponse beside SAMLRequest
	RefusedParameterInvalid  RefusalCode = "parameter_invalid"    // broken percent-encoding or form
	RefusedRequestTooLarge   RefusalCode = "request_too_large"    // before or after inflating
	RefusedBase64            RefusalCode = "base64_invalid"       //
	RefusedDeflate           RefusalCode = "deflate_invalid"      //
	RefusedXML               RefusalCode = "xml_invalid"          // not well-formed, or uses what SAML never needs
	RefusedMessageType       RefusalCode = "message_type"         // another message than the address takes
	RefusedRelayState        RefusalCode = "relay_state_too_long" // over 2,048 bytes
)

// Codes of the signature.
const (
	RefusedSignatureMissing   RefusalCode = "signature_missing"
	RefusedSignatureTwice     RefusalCode = "signature_twice"      // several, or embedded and detached
	RefusedSignatureShape     RefusalCode = "signature_shape"      // in the wrong place, or with parts we never take
	RefusedSignatureAlgorithm RefusalCode = "signature_algorithm"  //
	RefusedDigestAlgorithm    RefusalCode = "digest_algorithm"     //
	RefusedCanonicalization   RefusalCode = "canonicalization"     //
	RefusedTransform          RefusalCode = "transform"            //
	RefusedReference          RefusalCode = "signature_reference"  // does not cover the message
	RefusedSignatureBase64    RefusalCode = "signature_base64"     //
	RefusedSignatureParams    RefusalCode = "signature_parameters" // SigAlg without Signature, or on HTTP-POST
	RefusedDigest             RefusalCode = "digest_mismatch"      // the message changed after signing
	RefusedSignature          RefusalCode = "signature_mismatch"   // no registered certificate verifies it
	RefusedNoCertificate      RefusalCode = "no_certificate"       // none registered
)

// Codes of the message's content.
const (
	RefusedVersion            RefusalCode = "version"
	RefusedID                 RefusalCode = "id_invalid"
	RefusedIssueInstant       RefusalCode = "issue_instant_invalid"
	RefusedIssueInstantOld    RefusalCode = "issue_instant_old"
	RefusedIssueInstantFuture RefusalCode = "issue_instant_future"
	RefusedIssuer             RefusalCode = "issuer_invalid"
	RefusedSPUnknown          RefusalCode = "sp_unknown"
	RefusedSPInactive         RefusalCode = "sp_inactive"
	RefusedDestination        RefusalCode = "destination"
	RefusedACSURL             RefusalCode = "acs_url"
	RefusedACSIndex           RefusalCode = "acs_index"
	RefusedNameIDFormat       RefusalCode = "name_id_format"
	RefusedSubjectForm        RefusalCode = "subject_invalid" // a Subject that cannot be read, or that no answer could be about
	RefusedAuthnContext       RefusalCode = "authn_context_unknown"
	RefusedAuthnContextLevel  RefusalCode = "authn_context_not_allowed"
	RefusedComparison         RefusalCode = "comparison"
	RefusedNotOnOrAfter       RefusalCode = "not_on_or_after" // a LogoutRequest that has expired
	RefusedNameID             RefusalCode = "name_id_invalid" // none, several, or one that cannot be read
	RefusedEncryptedID        RefusalCode = "encrypted_id"    // does not open with this year's key
	RefusedSessionIndex       RefusalCode = "session_index"
	RefusedNoLogoutURL        RefusalCode = "no_logout_url" // nowhere to send the answer
	RefusedValue              RefusalCode = "value_invalid" // an attribute or element with a value that its type does not allow
)

// Codes of a sign-in under way.
const (
	RefusedReplay        RefusalCode = "replayed"         // the ID came before, from another browser
	RefusedSubject       RefusalCode = "subject_mismatch" // the request is about another user
	RefusedAnswered      RefusalCode = "already_used"     // the request has its answer
	RefusedStale         RefusalCode = "request_stale"    // the stored request is gone or expired
	RefusedOtherBrowser  RefusalCode = "other_browser"    // the request's cookie did not come
	RefusedNoProofing    RefusalCode = "not_verified"     // the person has no proofed identity on record
	RefusedNoFactor      RefusalCode = "factor_missing"   // the person has no factor of the level asked for
	RefusedAccountLocked RefusalCode = "account_locked"   //
)

// tellable are the codes whose Seen may stand in the log.
var tellable = map[RefusalCode]bool{
	RefusedMessageType: true, RefusedParameterTwice: true, RefusedRequestTooLarge: true,
	RefusedSignature: true, RefusedSignatureAlgorithm: true, RefusedDigestAlgorithm: true, RefusedCanonicalization: true, RefusedTransform: true,
	RefusedVersion: true, RefusedIssueInstant: true, RefusedIssueInstantOld: true, RefusedIssueInstantFuture: true,
	RefusedIssuer: true, RefusedSPUnknown: true, RefusedSPInactive: true, RefusedDestination: true,
	RefusedACSURL: true, RefusedACSIndex: true,
	RefusedNameIDFormat: true, RefusedAuthnContext: true, RefusedAuthnContextLevel: true, RefusedComparison: true,
	RefusedReplay: true, RefusedAnswered: true, RefusedNoProofing: true, RefusedNoFactor: true,
}

// Refuse makes a Refusal of a field's value. The value is cut to 200 bytes.
func Refuse(code RefusalCode, field, seen string, args ...string) *Refusal {
	return &Refusal{Code: code, Field: field, Seen: Clip(seen, 200), Args: args}
}

// With adds a cause for the log.
func (r *Refusal) With(err error) *Refusal {
	r.Err = err
	return r
}

// Error is for the log. It says what was seen only where that is one of the
// standard's own words, an address or a time: a message that could not be read
// may hold anything, somebody's name and address included.
func (r *Refusal) Error() string {
	s := fmt.Sprintf("refused (%s): %s", r.Code, r.Field)
	if tellable[r.Code] {
		s += fmt.Sprintf(" %q", r.Seen)
	}
	if r.Err != nil {
		s += ": " + r.Err.Error()
	}
	return s
}

func (r *Refusal) Unwrap() error { return r.Err }
