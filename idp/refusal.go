package idp

import "fmt"

// Refusal is the reason why a message or a sign-in was turned down, in terms that an integrator can
// act on. The texts for Expected and Remedy are in the catalogues under the Code
// ("refusal.CODE.title", ".expected", ".remedy"). Args fills their placeholders {0}, {1}, ….
//
// A Refusal is shown to unverified senders. Seen is the value that they sent, cut to a bounded
// length. Args holds only values that the sender may know, never a registered URL or certificate
// before the sender's signature is verified. Err is only for the log.
type Refusal struct {
	Code  RefusalCode
	Field string // the part of the message, as the standard names it
	Seen  string // the value found there; "" if absent
	Args  []string
	Err   error
}

// RefusalCode identifies the reason of a refusal. It is stable, because catalogues, audit
// records and the test corpus use it.
type RefusalCode string

// Codes of the binding.
const (
	RefusedRequestMissing    RefusalCode = "request_missing"      // no SAMLRequest
	RefusedParameterTwice    RefusalCode = "parameter_twice"      // a parameter more than once, or in query and body
	RefusedParameterConflict RefusalCode = "parameter_conflict"   // SAMLResponse in addition to SAMLRequest
	RefusedParameterInvalid  RefusalCode = "parameter_invalid"    // broken percent-encoding or form
	RefusedRequestTooLarge   RefusalCode = "request_too_large"    // before or after inflating
	RefusedBase64            RefusalCode = "base64_invalid"       //
	RefusedDeflate           RefusalCode = "deflate_invalid"      //
	RefusedXML               RefusalCode = "xml_invalid"          // not well-formed, or uses a feature that SAML never needs
	RefusedMessageType       RefusalCode = "message_type"         // not a message for this endpoint
	RefusedRelayState        RefusalCode = "relay_state_too_long" // over 2,048 bytes
)

// Codes of the signature.
const (
	RefusedSignatureMissing   RefusalCode = "signature_missing"
	RefusedSignatureTwice     RefusalCode = "signature_twice"      // several, or embedded and detached
	RefusedSignatureShape     RefusalCode = "signature_shape"      // in the wrong place, or with parts we never accept
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
	RefusedBeforeRestore      RefusalCode = "issued_before_restore" // it may have been accepted already
	RefusedIssuer             RefusalCode = "issuer_invalid"
	RefusedSPUnknown          RefusalCode = "sp_unknown"
	RefusedSPInactive         RefusalCode = "sp_inactive"
	RefusedDestination        RefusalCode = "destination"
	RefusedACSURL             RefusalCode = "acs_url"
	RefusedACSIndex           RefusalCode = "acs_index"
	RefusedNameIDFormat       RefusalCode = "name_id_format"
	RefusedSubjectForm        RefusalCode = "subject_invalid" // a Subject that is unreadable or that no answer can match
	RefusedAuthnContext       RefusalCode = "authn_context_unknown"
	RefusedAuthnContextLevel  RefusalCode = "authn_context_not_allowed"
	RefusedComparison         RefusalCode = "comparison"
	RefusedNotOnOrAfter       RefusalCode = "not_on_or_after" // a LogoutRequest that has expired
	RefusedNameID             RefusalCode = "name_id_invalid" // none, several, or an unreadable one
	RefusedEncryptedID        RefusalCode = "encrypted_id"    // does not open with this year's key
	RefusedSessionIndex       RefusalCode = "session_index"
	RefusedNoLogoutURL        RefusalCode = "no_logout_url" // no URL to send the answer to
	RefusedValue              RefusalCode = "value_invalid" // an attribute or element with a value that its type does not allow
)

// Codes of a sign-in in progress.
const (
	RefusedReplay        RefusalCode = "replayed"         // the ID was used before, from another browser
	RefusedSubject       RefusalCode = "subject_mismatch" // the request is about another user
	RefusedAnswered      RefusalCode = "already_used"     // the request was already answered
	RefusedStale         RefusalCode = "request_stale"    // the stored request is missing or expired
	RefusedOtherBrowser  RefusalCode = "other_browser"    // the request's cookie is missing
	RefusedNoProofing    RefusalCode = "not_verified"     // the user has no proofed identity
	RefusedNoFactor      RefusalCode = "factor_missing"   // the user has no factor of the requested level
	RefusedAccountLocked RefusalCode = "account_locked"   //
)

// loggableSeen lists the codes whose Seen may be logged.
var loggableSeen = map[RefusalCode]bool{
	RefusedMessageType: true, RefusedParameterTwice: true, RefusedRequestTooLarge: true,
	RefusedSignature: true, RefusedSignatureAlgorithm: true, RefusedDigestAlgorithm: true, RefusedCanonicalization: true, RefusedTransform: true,
	RefusedVersion: true, RefusedIssueInstant: true, RefusedIssueInstantOld: true, RefusedIssueInstantFuture: true, RefusedBeforeRestore: true,
	RefusedIssuer: true, RefusedSPUnknown: true, RefusedSPInactive: true, RefusedDestination: true,
	RefusedACSURL: true, RefusedACSIndex: true,
	RefusedNameIDFormat: true, RefusedAuthnContext: true, RefusedAuthnContextLevel: true, RefusedComparison: true,
	RefusedReplay: true, RefusedAnswered: true, RefusedNoProofing: true, RefusedNoFactor: true,
}

// Refuse returns a Refusal of a field's value, cut to 200 bytes.
func Refuse(code RefusalCode, field, seen string, args ...string) *Refusal {
	return &Refusal{Code: code, Field: field, Seen: Clip(seen, 200), Args: args}
}

// WithCause adds a cause for the log.
func (r *Refusal) WithCause(err error) *Refusal {
	r.Err = err
	return r
}

// Error returns the text for the log. It includes Seen only where that is a term of the
// standard, a URL or a time. An unreadable message may contain anything, including a name and
// an email address.
func (r *Refusal) Error() string {
	s := fmt.Sprintf("refused (%s): %s", r.Code, r.Field)
	if loggableSeen[r.Code] {
		s += fmt.Sprintf(" %q", r.Seen)
	}
	if r.Err != nil {
		s += ": " + r.Err.Error()
	}
	return s
}

func (r *Refusal) Unwrap() error { return r.Err }
