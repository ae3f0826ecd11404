package notify

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"vernal/idp/rotation"
	"vernal/templates"
)

// logAttention logs each reason for attention once a day, by the round's date. Logs are always in
// English, so that they can be searched in one language.
func (s *Service) logAttention(ctx context.Context, all []rotation.Attention, now time.Time) {
	phrases := templates.TerminalPhrases()
	for _, a := range all {
		thing := fmt.Sprint(a.Code, " ", a.Year, " ", a.Args.Step, " ", a.Args.Value)
		if a.Code == rotation.RequestCertEnded {
			thing += fmt.Sprint(a.Args.SPs)
		}
		if s.round.loggedKeys[thing] {
			continue
		}
		s.round.loggedKeys[thing] = true
		attrs := []slog.Attr{slog.String("code", string(a.Code)), slog.String("year", string(a.Year)), slog.String("args", a.Args.JSON())}
		if len(a.Reasons) > 0 {
			attrs = append(attrs, slog.Any("because", a.Reasons))
		}
		if a.Code == rotation.StepHeld {
			attrs = append(attrs, slog.Int("days_held", int(now.Sub(a.Args.At)/day)+1))
		}
		s.Log.LogAttrs(ctx, slog.LevelWarn, "rotation needs attention", append(attrs, slog.String("text", phrases.Attention(a)))...)
	}
}
