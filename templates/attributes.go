package templates

// AttributesPage lists for integrators the attributes that can be sent and the levels that can
// be requested.
type AttributesPage struct {
	Base
	Rows    []AttributeRow
	Example string // an AuthnContextClassRef that requests some
	// ClassRefs are the known values of AuthnContextClassRef.
	ClassRefs []string
}

// AttributeRow is one attribute: its name, the last part of its NameFormat, and the level at
// which it is released, an assurance.Level. The catalogues have a text for the name and the
// level.
type AttributeRow struct {
	Name, Format, Level string
	IsAlwaysReleased              bool // independent of the level
	IsUnsupported              bool // this version has no value for it
}

// Example returns a value of the attribute, of an invented user; "" for an attribute without
// one.
func (r AttributeRow) Example() string { return attributeExamples[r.Name] }

var attributeExamples = map[string]string{
	"uuid": "0198f2c4-7d1e-4c52-9f0e-0d1f6a2b7c11", "email": "ada@example.com", "all_emails": "ada@example.com, ada@example.org",
	"locale": "en", "first_name": "Ada", "middle_name": "King", "last_name": "Lovelace",
	"address1": "1 Main Street", "address2": "Apt 2", "city": "Springfield", "state": "IL", "zipcode": "62701",
	"dob": "1985-12-10", "ssn": "900123456", "phone": "+12175550123", "verified_at": "2027-03-09T14:05:00Z",
	"aal": "http://idmanagement.gov/ns/assurance/aal/2", "ial": "http://idmanagement.gov/ns/assurance/ial/2",
	"x509_subject": "C=US, O=U.S. Government, CN=Ada Lovelace", "x509_issuer": "C=US, O=U.S. Government, OU=Certification Authority", "x509_presented": "true",
}
