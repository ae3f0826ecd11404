package rotator

import (
	"context"
	"fmt"
	"slices"
	"time"

	"vernal/idp/rotation"
)

// settleTime is how long a step waits for signatures in progress. Only a hanging token
// takes longer.
const settleTime = 30 * time.Second

// settle waits, after a step that ends a year is visible, until the signatures that began
// before are made, so that the year signs nothing after the command returns. It waits even
// if the caller is gone, because the step is taken.
func (s *Service) settle(ctx context.Context, steps []rotation.Step) error {
	if !slices.ContainsFunc(steps, func(s rotation.Step) bool { return s.Kind.EndsSigning() }) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	if err := s.Ring.Settle(ctx); err != nil {
		return fmt.Errorf("the year is closed, but a signature that began before has not ended: %w", err)
	}
	return nil
}
