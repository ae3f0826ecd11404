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
		return "white space around it"
	}
	var parts []string
	a, b := splitURL(seen), splitURL(want)
	for i, name := range []string{"scheme", "host", "port", "path", "query", "fragment"} {
		if a[i] == b[i] {
			continue
		}
		how := fmt.Sprintf("%s %s instead of %s", name, cmp.Or(a[i], "none"), cmp.Or(b[i], "none"))
		switch {
		case name == "path" && a[i] == b[i]+"/":
			how = "a slash at its end that is not registered"
		case name == "path" && a[i]+"/" == b[i]:
			how = "no slash at its end"
		case strings.EqualFold(a[i], b[i]):
			how += " (upper and lower case count)"
		}
		parts = append(parts, how)
	}
	return strings.Join(parts, "; ")
}

// splitURL splits a URL into scheme, host, port, path, query and fragment. It accepts any
// text, because integrators write anything.
func splitURL(address string) (parts [6]string) {
	rest := address
	if scheme, after, ok := strings.Cut(rest, "://"); ok {
		parts[0], rest = scheme, after
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

// describeACS names the registered URL that was probably meant.
func describeACS(seen string, registered []string) []string {
	if len(registered) == 0 {
		return nil
	}
	hints := []string{"registered: " + listValues(registered)}
	if near := suggest.Nearest(seen, registered, math.MaxInt); near != "" && seen != "" {
		hints = append(hints, "against "+near+": "+describeDifference(seen, near))
	}
	return hints
}

// describeDestination describes how the Destination differs from the expected URL.
func (s *Service) describeDestination(seen, want string) []string {
	a, b := yearEndpoint.FindStringSubmatch(seen), yearEndpoint.FindStringSubmatch(want)
	if a == nil || b == nil {
		return []string{"against " + want + ": " + describeDifference(seen, want)}
	}
	var hints []string
	if a[1] != b[1] {
		hints = append(hints, fmt.Sprintf("it names the URL %s, and this message goes to %s", a[1], b[1]))
	}
	if a[2] != b[2] {
		hints = append(hints, fmt.Sprintf("it names the URL of %s, and the message was sent to that of %s: change both, or neither", a[2], b[2]))
	}
	if d := describeDifference(seen[:len(seen)-len(a[0])], want[:len(want)-len(b[0])]); d != "" {
		hints = append(hints, "before /api: "+d)
	}
	return hints
}

// hintClock compares a time with ours.
func (r *Report) hintClock(issued time.Time) {
	const (
		near  = 6 * time.Minute
		zones = 14 * time.Hour
	)
	apart := r.AssumedAt.Sub(issued)
	word := "before"
	if apart < 0 {
		apart, word = -apart, "after"
	}
	r.addHint(fmt.Sprintf("it was made %s %s the time that the rules are applied at", apart.Round(time.Second), word))
	half := apart.Round(30 * time.Minute)
	if half >= 30*time.Minute && half <= zones && (apart-half).Abs() <= near {
		r.addHint(fmt.Sprintf("%s is the distance of a time zone: was local time written as UTC?", half))
	}
	if word == "before" {
		r.addSuggestion(suggestTime(issued.UTC().Format(time.RFC3339)))
	}
}

// suggestTime suggests applying the rules as at another time.
func suggestTime(at string) idp.Suggestion {
	return idp.Suggest(idp.DoInspect).WithOption(idp.OptionAt, at).WithLabel(idp.LabelApplyAt)
}

// describeContexts returns hints for unknown values of AuthnContextClassRef.
func describeContexts(unknown []string) (hints []string) {
	for _, ref := range unknown {
		if near := assurance.FindNearest(ref); near != "" {
			hints = append(hints, ref+" is not known; did you mean "+near+"?")
		}
	}
	return hints
}

// SuggestForDrop returns how a service provider can get a requested attribute that is not
// sent, if its registration decides that.
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
		return "the level asked for does not allow it: ask for a proofed identity, such as urn:acr.login.gov:verified"
	case assurance.DropNoSource:
		return "this version has no value for it"
	}
	if near := assurance.FindNearestAttribute(d.Name); near != "" {
		return "unknown attribute; did you mean " + near + "?"
	}
	return "unknown attribute"
}
