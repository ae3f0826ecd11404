package cli

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// ParseTime reads a time with its zone, or a date, which is its beginning in UTC.
func ParseTime(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no date (2027-03-01) or time (2027-03-01T09:00:00Z)", text)
}

// FormatDay returns the date of a time, "-" for none.
func FormatDay(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.DateOnly)
}

// FormatTime returns a time to the second, "" for none.
func FormatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func FormatBool(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// FormatCount returns a number with its noun: "1 session", "2 sessions".
func FormatCount(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// JoinNames is strings.Join for names with a type of their own.
func JoinNames[T ~string](names []T, between string) string {
	texts := make([]string, len(names))
	for i, name := range names {
		texts[i] = string(name)
	}
	return strings.Join(texts, between)
}

// ReplaceEmpty returns s, or "-" for an empty cell.
func ReplaceEmpty(s string) string { return cmp.Or(s, "-") }

// FormatCountIs is Plural with a verb: "1 line is", "2 lines are".
func FormatCountIs(n int, what string) string {
	if n == 1 {
		return "1 " + what + " is"
	}
	return FormatCount(n, what) + " are"
}
