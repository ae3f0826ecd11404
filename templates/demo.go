package templates

import (
	"time"

	"vernal/idp"
)

// The pages of the demonstration. Most belong to its two sample service
// providers, which stand for other people's sites: they share the layout and
// bear a head, an icon and a colour of their own. Base.Brand is the sample's
// name there, and Base.SPName stays empty.

// DemoSample is what each page of a sample knows of it and of its neighbour.
type DemoSample struct {
	Second bool   // the second of the two, which looks different
	Other  string // name of the other sample
	// OtherURL is where the page leads to there.
	OtherURL string
}

// DemoHomePage is the public first page of a sample: what it is, a way to sign
// in, and who to sign in as.
type DemoHomePage struct {
	Base
	Sample    DemoSample
	SignInURL string
	Email     string
	Password  string
	// Code is the current TOTP code, Seconds how much longer it is that, and
	// Used whether it has served already.
	Code    string
	Seconds int
	Used    bool
	// CodeURL is where the page's script looks for what is current later, as
	// JSON: code, seconds, used. "" for a page without script.
	CodeURL string
	// Post tells that requests go by HTTP-POST, Encrypted that assertions come
	// encrypted.
	Post, Encrypted bool
	EntityID        string
	// MetadataURL is the sample's metadata, IdPMetadataURL what it has read.
	MetadataURL, IdPMetadataURL string
	IdPURL                      string
	Notice                      Key
	NoticeArgs                  []string
}

// DemoAttribute is one attribute of an assertion.
type DemoAttribute struct {
	Name   string
	Values []string
}

// DemoSignedInPage shows all that a sample was told of a person.
type DemoSignedInPage struct {
	Base
	Sample     DemoSample
	Email      string // "" if it was not told
	NameID     string
	Format     string // of the NameID
	Attributes []DemoAttribute

	// ClassRef is the AuthnContextClassRef; AuthnAt when the person proved who
	// they are, which may be before they came to this sample.
	ClassRef, IAL, AAL string
	SessionIndex       string
	AuthnAt            time.Time

	// Year is whose key signed; "" if its certificate is none of the years'.
	Year        idp.Year
	Algorithm   string // of the signature
	CertEndAt   time.Time
	Fingerprint string // SHA-256 of the certificate
	// Encryption is the algorithm that hid the assertion on its way, "" if it
	// came in the clear.
	Encryption string

	// Response is the message as it came, Assertion what was inside where that
	// was encrypted; both indented.
	Response, Assertion string

	SignOutAction string
	IdPURL        string // where the person can sign out of the IdP
}

// DemoErrorPage tells why a sample did not accept what came. It shows the cause,
// which a service provider in earnest keeps to its log.
type DemoErrorPage struct {
	Base
	Sample   DemoSample
	Cause    string
	Response string // the message, indented; "" if none could be read
	RetryURL string
}

// DemoMailPage is all that the demonstration mailed, the latest first, as text.
type DemoMailPage struct {
	Base
	Mails []DemoMail
}

// DemoMail is one mail.
type DemoMail struct {
	Head string // its lines, each with its name
	Text string
}
