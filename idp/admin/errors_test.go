package admin

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"vernal/idp"
)

// A command that meets a store with too much to write says so, and the caller can tell.
func TestBusyHasCode(t *testing.T) {
	t.Parallel()
	e := toError(fmt.Errorf("lock user: %w", idp.ErrBusy))
	if e.Code != CodeBusy || e.status() != http.StatusServiceUnavailable || !errors.Is(e, idp.ErrBusy) || errors.Is(e, idp.ErrNotFound) {
		t.Errorf("%s, status %d", e.Code, e.status())
	}
}
