package rotation

import (
	"time"

	"pgregory.net/rapid"

	"vernal/idp"
)

// full returns a year with key and the calendar's certificate, gone one whose key
// was destroyed, bare one that waits for its certificate.
func full(y idp.Year) MadeKey {
	return MadeKey{Year: y, CertEndAt: DefaultPolicy().Dates(y).CertEndAt, HasKey: true}
}
func gone(y idp.Year) MadeKey {
	return MadeKey{Year: y, CertEndAt: DefaultPolicy().Dates(y).CertEndAt, HasKey: false}
}
func bare(y idp.Year) MadeKey { return MadeKey{Year: y, HasKey: true} }

func drawTime(t *rapid.T) time.Time {
	return time.Unix(rapid.Int64Range(at("2023-01-01").Unix(), at("2034-01-01").Unix()).Draw(t, "now"), 0).UTC()
}
