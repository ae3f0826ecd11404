package inspect

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/assurance"
	"vernal/idp/suggest"
)

const (
	// maxListedValues bounds the values in a hint.
	maxListedValues = 5
	// maxComparedBytes bounds, in bytes, the values that are compared by edit distance.
	maxComparedBytes = 500
)

// isLike reports whether one value may be a typing error of the other.
func isLike(seen, value string) bool {
	return len(seen) <= maxComparedBytes && suggest.Distance(seen, value) <= max(len(value)/4, 2)
}

// listValues returns the beginning of a list, for a hint.
func listValues(values []string) string {
	if len(values) > maxListedValues {
		return strings.Join(values[:maxListedValues], ", ") + fmt.Sprintf(" and %d more", len(values)-maxListedValues)
	}
	return strings.Join(values, ", ")
}

// describeDifference describes how two URLs differ, part by part, or returns "" if they are
// equal.
func describeDifference(seen, want string) string {
	if seen == want {
		return ""
	}
	if strings.TrimSpace(seen) == want {
		return "white space around the value"
	}
	var parts []string
	a, b := splitURL(seen), splitURL(want)
	for i, name := range []string{"scheme", "host", "port", "path", "query", "fragment"} {
		if a[i] == b[i] {
			continue
		}
		difference := fmt.Sprintf("%s %s instead of %s", name, cmp.Or(a[i], "none"), cmp.Or(b[i], "none"))
		switch {
		case name == "path" && a[i] == b[i]+"/":
			difference = "a trailing slash that is not registered"
		case name == "path" && a[i]+"/" == b[i]:
			difference = "no trailing slash"
		case strings.EqualFold(a[i], b[i]):
			difference += " (case matters)"
		}
		parts = append(parts, difference)
	}
	return strings.Join(parts, ", ")
}

// splitURL splits a URL into scheme, host, port, path, query and fragment. It accepts any text,
// because the senders of messages make mistakes in URLs.
func splitURL(rawURL string) (parts [6]string) {
	rest := rawURL
	if scheme, remainder, ok := strings.Cut(rest, "://"); ok {
		parts[0], rest = scheme, remainder
	}
	rest, parts[5], _ = strings.Cut(rest, "#")
	rest, parts[4], _ = strings.Cut(rest, "?")
	host := rest
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		host, parts[3] = rest[:i], rest[i:]
	}
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host, parts[2] = host[:i], host[i+1:]
	}
	parts[1] = host
	return parts
}

// describeACS returns hints about the registered URLs, and the difference from the nearest one.
func describeACS(seen string, registeredURLs []string) []string {
	if len(registeredURLs) == 0 {
		return nil
	}
	hints := []string{"registered: " + listValues(registeredURLs)}
	if nearestURL := suggest.Nearest(seen, registeredURLs, math.MaxInt); nearestURL != "" && seen != "" {
		hints = append(hints, "compared with "+nearestURL+": "+describeDifference(seen, nearestURL))
	}
	return hints
}

// describeDestination describes how the Destination differs from the expected URL.
func (s *Service) describeDestination(seen, want string) []string {
	a, b := yearEndpoint.FindStringSubmatch(seen), yearEndpoint.FindStringSubmatch(want)
	if a == nil || b == nil {
		return []string{"compared with " + want + ": " + describeDifference(seen, want)}
	}
	var hints []string
	if a[1] != b[1] {
		hints = append(hints, fmt.Sprintf("it names the endpoint %s, but this message belongs to the endpoint %s", a[1], b[1]))
	}
	if a[2] != b[2] {
		hints = append(hints, fmt.Sprintf("it names the URL of year %s, but the message was sent to the URL of year %s: use the same year in both", a[2], b[2]))
	}
	if d := describeDifference(seen[:len(seen)-len(a[0])], want[:len(want)-len(b[0])]); d != "" {
		hints = append(hints, "before /api: "+d)
	}
	return hints
}

// hintClock compares a time with ours.
func (r *Report) hintClock(issuedAt time.Time) {
	const (
		tolerance = 6 * time.Minute
		maxOffset = 14 * time.Hour
	)
	difference := r.AssumedAt.Sub(issuedAt)
	direction := "before"
	if difference < 0 {
		difference, direction = -difference, "after"
	}
	r.addHint(fmt.Sprintf("it is %s %s the time at which the rules are applied", difference.Round(time.Second), direction))
	roundedDifference := difference.Round(30 * time.Minute)
	if roundedDifference >= 30*time.Minute && roundedDifference <= maxOffset && (difference-roundedDifference).Abs() <= tolerance {
		r.addHint(fmt.Sprintf("%s is the offset of a time zone: check whether the sender writes local time as UTC", roundedDifference))
	}
	if direction == "before" {
		r.addSuggestion(suggestTime(issuedAt.UTC().Format(time.RFC3339)))
	}
}

// suggestTime suggests applying the rules at another time.
func suggestTime(timeText string) idp.Suggestion {
	return idp.Suggest(idp.DoInspect).WithOption(idp.OptionAt, timeText).WithLabel(idp.LabelApplyAt)
}

// describeContexts returns hints for unknown values of AuthnContextClassRef.
func describeContexts(classRefs []string) (hints []string) {
	for _, ref := range classRefs {
		if knownRef := assurance.FindNearest(ref); knownRef != "" {
			hints = append(hints, ref+" is unknown: did you mean "+knownRef+"?")
		}
	}
	return hints
}

// SuggestForDrop returns the command that lets a service provider get a requested attribute, if
// its registration is the reason why the attribute is not sent.
func SuggestForDrop(d assurance.DroppedAttribute, sp idp.EntityID) (s idp.Suggestion, ok bool) {
	if d.Reason != assurance.DropNotRegistered {
		return idp.Suggestion{}, false
	}
	return idp.Suggest(idp.DoSPEdit, string(sp)).WithOption(idp.OptionAttribute, d.Name), true
}

// ExplainDrop explains why a requested attribute is not sent.
func ExplainDrop(d assurance.DroppedAttribute) string {
	switch d.Reason {
	case assurance.DropNotRegistered:
		return "the service provider is not registered for it"
	case assurance.DropLevel:
		return "the requested level does not allow it: request a proofed identity, for example urn:acr.login.gov:verified"
	case assurance.DropNoSource:
		return "this version has no value for it"
	}
	if knownName := assurance.FindNearestAttribute(d.Name); knownName != "" {
		return "unknown attribute: did you mean " + knownName + "?"
	}
	return "unknown attribute"
}
