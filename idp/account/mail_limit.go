package account

import (
	"context"
	"net/netip"
)

// CountMail counts a mail that a sender who has not signed in causes, before it is queued, or returns
// a *ThrottledError. It makes the same write whether or not the email address has an account.
func (s *Service) CountMail(ctx context.Context, email string, from netip.Addr) error {
	limits, address := s.getLimits(), normalizeCountedEmail(email)
	_, err := s.reserve(ctx, []counter{
		{name: "mail-email", key: s.hashKey("mail-email", address, netip.Addr{}), limit: limits.MailEmail},
		{name: "mail-network", key: s.hashKey("mail-network", "", from), limit: limits.MailNetwork},
	})
	return err
}
