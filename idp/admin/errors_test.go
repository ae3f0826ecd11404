package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/sp"
)

// TestErrorsKeepAdvice checks that the caller gets the suggestions of every error as values.
func TestErrorsKeepAdvice(t *testing.T) {
	t.Parallel()
	next := []idp.Suggestion{idp.Suggest(idp.DoSPEdit, "urn:a").WithOption(idp.OptionName, "").WithLabel(idp.LabelNameProvider)}
	permit := []sp.Permission{sp.PermitResume}
	tests := []struct {
		name string
		err  error
		want Error
	}{
		{"refused", &sp.RefusedError{Permissions: permit}, Error{Code: CodeRefused, Permissions: permit}},
		{"invalid", &sp.InvalidError{Problems: []sp.Problem{{Field: "name"}}, Suggestions: next}, Error{Code: CodeInvalid, Suggestions: next}},
		{"invalid, and allowed by an option", &sp.InvalidError{Problems: []sp.Problem{{Option: idp.Option{Name: "cert"}}}}, Error{Code: CodeRefused}},
		{"not found", idp.Advise(idp.ErrNotFound, next...), Error{Code: CodeNotFound, Suggestions: next}},
		{"of ours", idp.Advise(errors.New("broken"), next...), Error{Code: CodeInternal, Suggestions: next}},
		{"an Error", fmt.Errorf("wrapped: %w", &Error{Code: CodeExists, Suggestions: next, Permissions: permit}), Error{Code: CodeExists, Suggestions: next, Permissions: permit}},
	}
	for _, tt := range tests {
		fails := Op[struct{}, struct{}, struct{}]{Path: "fail", Do: func(struct{}, context.Context, Caller, struct{}) (none struct{}, err error) {
			return none, fmt.Errorf("wrapped: %w", tt.err)
		}}
		endpoint := NewEndpoint(struct{}{}, 0, slog.New(slog.DiscardHandler), Route[struct{}](fails))
		_, err := Call(t.Context(), NewProcessClient(endpoint, Caller{}), fails, struct{}{})
		var e *Error
		if !errors.As(err, &e) {
			t.Fatalf("%s: %v", tt.name, err)
		}
		got := Error{Code: e.Code, Permissions: e.Permissions, Suggestions: idp.FindSuggestions(e)}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// TestBusyStoreHasItsOwnCode checks that a command that fails because the store has too much
// to write returns its own code.
func TestBusyStoreHasItsOwnCode(t *testing.T) {
	t.Parallel()
	e := convertError(fmt.Errorf("lock user: %w", idp.ErrBusy))
	if e.Code != CodeBusy || e.status() != http.StatusServiceUnavailable || !errors.Is(e, idp.ErrBusy) || errors.Is(e, idp.ErrNotFound) {
		t.Errorf("%s, status %d", e.Code, e.status())
	}
}
