package rotator

import (
	"context"
	"fmt"
	"slices"
	"time"

	"vernal/idp/rotation"
)

// settleTime is how long a step waits for signatures under way: far longer than
// one takes, unless a token hangs.
const settleTime = 30 * time.Second

// settle waits, after a step that ends a year was shown, until the signatures
// that began before are made: when the command returns, the year signs nothing
// more. It waits although the caller is gone, because the step is taken.
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
