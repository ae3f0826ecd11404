package admin

import (
	"context"
	"time"

	"vernal/idp/inspect"
)

// InspectRequest holds a message, in whatever form people have it.
type InspectRequest struct {
	Text string `json:"text"`
	// At is when it is to have arrived; now if zero.
	At time.Time `json:"at,omitzero"`
}

func (s *Service) inspect(ctx context.Context, _ Caller, req InspectRequest) (*inspect.Report, error) {
	if req.At.IsZero() {
		req.At = s.Clock.Now()
	}
	return s.Inspector.Inspect(ctx, req.Text, req.At)
}

// Inspect takes a message apart.
func (c *Client) Inspect(ctx context.Context, req InspectRequest) (*inspect.Report, error) {
	return call[*inspect.Report](ctx, c, "inspect", req)
}
