package idp

import "time"

// Use is one use of a year by a service provider (SP): a verified AuthnRequest or
// LogoutRequest or, where requests are unsigned, an issued assertion. Previews, rehearsals and
// metadata downloads are not uses.
type Use struct {
	SP   EntityID
	Year Year
	At   time.Time
	// CertSHA256 is the fingerprint of the SP's request certificate that verified the
	// message; "" if it was unsigned.
	CertSHA256 string
	// RelayStateLength is in bytes.
	RelayStateLength int
	// IssuedAt is the request's IssueInstant. Its difference from ReceivedAt, or from At
	// if ReceivedAt is zero, shows the error of the SP's clock. Zero: unknown.
	IssuedAt, ReceivedAt time.Time
}

// Fetch is one download of a metadata document.
type Fetch struct {
	// Year is the year of the document; "" for the stable document.
	Year Year
	At   time.Time
	// SP is the value of the query parameter "sp": a hint, never proof. "" if the
	// parameter is missing.
	SP EntityID
	// IPAddress and UserAgent describe the client. They are not verified.
	IPAddress, UserAgent string
}
