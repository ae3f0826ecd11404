package bolt

import (
	"context"
	"errors"
	"testing"
	"time"

	"vernal/idp"
)

// A disk that hangs is reported once the caller's time is over, and all who ask share one probe.
func TestHangingDiskIsReported(t *testing.T) {
	t.Parallel()
	s := openInside(t)
	release := hold(t, s)
	defer release()
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if err := s.CheckWrites(ctx); !errors.Is(err, idp.ErrNotWritten) {
			t.Errorf("error %v", err)
		}
		cancel()
	}
	queued(s, 1)
	release()
	if err := s.CheckWrites(t.Context()); err != nil {
		t.Errorf("after the disk answers: %v", err)
	}
}
