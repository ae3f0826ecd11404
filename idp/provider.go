package idp

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Values of ServiceProvider.SignRequests.
const (
	SignRequestsRequired = "required"
	SignRequestsOptional = "optional"
)

// Values of ServiceProvider.Encryption.
const (
	EncryptionNone = "none"
	EncryptionCBC  = "aes256-cbc"
	EncryptionGCM  = "aes256-gcm"
)

// Values of ServiceProvider.EncryptionDigest: the digest inside RSA-OAEP.
const (
	DigestSHA1   = "sha1"
	DigestSHA256 = "sha256"
)

// Values of ServiceProvider.IAL: the highest identity assurance that the provider may request.
const (
	IALAuthOnly    = "auth-only"
	IALVerified    = "verified"
	IALFacialMatch = "facial-match"
)

// Values of ServiceProvider.AAL: the authentication assurance for requests that name none.
const (
	AALDefault           = "default"
	AAL2                 = "2"
	AALPhishingResistant = "phishing-resistant"
	AALHSPD12            = "hspd12"
)

// Values of ServiceProvider.NameIDFormats.
const (
	NameIDFormatPersistent = "persistent"
	NameIDFormatEmail      = "emailAddress"
)

// Values of ServiceProvider.EmailAttribute: the Name under which the email attribute is sent.
const (
	EmailAttributePlain    = "email"
	EmailAttributeClaimURI = "claim-uri"
)

// Values of ServiceProvider.Compat.
const (
	CompatNone     = "none"
	CompatLoginGov = "login.gov"
)

// Values of ServiceProvider.Consent. "" is the same as ConsentAsk.
const (
	ConsentAsk  = "ask"
	ConsentNone = "none"
)

// Values of ServiceProvider.State.
const (
	StateSandbox  = "sandbox"
	StateApproved = "approved"
)

// ServiceProvider is the registration of one service provider (SP). The commands print and
// accept these JSON names.
type ServiceProvider struct {
	EntityID EntityID `json:"entity_id"`
	// Name is shown to users on every page of a sign-in.
	Name string `json:"name"`
	// Agency joins NameIDs across providers. Only operators set it, never metadata,
	// because it decides which providers can recognize a user.
	Agency string `json:"agency,omitempty"`
	// NameIDScope is derived from Agency and EntityID when the provider is added. See
	// NameIDScope for the reason to store it instead of computing it.
	NameIDScope NameIDScope `json:"name_id_scope"`

	// ACSURLs are the Assertion Consumer Service URLs (HTTP-POST), the default first.
	ACSURLs []string `json:"acs_urls"`
	// ACSIndexes contains, for each of ACSURLs, its index in the provider's metadata. If
	// empty, the position counts, from 0.
	ACSIndexes []int `json:"acs_indexes,omitempty"`
	// LogoutURL is the URL to which a LogoutResponse is posted.
	LogoutURL string `json:"logout_url,omitempty"`

	// Certs are the SP's request certificates, PEM. Each one is tried separately.
	Certs []string `json:"certs"`
	// EncryptionCerts are the certificates to encrypt assertions to, PEM. If empty, the
	// request certificate that verified the request is used.
	EncryptionCerts []string `json:"encryption_certs,omitempty"`
	// RedirectURIs are further URLs that a posted Response may lead to. The response
	// page's form-action allows their origins.
	RedirectURIs []string `json:"redirect_uris,omitempty"`

	SignRequests string `json:"sign_requests"`
	// Compat names the identity provider that the service provider was built for; see
	// IsLoginGovCompatible. It relaxes no signature, digest, age or replay rule. Only
	// operators set it, never metadata.
	Compat             string `json:"compat"`
	Encryption         string `json:"encryption"`
	EncryptionDigest   string `json:"encryption_digest"`
	SignResponse       bool   `json:"sign_response"`
	SignLogoutResponse bool   `json:"sign_logout_response"`

	IAL            string   `json:"ial"`
	AllowIALMax    bool     `json:"allow_ialmax"`
	AAL            string   `json:"aal"`
	Attributes     []string `json:"attributes"`
	EmailAttribute string   `json:"email_attribute"`
	NameIDFormats  []string `json:"name_id_formats"`

	// Consent says whether users are asked before data about them is disclosed. Only operators
	// set it, never metadata, because it is about the users' rights. Registrations of earlier
	// versions have none.
	Consent string `json:"consent,omitempty"`

	ReturnToSPURL       string `json:"return_to_sp_url,omitempty"`
	FailureToProofURL   string `json:"failure_to_proof_url,omitempty"`
	SPInitiatedLoginURL string `json:"sp_initiated_login_url,omitempty"`
	MetadataURL         string `json:"metadata_url,omitempty"`

	// Logo is the file name of a stored logo; see LogoPath. Registrations of earlier versions
	// have a URL here, which is never shown.
	Logo              string            `json:"logo,omitempty"`
	HelpText          map[string]string `json:"help_text,omitempty"`
	Contacts          []string          `json:"contacts,omitempty"`
	AllowPromptCreate bool              `json:"allow_prompt_create"`
	Preview           Year              `json:"preview,omitempty"`
	State             string            `json:"state"`
	Team              string            `json:"team,omitempty"`
	Active            bool              `json:"active"`

	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// StartURL returns the URL at which a user can start again at the provider: its sign-in URL,
// otherwise its home page. It is empty if neither is registered.
func (p *ServiceProvider) StartURL() string {
	return cmp.Or(p.SPInitiatedLoginURL, p.ReturnToSPURL)
}

// LogoPrefix is the path of the stored logos. Their names change with their content.
const LogoPrefix = "/static/sp-logos/"

// LogoPath returns the path of the provider's logo on our site; "" without a stored logo.
func (p *ServiceProvider) LogoPath() string {
	if p.Logo == "" || strings.Contains(p.Logo, ":") {
		return ""
	}
	return LogoPrefix + p.Logo
}

// IsLoginGovCompatible reports whether the provider gets the answers of Login.gov where ours
// differ: an unregistered ACS URL leads to the registered default, Destination is not
// compared, AuthnContextClassRef contains only the AAL, and verified_at is sent with any
// proofed data. All of this relies on requests that only the provider can make, so the result
// is false for a provider that may leave requests unsigned.
func (p *ServiceProvider) IsLoginGovCompatible() bool {
	return p.Compat == CompatLoginGov && p.SignRequests != SignRequestsOptional
}

// AllowsNameIDFormat reports whether the provider may receive the format, one of the
// NameIDFormat constants.
func (p *ServiceProvider) AllowsNameIDFormat(format string) bool {
	return slices.Contains(p.NameIDFormats, format)
}
