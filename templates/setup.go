package templates

// SetUpPage asks a user to set up the first authenticator.
type SetUpPage struct {
	Base
	Action           string
	Request, Service string
	Email            string // of the user who signs in
	// URL is the content of the QR code, and Groups the secret in groups to type.
	URL      string
	Groups   []string
	Name     string // the previous input
	Problems Problems
	Notice   Key
	Time     CodeTime
}

// NoticeArgs returns no arguments: no notice of the page has any.
func (SetUpPage) NoticeArgs() []string { return nil }

// RecoveryCodesPage offers recovery codes, or shows a new set, once.
type RecoveryCodesPage struct {
	Base
	Action           string
	Request, Service string
	// Set identifies the current set, which a new one replaces. Left is the number of its unused
	// codes.
	Set    string
	HasSet bool
	Left   int
	// Codes is a new set; nil for none.
	Codes []string
	// WasShown reports that the form was sent again, after its codes were shown.
	WasShown bool
	Notice   Key
	// NextURL is where the user continues. Its parts are for a form, and empty for a URL of
	// another site, which is a link.
	NextURL, NextPath, NextRequest string
}
