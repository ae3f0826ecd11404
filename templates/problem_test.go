package templates

import (
	"fmt"
	"testing"
)

// TestParseProblemsTakesOursAlone checks that other values of the field are ignored, because a
// browser can send anything.
func TestParseProblemsTakesOursAlone(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		values []string
		want   Problems
	}{
		{"none", nil, nil},
		{"two", []string{"problem.email_missing", "problem.password_missing"}, NewProblems(ProblemEmailMissing, ProblemPasswordMissing)},
		{"a number", []string{"problem.throttled 5"}, Problems{{ProblemThrottled, []string{"5"}}}},
		{"too many", []string{"problem.busy", "problem.code_wrong", "problem.code_format", "problem.code_missing"}, NewProblems(ProblemBusy, ProblemCodeWrong, ProblemCodeFormat)},
		{"twice", []string{"problem.busy", "problem.busy"}, NewProblems(ProblemBusy)},
		{"another text", []string{"refusal.heading", ""}, nil},
		{"words for a number", []string{"problem.throttled now", "problem.throttled 1000"}, nil},
		{"an argument too many", []string{"problem.busy 5", "problem.throttled 5 6"}, nil},
		{"no argument", []string{"problem.throttled"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, want := fmt.Sprint(ParseProblems(tt.values)), fmt.Sprint(tt.want); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// A form keeps only the notices of its own pages.
func TestParseNoticeTakesKnownOnly(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]Key{
		string(NoticeForceAuthn): NoticeForceAuthn, string(NoticeTimedOut): NoticeTimedOut, string(NoticeMoreTime): NoticeMoreTime,
		string(NoticeAccountExists): NoticeAccountExists,
		"":                          "", "x": "", string(NoticeSessionEnded): "", string(SupportNone): "",
	} {
		if got := ParseNotice(value); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}
