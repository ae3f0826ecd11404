package ops

import (
	"context"
	"time"

	"vernal/idp/admin"
	"vernal/idp/inspect"
)

// InspectRequest holds a message that the caller found in what they had.
type InspectRequest struct {
	inspect.Sent
	// Number says which it was of how many; 0 where there was one.
	Number int `json:"number,omitempty"`
	Of     int `json:"of,omitempty"`
	// At is when it is to have arrived; now if zero.
	At time.Time `json:"at,omitzero"`
	// Opened is its encrypted assertion, for whom had the key; the key itself
	// stays where it is.
	Opened *inspect.Opened `json:"opened,omitempty"`
}

// Message is what is to be inspected.
func (r InspectRequest) Message() inspect.Message {
	return inspect.Message{Sent: r.Sent, Number: r.Number, Of: r.Of, At: r.At, Opened: r.Opened}
}

// Inspect takes a message apart.
var Inspect = declare("inspect", func(s *Service, ctx context.Context, _ admin.Caller, req InspectRequest) (*inspect.Report, error) {
	if req.At.IsZero() {
		req.At = s.Clock.Now()
	}
	return s.Inspector.Inspect(ctx, req.Message())
})
