package sp

import (
	"slices"
	"strconv"
	"strings"

	"vernal/certs"
	"vernal/idp"
)

// Kind tells how a field of a registration is written as text.
type Kind int

// The kinds of field.
const (
	KindText Kind = iota // one value
	KindBool             // "true" or "false"
	KindList             // any number of values, in order
	KindCert             // a list of certificates, PEM
	KindInts             // a list of numbers
	KindMap              // a list of LANGUAGE=TEXT
)

// IsList reports whether a field of the kind takes any number of values.
func (k Kind) IsList() bool { return k >= KindList }

// Field describes one field of a registration to whatever lets people edit it.
type Field struct {
	// Name is the JSON name.
	Name string
	Kind Kind
	// Values are the ones allowed; empty: any that Validate takes.
	Values []string
	// Clears tells that the field may be emptied.
	Clears bool
	// Help says what the field is for, in a few words.
	Help string

	one  string // what one value of a list is called, if not Name
	text func(*idp.ServiceProvider) *string
	list func(*idp.ServiceProvider) *[]string
	flag func(*idp.ServiceProvider) *bool
}

// Option is the name of the setting that gives the field a value, as in idp.Option.
func (f *Field) Option() string {
	if f.one != "" {
		return f.one
	}
	return f.Name
}

// Fields lists the fields that an Edit can change, in the order of a
// registration's JSON.
func Fields() []Field { return slices.Clone(fieldTable) }

// languages are the keys of HelpText.
var languages = []string{"en", "es", "fr"}

// attributeNames are the attributes that a provider can be allowed.
var attributeNames = []string{
	"uuid", "email", "all_emails", "locale", "first_name", "middle_name", "last_name",
	"address1", "address2", "city", "state", "zipcode", "dob", "ssn", "phone", "verified_at",
	"aal", "ial", "x509_subject", "x509_issuer", "x509_presented", "ascii",
}

// fieldTable is never changed. EntityID is not in it: it is what a registration
// is found by, and it stays.
var fieldTable = []Field{
	{Name: "name", Help: "the `NAME` that people see while they sign in",
		text: func(p *idp.ServiceProvider) *string { return &p.Name }},
	{Name: "agency", Clears: true, Help: "the agency; its providers see the same NameID for a person",
		text: func(p *idp.ServiceProvider) *string { return &p.Agency }},
	{Name: "acs_urls", one: "acs_url", Kind: KindList, Help: "the `URL` of an Assertion Consumer Service (HTTP-POST); the first is the default",
		list: func(p *idp.ServiceProvider) *[]string { return &p.ACSURLs }},
	{Name: "acs_indexes", one: "acs_index", Kind: KindInts, Help: "the index of the URL at the same place in acs_urls"},
	{Name: "logout_url", Clears: true, Help: "the `URL` where LogoutResponses are posted",
		text: func(p *idp.ServiceProvider) *string { return &p.LogoutURL }},
	{Name: "certs", one: "cert", Kind: KindCert, Help: "a `FILE` with a request certificate of the provider",
		list: func(p *idp.ServiceProvider) *[]string { return &p.Certs }},
	{Name: "encryption_certs", one: "encryption_cert", Kind: KindCert, Help: "a `FILE` with a certificate to encrypt assertions to",
		list: func(p *idp.ServiceProvider) *[]string { return &p.EncryptionCerts }},
	{Name: "redirect_uris", one: "redirect_uri", Kind: KindList, Help: "a further address that the ACS may redirect to",
		list: func(p *idp.ServiceProvider) *[]string { return &p.RedirectURIs }},
	{Name: "sign_requests", Values: []string{idp.SignRequestsRequired, idp.SignRequestsOptional},
		Help: "whether AuthnRequests must be signed",
		text: func(p *idp.ServiceProvider) *string { return &p.SignRequests }},
	{Name: "compat", Values: []string{idp.CompatNone, idp.CompatLoginGov},
		Help: "the identity provider whose looser answers it relies on",
		text: func(p *idp.ServiceProvider) *string { return &p.Compat }},
	{Name: "encryption", Values: []string{idp.EncryptionNone, idp.EncryptionCBC, idp.EncryptionGCM},
		Help: "how assertions are encrypted",
		text: func(p *idp.ServiceProvider) *string { return &p.Encryption }},
	{Name: "encryption_digest", Values: []string{idp.DigestSHA1, idp.DigestSHA256},
		Help: "the digest inside RSA-OAEP",
		text: func(p *idp.ServiceProvider) *string { return &p.EncryptionDigest }},
	{Name: "sign_response", Kind: KindBool, Help: "sign the Response element too",
		flag: func(p *idp.ServiceProvider) *bool { return &p.SignResponse }},
	{Name: "sign_logout_response", Kind: KindBool, Help: "sign LogoutResponses",
		flag: func(p *idp.ServiceProvider) *bool { return &p.SignLogoutResponse }},
	{Name: "ial", Values: []string{idp.IALAuthOnly, idp.IALVerified, idp.IALFacialMatch},
		Help: "the highest `LEVEL` of identity assurance that it may ask for",
		text: func(p *idp.ServiceProvider) *string { return &p.IAL }},
	{Name: "allow_ialmax", Kind: KindBool, Help: "let it ask for ialmax",
		flag: func(p *idp.ServiceProvider) *bool { return &p.AllowIALMax }},
	{Name: "aal", Values: []string{idp.AALDefault, idp.AAL2, idp.AALPhishingResistant, idp.AALHSPD12},
		Help: "the authentication assurance when a request names none",
		text: func(p *idp.ServiceProvider) *string { return &p.AAL }},
	{Name: "attributes", one: "attribute", Kind: KindList, Values: attributeNames, Help: "an `ATTRIBUTE` that it may have",
		list: func(p *idp.ServiceProvider) *[]string { return &p.Attributes }},
	{Name: "email_attribute", Values: []string{idp.EmailAttributePlain, idp.EmailAttributeClaimURI},
		Help: "the name that the email attribute goes by",
		text: func(p *idp.ServiceProvider) *string { return &p.EmailAttribute }},
	{Name: "name_id_formats", one: "name_id_format", Kind: KindList, Values: []string{idp.NameIDFormatPersistent, idp.NameIDFormatEmail},
		Help: "a NameID `FORMAT` that it may have",
		list: func(p *idp.ServiceProvider) *[]string { return &p.NameIDFormats }},
	{Name: "return_to_sp_url", Clears: true, Help: "where people go who cancel",
		text: func(p *idp.ServiceProvider) *string { return &p.ReturnToSPURL }},
	{Name: "failure_to_proof_url", Clears: true, Help: "where people go whose identity could not be verified",
		text: func(p *idp.ServiceProvider) *string { return &p.FailureToProofURL }},
	{Name: "sp_initiated_login_url", Clears: true, Help: "where a sign-in starts at the provider",
		text: func(p *idp.ServiceProvider) *string { return &p.SPInitiatedLoginURL }},
	{Name: "metadata_url", Clears: true, Help: "where its metadata is published",
		text: func(p *idp.ServiceProvider) *string { return &p.MetadataURL }},
	{Name: "logo", Clears: true, Help: "the address of its logo",
		text: func(p *idp.ServiceProvider) *string { return &p.Logo }},
	{Name: "help_text", Kind: KindMap, Help: "a help text, as `LANGUAGE=TEXT`"},
	{Name: "contacts", one: "contact", Kind: KindList, Help: "the address of somebody who looks after it; es: or fr: in front of it is the language to write in",
		list: func(p *idp.ServiceProvider) *[]string { return &p.Contacts }},
	{Name: "allow_prompt_create", Kind: KindBool, Help: "let it open sign-up in place of sign-in",
		flag: func(p *idp.ServiceProvider) *bool { return &p.AllowPromptCreate }},
	{Name: "preview", Clears: true, Help: "a `YEAR` that it may try before the year is published",
		text: func(p *idp.ServiceProvider) *string { return (*string)(&p.Preview) }},
	{Name: "state", Values: []string{idp.StateSandbox, idp.StateApproved}, Help: "whether it is approved",
		text: func(p *idp.ServiceProvider) *string { return &p.State }},
	{Name: "team", Clears: true, Help: "the team that looks after it",
		text: func(p *idp.ServiceProvider) *string { return &p.Team }},
	{Name: "active", Kind: KindBool, Help: "whether people can sign in to it",
		flag: func(p *idp.ServiceProvider) *bool { return &p.Active }},
}

// lookupField finds a field by its JSON name; nil if there is none.
func lookupField(name string) *Field {
	for i := range fieldTable {
		if fieldTable[i].Name == name {
			return &fieldTable[i]
		}
	}
	return nil
}

// Read gives the field's values as text, none for an empty one.
func (f *Field) Read(p *idp.ServiceProvider) []string {
	switch {
	case f.flag != nil:
		return []string{strconv.FormatBool(*f.flag(p))}
	case f.list != nil:
		return *f.list(p)
	case f.text != nil:
		if len(f.Values) == 0 && *f.text(p) == "" {
			return nil
		}
		return []string{*f.text(p)}
	case f.Kind == KindInts:
		return numbers(p.ACSIndexes)
	}
	var out []string
	for _, lang := range languages {
		if text := p.HelpText[lang]; text != "" {
			out = append(out, lang+"="+text)
		}
	}
	return out
}

func numbers(list []int) []string {
	var out []string
	for _, n := range list {
		out = append(out, strconv.Itoa(n))
	}
	return out
}

// shortValue gives the field's value as one short text for the audit trail. What may
// be about a person, or is long, is only counted.
func (f *Field) shortValue(p *idp.ServiceProvider) string {
	switch {
	case f.Name == "contacts" || f.Kind == KindMap:
		return strconv.Itoa(len(f.Read(p))) + " entries"
	case f.Kind == KindCert:
		parsed, err := parseAll(f.Read(p))
		if err != nil {
			return "unreadable"
		}
		prints := make([]string, len(parsed))
		for i, c := range parsed {
			prints[i] = certs.CertSHA256(c)
		}
		return strings.Join(prints, " ")
	}
	return strings.Join(f.Read(p), " ")
}
