package signup_test

import (
	"log/slog"
	"net/url"
	"testing"
	"time"

	"vernal/idp/idptest"
)

// BenchmarkSignUp measures the answer to an email address with and without an account, which must
// take equally long.
func BenchmarkSignUp(b *testing.B) {
	for _, hasAccount := range []bool{false, true} {
		name := "unknown"
		if hasAccount {
			name = "known"
		}
		b.Run(name, func(b *testing.B) {
			i := idptest.New(b, idptest.Options{Log: slog.DiscardHandler, Users: open, HasMail: true})
			form := url.Values{"email": {"ada@example.gov"}}
			if hasAccount {
				i.AddUser("ada@example.gov")
			}
			browser := i.Browser()
			for b.Loop() {
				i.Clock.Advance(time.Hour) // past the limit on mails
				if page := browser.Post("/sign-up", form); page.Status != 200 {
					b.Fatalf("status %d", page.Status)
				}
			}
		})
	}
}
