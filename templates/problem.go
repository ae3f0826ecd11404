package templates

import (
	"slices"
	"strconv"
	"strings"
)

// Problem is one problem of a submitted form.
type Problem struct {
	Key  Key
	Args []string
}

// Problems lists all problems of a form, in the order of its fields.
type Problems []Problem

// NewProblems returns problems of keys without arguments, and ignores "".
func NewProblems(keys ...Key) (problems Problems) {
	for _, key := range keys {
		if key != "" {
			problems = append(problems, Problem{Key: key})
		}
	}
	return problems
}

// At returns the problem of a field, or nil.
func (p Problems) At(field string) *Problem {
	i := slices.IndexFunc(p, func(problem Problem) bool { return problem.Key.Field() == field })
	if i < 0 {
		return nil
	}
	return &p[i]
}

// AreCredentials reports whether email address and password are wrong together, without naming
// the wrong one.
func (p Problems) AreCredentials() bool {
	return slices.ContainsFunc(p, func(problem Problem) bool { return problem.Key.IsCredentials() })
}

// String returns the problem in the form of FieldProblem.
func (p Problem) String() string {
	return strings.Join(append([]string{string(p.Key)}, p.Args...), " ")
}

// argCounts are the problems that a form preserves, with the number of their arguments.
var argCounts = map[Key]int{
	ProblemEmailMissing: 0, ProblemEmailInvalid: 0, ProblemPasswordMissing: 0, ProblemSignInWrong: 0,
	ProblemCodeMissing: 0, ProblemCodeFormat: 0, ProblemCodeWrong: 0,
	ProblemThrottledMinute: 0, ProblemThrottled: 1, ProblemBusy: 0,
	ProblemRecoveryMissing: 0, ProblemRecoveryWrong: 0, ProblemFactorName: 0, ProblemFactorExpired: 0, ProblemCurrentPassword: 0,
	ProblemOwnPasswordMissing: 0, ProblemOwnPasswordShort: 0, ProblemOwnPasswordLong: 0, ProblemOwnPasswordEmail: 0,
	ProblemOwnPasswordCommon: 0, ProblemOwnPasswordSame: 0, ProblemOwnPasswordInvalid: 0,
	ProblemEmailOwn: 0, ProblemEmailFull: 0, ProblemEmailNeeded: 0, ProblemEmailUnconfirmed: 0, ProblemDeleteEmail: 0,
	ProblemPasswordShort: 0, ProblemPasswordLong: 0, ProblemPasswordCommon: 0, ProblemPasswordEmail: 0, ProblemPasswordChars: 0,
	ProblemRulesMissing: 0, ProblemPrivacyMissing: 0, ProblemNameInvalid: 0, ProblemSetUpCode: 0,
}

// ParseNotice parses FieldNotice. The browser sends it, so it accepts only the notices that are
// shown once; "" for any other.
func ParseNotice(value string) Key {
	switch key := Key(value); key {
	case NoticeForceAuthn, NoticeTimedOut, NoticeMoreTime, NoticeAccountExists,
		NoticePasswordReset, NoticePausedProofing:
		return key
	}
	return ""
}

// maxProblems is the largest number of fields in one of our forms.
const maxProblems = 3

// ParseProblems parses FieldProblem. The browser sends it, so it accepts only problems that a
// page can have, each once, and only small numbers in them.
func ParseProblems(values []string) (problems Problems) {
	for _, value := range values[:min(len(values), maxProblems)] {
		parts := strings.Split(value, " ")
		key, args := Key(parts[0]), parts[1:]
		n, ok := argCounts[key]
		if !ok && recoveryFields[key] == "" || n != len(args) || slices.ContainsFunc(problems, func(p Problem) bool { return p.Key == key }) {
			continue
		}
		if slices.ContainsFunc(args, func(arg string) bool { n, err := strconv.Atoi(arg); return err != nil || n < 1 || n > 999 }) {
			continue
		}
		problems = append(problems, Problem{Key: key, Args: args})
	}
	return problems
}
