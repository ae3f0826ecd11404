package ops

import (
	"context"

	"vernal/idp/admin"
	"vernal/idp/inspect"
)

// Inspect takes a message apart that the caller found in what they had. It is to have
// arrived now if it does not say when.
var Inspect = declare("inspect", func(s *Service, ctx context.Context, _ admin.Caller, m inspect.Message) (*inspect.Report, error) {
	if m.At.IsZero() {
		m.At = s.Clock.Now()
	}
	return s.Inspector.Inspect(ctx, m)
})
