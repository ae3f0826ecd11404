package sp

import (
	"cmp"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"vernal/certs"
	"vernal/idp"
)

// Kind says how a field of a registration is written as text.
type Kind int

// The kinds of field.
const (
	KindText Kind = iota // one value
	KindBool             // "true" or "false"
	KindFile             // the name of a stored file; Edit.Logo contains a new one
	KindList             // any number of values, in order
	KindCert             // a list of certificates, PEM
	KindInts             // a list of numbers
	KindMap              // a list of LANGUAGE=TEXT
)

// IsList reports whether a field of the kind takes any number of values.
func (k Kind) IsList() bool { return k >= KindList }

// Field describes one field of a registration to programs that edit it.
type Field struct {
	// Name is the JSON name.
	Name string
	Kind Kind
	// Values are the allowed values; if empty, any that Validate accepts.
	Values []string
	// CanClear reports whether the field may be cleared.
	CanClear bool
	// Help describes the purpose of the field in a few words.
	Help string

	option  string // the name of one value of a list, if not Name
	implied string // the value of a registration without the field
	index   int    // of the field in an idp.ServiceProvider
}

// Option returns the name of the setting that gives the field a value, as in idp.Option.
func (f *Field) Option() string {
	if f.option != "" {
		return f.option
	}
	return f.Name
}

// Fields lists the fields that an Edit can change, in the order of a
// registration's JSON.
func Fields() []Field { return slices.Clone(fieldTable) }

// languages are the keys of HelpText.
var languages = []string{"en", "es", "fr"}

// attributeNames are the attributes that a provider can be registered for.
var attributeNames = []string{
	"uuid", "email", "all_emails", "locale", "first_name", "middle_name", "last_name",
	"address1", "address2", "city", "state", "zipcode", "dob", "ssn", "phone", "verified_at",
	"aal", "ial", "x509_subject", "x509_issuer", "x509_presented", "ascii",
}

// fieldTable is never changed. It does not contain EntityID, which identifies a registration
// and cannot be edited.
var fieldTable = placeFields([]Field{
	{Name: "name", Help: "the `NAME` that users see when they sign in"},
	{Name: "agency", CanClear: true, Help: "the agency; its providers get the same NameID for a user"},
	{Name: "acs_urls", option: "acs_url", Help: "the `URL` of an Assertion Consumer Service (HTTP-POST); the first is the default"},
	{Name: "acs_indexes", option: "acs_index", Help: "the index of the URL at the same place in acs_urls"},
	{Name: "logout_url", CanClear: true, Help: "the `URL` where LogoutResponses are posted"},
	{Name: "certs", option: "cert", Kind: KindCert, Help: "a `FILE` with a request certificate of the provider"},
	{Name: "encryption_certs", option: "encryption_cert", Kind: KindCert, Help: "a `FILE` with a certificate to encrypt assertions to"},
	{Name: "redirect_uris", option: "redirect_uri", Help: "a further `URL` that the ACS may redirect to"},
	{Name: "sign_requests", Values: []string{idp.SignRequestsRequired, idp.SignRequestsOptional}, Help: "whether AuthnRequests must be signed"},
	{Name: "compat", Values: []string{idp.CompatNone, idp.CompatLoginGov}, Help: "the identity provider whose lenient behavior it relies on"},
	{Name: "encryption", Values: []string{idp.EncryptionNone, idp.EncryptionCBC, idp.EncryptionGCM}, Help: "how assertions are encrypted"},
	{Name: "encryption_digest", Values: []string{idp.DigestSHA1, idp.DigestSHA256}, Help: "the digest inside RSA-OAEP"},
	{Name: "sign_response", Help: "sign the Response element too"},
	{Name: "sign_logout_response", Help: "sign LogoutResponses"},
	{Name: "ial", Values: []string{idp.IALAuthOnly, idp.IALVerified, idp.IALFacialMatch}, Help: "the highest identity assurance `LEVEL` that it may request"},
	{Name: "allow_ialmax", Help: "allow ialmax"},
	{Name: "aal", Values: []string{idp.AALDefault, idp.AAL2, idp.AALPhishingResistant, idp.AALHSPD12}, Help: "the authentication assurance when a request names none"},
	{Name: "attributes", option: "attribute", Values: attributeNames, Help: "an `ATTRIBUTE` that it may get"},
	{Name: "email_attribute", Values: []string{idp.EmailAttributePlain, idp.EmailAttributeClaimURI}, Help: "the name of the email attribute"},
	{Name: "name_id_formats", option: "name_id_format", Values: []string{idp.NameIDFormatPersistent, idp.NameIDFormatEmail}, Help: "a NameID `FORMAT` that it may get"},
	{Name: "consent", implied: idp.ConsentAsk, Values: []string{idp.ConsentAsk, idp.ConsentNone}, Help: "whether users are asked before it gets data about them"},
	{Name: "return_to_sp_url", CanClear: true, Help: "the `URL` for users who cancel"},
	{Name: "failure_to_proof_url", CanClear: true, Help: "the `URL` for users whose identity cannot be verified"},
	{Name: "sp_initiated_login_url", CanClear: true, Help: "the `URL` where a sign-in starts at the provider"},
	{Name: "metadata_url", CanClear: true, Help: "the `URL` of its metadata"},
	{Name: "logo", Kind: KindFile, CanClear: true, Help: "a `FILE` with its logo, SVG or PNG, that pages show; \"\" for none"},
	{Name: "help_text", Help: "a help text, as `LANGUAGE=TEXT`"},
	{Name: "contacts", option: "contact", Help: "the `EMAIL` of its contact; a prefix es: or fr: is the language to write in"},
	{Name: "allow_prompt_create", Help: "allow requests that open sign-up instead of sign-in"},
	{Name: "preview", CanClear: true, Help: "a `YEAR` that it may use before the year is published"},
	{Name: "state", Values: []string{idp.StateSandbox, idp.StateApproved}, Help: "whether it is approved"},
	{Name: "team", CanClear: true, Help: "the team responsible for it"},
	{Name: "active", Help: "whether users can sign in to it"},
})

// placeFields finds the fields in a registration. Their Go types determine their kinds, except
// for certificates.
func placeFields(table []Field) []Field {
	indexes := make(map[string]int)
	for i, sf := range reflect.VisibleFields(reflect.TypeFor[idp.ServiceProvider]()) {
		name, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
		indexes[name] = i
	}
	for i := range table {
		f, ok := &table[i], false
		if f.index, ok = indexes[f.Name]; !ok {
			panic("registrations have no field " + f.Name)
		}
		switch f.pointTo(&idp.ServiceProvider{}).(type) {
		case *bool:
			f.Kind = KindBool
		case *[]string:
			f.Kind = max(f.Kind, KindList) // or KindCert
		case *[]int:
			f.Kind = KindInts
		case *map[string]string:
			f.Kind = KindMap
		}
	}
	return table
}

// pointTo returns a pointer to the field in p: a *string, *bool, *[]string, *[]int or
// *map[string]string.
func (f *Field) pointTo(p *idp.ServiceProvider) any {
	v := reflect.ValueOf(p).Elem().Field(f.index)
	if v.Kind() == reflect.String {
		return v.Addr().Convert(reflect.TypeFor[*string]()).Interface()
	}
	return v.Addr().Interface()
}

// lookupField returns a field by its JSON name, or nil.
func lookupField(name string) *Field {
	i := slices.IndexFunc(fieldTable, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	return &fieldTable[i]
}

// Read returns the field's values as text, none for an empty one.
func (f *Field) Read(p *idp.ServiceProvider) []string {
	var values []string
	switch v := f.pointTo(p).(type) {
	case *bool:
		values = []string{strconv.FormatBool(*v)}
	case *[]string:
		values = *v
	case *string:
		if text := cmp.Or(*v, f.implied); len(f.Values) > 0 || text != "" {
			values = []string{text}
		}
	case *[]int:
		for _, n := range *v {
			values = append(values, strconv.Itoa(n))
		}
	case *map[string]string:
		for _, lang := range languages {
			if text := (*v)[lang]; text != "" {
				values = append(values, lang+"="+text)
			}
		}
	}
	return values
}

// shortValue returns the field's value as one short text for the audit trail. It only counts
// values that are long or may contain personal data.
func (f *Field) shortValue(p *idp.ServiceProvider) string {
	switch {
	case f.Name == "contacts" || f.Kind == KindMap:
		return strconv.Itoa(len(f.Read(p))) + " entries"
	case f.Kind == KindCert:
		certificates, err := parseAll(f.Read(p))
		if err != nil {
			return "unreadable"
		}
		fingerprints := make([]string, len(certificates))
		for i, c := range certificates {
			fingerprints[i] = certs.CertSHA256(c)
		}
		return strings.Join(fingerprints, " ")
	}
	return strings.Join(f.Read(p), " ")
}
