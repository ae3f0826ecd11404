package journey

import (
	"encoding/base64"
	"net/http"
	"strings"

	"vernal/idp/account"
)

const (
	// sentParameter is the URL parameter with the sealed email address to which a mail was sent.
	sentParameter = "sent"
	sentContext   = "mail-sent"
)

// MakeSentURL returns the URL of the page that says that a mail was sent to an email address, which is
// sealed in it. A form that sends a mail leads there, so that loading the page again sends no other one.
func (s *Service) MakeSentURL(f Flow, path, email string) string {
	sealed := base64.RawURLEncoding.EncodeToString(s.Accounts.Sealer.Seal(sentContext, []byte(email)))
	link := f.AddRequest(path)
	separator := "?"
	if strings.Contains(link, "?") {
		separator = "&"
	}
	return link + separator + sentParameter + "=" + sealed
}

// FindSentEmail returns the email address in a URL of MakeSentURL, "" for any other URL.
func (s *Service) FindSentEmail(r *http.Request) string {
	sealed, err := base64.RawURLEncoding.DecodeString(r.URL.Query().Get(sentParameter))
	if err != nil || len(sealed) == 0 || len(sealed) > 2*account.MaxEmail {
		return ""
	}
	email, err := s.Accounts.Sealer.Open(sentContext, sealed)
	if err != nil {
		return ""
	}
	return string(email)
}
