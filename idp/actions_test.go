package idp_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
)

// FindSuggestions looks through wrapped errors, and the outermost suggestions win.
func TestFindSuggestions(t *testing.T) {
	t.Parallel()
	add, list := idp.Suggest(idp.DoSPAdd).WithOption(idp.OptionMetadata, ""), idp.Suggest(idp.DoSPList).WithLabel(idp.LabelListRegistered)
	cause := errors.New("cause")
	tests := []struct {
		name string
		err  error
		want []idp.Suggestion
	}{
		{"no error", nil, nil},
		{"plain", cause, nil},
		{"advised", idp.Advise(cause, add, list), []idp.Suggestion{add, list}},
		{"wrapped", fmt.Errorf("wrapped: %w", idp.Advise(cause, add)), []idp.Suggestion{add}},
		{"twice", idp.Advise(idp.Advise(cause, add), list), []idp.Suggestion{list}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, idp.FindSuggestions(tt.err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		if tt.want != nil && !errors.Is(tt.err, cause) {
			t.Errorf("%s: the cause is lost", tt.name)
		}
	}
}
