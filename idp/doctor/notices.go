package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vernal/idp"
)

func listNoticeChecks() []Check {
	hasMail := func(s *Service) bool { return s.Mail != nil }
	return []Check{
		{Name: "notices", Codes: []Code{NoticesOff, MailUnusable}, Run: (*Service).checkNotices},
		{Name: "mail", Codes: []Code{MailFailed}, Network: true, Configured: hasMail, Run: (*Service).checkMail},
		{Name: "user_mails", Codes: []Code{UserMailsDelayed}, Configured: hasMail, Run: (*Service).checkUserMails},
		{
			Name: "webhook", Codes: []Code{WebhookFailed}, Network: true,
			Configured: func(s *Service) bool { return s.Webhook != nil }, Run: (*Service).checkWebhook,
		},
		{
			Name: "send_test", Codes: []Code{TestMailFailed, TestWebhookFailed}, Network: true,
			Configured: (*Service).hasNotices, Run: (*Service).checkTest,
		},
	}
}

// hasNotices reports whether operators are notified.
func (s *Service) hasNotices() bool {
	return s.Webhook != nil || s.Mail != nil && len(s.Operators) > 0
}

func (s *Service) checkNotices(ctx context.Context, _ Options) ([]Finding, error) {
	if s.MailErr != nil {
		return []Finding{{Code: MailUnusable, Level: Problem, Args: Args{Value: formatError(s.MailErr)}}}, nil
	}
	isEmpty, err := s.isEmpty(ctx)
	if err != nil || isEmpty || s.hasNotices() {
		return nil, err
	}
	return []Finding{{Code: NoticesOff, Level: Information}}, nil
}

// checkMail signs in to the mail server and sends nothing.
func (s *Service) checkMail(ctx context.Context, _ Options) ([]Finding, error) {
	err := s.Mail.Check(ctx)
	if err == nil {
		return nil, nil
	}
	return []Finding{{Code: MailFailed, Level: Problem, Args: Args{Host: s.Mail.Server, Value: formatError(err)}}}, nil
}

// maxUserMailDelay is longer than a mail waits because the mail server was busy.
const maxUserMailDelay = 30 * time.Minute

// checkUserMails finds mails to users that the mail server did not accept in time. The mail server
// can be well and still refuse one of them.
func (s *Service) checkUserMails(ctx context.Context, _ Options) ([]Finding, error) {
	count, oldestAt, err := s.UserMails.CountDelayed(ctx, maxUserMailDelay)
	if err != nil || count == 0 {
		return nil, err
	}
	return []Finding{{Code: UserMailsDelayed, Level: Problem, Args: Args{Count: count, Date: oldestAt}}}, nil
}

// checkWebhook connects to the webhook's server and sends nothing. The URL can be a secret, so
// no finding names it.
func (s *Service) checkWebhook(ctx context.Context, _ Options) ([]Finding, error) {
	err := s.Webhook.Check(ctx)
	if err == nil {
		return nil, nil
	}
	return []Finding{{Code: WebhookFailed, Level: Problem, Args: Args{Value: formatError(err)}}}, nil
}

// checkTest sends a test to the operators, if it was asked for.
func (s *Service) checkTest(ctx context.Context, o Options) (findings []Finding, err error) {
	if !o.SendTest {
		return nil, nil
	}
	mailErrs, hookErr := s.Notices.SendTest(ctx)
	failures, lastErr := 0, error(nil)
	for _, err := range mailErrs {
		if err != nil {
			failures, lastErr = failures+1, err
		}
	}
	if failures > 0 {
		findings = append(findings, Finding{Code: TestMailFailed, Level: Problem, Args: Args{Count: failures, Value: formatError(lastErr)}})
	}
	if hookErr != nil {
		findings = append(findings, Finding{Code: TestWebhookFailed, Level: Problem, Args: Args{Value: formatError(hookErr)}})
	}
	return findings, nil
}

const (
	// testEvery is the shortest interval between two tests, so that a script in a loop fills no
	// mailbox.
	testEvery = time.Minute
	testKind  = "doctor"
	testKey   = "send_test"
)

// ErrTestTooSoon is returned by Examine for a test within a minute after another.
var ErrTestTooSoon = errors.New("a test was sent less than a minute ago: wait a minute, then try again")

// lastTest is the record of the last test.
type lastTest struct {
	At time.Time `json:"at"`
}

// claimTest records that a test is sent now, or returns ErrTestTooSoon.
func (s *Service) claimTest(ctx context.Context) error {
	now := s.Clock.Now().UTC()
	tests := idp.Records[lastTest]{Store: s.Installation.Store, Kind: testKind, Clock: s.Clock}
	err := tests.Update(ctx, []string{testKey}, func(r *idp.Record[lastTest]) error {
		if r.Value != nil && now.Sub(r.Value.At).Abs() < testEvery {
			return ErrTestTooSoon
		}
		r.Value, r.ExpiresAt = &lastTest{At: now}, now.Add(testEvery)
		return nil
	})
	if err != nil && !errors.Is(err, ErrTestTooSoon) {
		return fmt.Errorf("record the test: %w", err)
	}
	return err
}
