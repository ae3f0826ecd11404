package ops

import (
	"context"

	"vernal/idp/admin"
	"vernal/idp/inspect"
)

// Inspect analyzes a message that the caller extracted from the operator's input. A message without
// a time of arrival counts as arriving now.
var Inspect = declare("inspect", func(s *Service, ctx context.Context, _ admin.Caller, m inspect.Message) (*inspect.Report, error) {
	if m.AssumedAt.IsZero() {
		m.AssumedAt = s.Clock.Now()
	}
	return s.Inspector.Inspect(ctx, m)
})
