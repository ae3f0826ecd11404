package templates

import (
	"time"

	"vernal/idp"
)

// The pages of the demonstration. Most belong to its two sample service providers, which
// represent external sites: they share the layout and have their own header, icon and color.
// Base.Brand is the sample's name there, and Base.SPName stays empty.

// DemoSample is the data about both samples that each page of a sample needs.
type DemoSample struct {
	IsSecond bool   // the second of the two, which looks different
	OtherName  string // name of the other sample
	// OtherURL is the page's link to the other sample.
	OtherURL string
}

// DemoHomePage is the public first page of a sample: its purpose, a way to sign in, and the
// user to sign in as.
type DemoHomePage struct {
	Base
	Sample    DemoSample
	SignInURL string
	Email     string
	Password  string
	// Code is the current TOTP code, Seconds how much longer it is valid, and Used whether
	// it was already used.
	Code    string
	Seconds int
	IsUsed    bool
	// CodeURL is where the page's script loads the current values later, as JSON: code,
	// seconds, used. "" for a page without script.
	CodeURL string
	// UsesPost reports whether requests use HTTP-POST, Encrypted whether assertions are
	// encrypted.
	UsesPost, IsEncrypted bool
	EntityID        string
	// MetadataURL is the sample's metadata, IdPMetadataURL the metadata that it has
	// loaded.
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

// DemoSignedInPage shows everything that a sample received about a user.
type DemoSignedInPage struct {
	Base
	Sample     DemoSample
	Email      string // "" if it was not disclosed
	NameID     string
	Format     string // format of the NameID
	Attributes []DemoAttribute

	// ClassRef is the AuthnContextClassRef. AuthnAt is when the user authenticated, which
	// may be before they visited this sample.
	ClassRef, IAL, AAL string
	SessionIndex       string
	AuthnAt            time.Time

	// Year is the year whose key signed; "" if the certificate belongs to no year.
	Year        idp.Year
	Algorithm   string // signature algorithm
	CertEndAt   time.Time
	Fingerprint string // SHA-256 of the certificate
	// Encryption is the algorithm that encrypted the assertion, "" if it was not
	// encrypted.
	Encryption string

	// Response is the message as received, Assertion its decrypted content if it was
	// encrypted. Both are indented.
	Response, Assertion string

	SignOutAction string
	IdPURL        string // where the user can sign out of the IdP
}

// DemoErrorPage says why a sample refused a message. It shows the cause, which a production
// service provider only logs.
type DemoErrorPage struct {
	Base
	Sample   DemoSample
	Cause    string
	Response string // the message, indented; "" if none could be read
	RetryURL string
}

// DemoMailPage shows all mails of the demonstration, the latest first, as text.
type DemoMailPage struct {
	Base
	Mails []DemoMail
}

// DemoMail is one mail.
type DemoMail struct {
	Head string // its lines, each with its name
	Text string
}
