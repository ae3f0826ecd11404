package idp

import "time"

// Use is one use of a year by a service provider (SP): a verified AuthnRequest
// or LogoutRequest or, where requests are unsigned, an issued assertion.
// Previews, rehearsals and loads of metadata are not uses.
type Use struct {
	SP   EntityID
	Year Year
	At   time.Time
	// CertSHA256 is the SP's request certificate that verified; "" if unsigned.
	CertSHA256 string
	// RelayState is its length in bytes.
	RelayState int
	// IssuedAt is the request's IssueInstant. Compared with ReceivedAt, or with
	// At if that is zero, it shows how wrong the SP's clock is. Zero: unknown.
	IssuedAt, ReceivedAt time.Time
}

// Fetch is one load of a metadata document.
type Fetch struct {
	// Year is the document's; "" for the stable one.
	Year Year
	At   time.Time
	// SP is the value of the query parameter "sp": a hint, never proof. "" if
	// there was none.
	SP EntityID
	// Address and UserAgent are the client's, unchecked.
	Address, UserAgent string
}
