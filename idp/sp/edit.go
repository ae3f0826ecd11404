package sp

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/logo"
	"vernal/idp/partnercert"
)

// Edit is a change to a registration, as text under the JSON names of its fields. The commands
// send it.
type Edit struct {
	// Set gives a field new values. They are added to a list. A field of another kind
	// accepts exactly one.
	Set map[string][]string `json:"set,omitempty"`
	// Remove removes values from a list, before Set adds to it: a certificate by its PEM
	// or by the beginning of its fingerprint, a help text by its language. A field that is
	// not a list is cleared, regardless of the values.
	Remove map[string][]string `json:"remove,omitempty"`
	// Logo is an SVG or PNG file for the field logo, as its author saved it; nil leaves the
	// field unchanged.
	Logo []byte `json:"logo,omitempty"`
}

// IsEmpty reports whether the edit changes nothing.
func (e Edit) IsEmpty() bool { return len(e.Set) == 0 && len(e.Remove) == 0 && e.Logo == nil }

// Apply changes p. Validate checks the values afterwards. The error, an *InvalidError,
// concerns unknown fields, unreadable values and values to remove that do not exist.
func (e Edit) Apply(p *idp.ServiceProvider) error {
	a := applier{p: p}
	for name := range e.Remove {
		a.checkField(name)
	}
	for name := range e.Set {
		a.checkField(name)
	}
	for i := range fieldTable {
		f := &fieldTable[i]
		if values, ok := e.Remove[f.Name]; ok {
			a.removeValues(f, values)
		}
		// The indexes are set together with their URLs.
		if values, ok := e.Set[f.Name]; ok && f.Kind != KindInts {
			a.setField(f, values, e.Set["acs_indexes"])
		}
	}
	if e.Logo != nil {
		image, err := logo.Parse(e.Logo)
		if err != nil {
			a.addProblem("logo", "", "%v", err)
		} else {
			p.Logo = image.Name()
		}
	}
	if _, ok := e.Set["acs_urls"]; !ok && len(e.Set["acs_indexes"]) > 0 {
		a.addProblem("acs_indexes", "", "needs a URL in acs_urls")
	}
	if len(a.problems) > 0 {
		return &InvalidError{Problems: a.problems}
	}
	return nil
}

// applyToDefaults applies the edit to a new registration: a list that the edit sets replaces the
// default one.
func (e Edit) applyToDefaults(p *idp.ServiceProvider) error {
	if len(e.Set["attributes"]) > 0 {
		p.Attributes = nil
	}
	if len(e.Set["name_id_formats"]) > 0 {
		p.NameIDFormats = nil
	}
	return e.Apply(p)
}

type applier struct {
	p        *idp.ServiceProvider
	problems []Problem
}

func (a *applier) addProblem(field, value, format string, args ...any) {
	a.problems = append(a.problems, Problem{Field: field, Value: value, Text: fmt.Sprintf(format, args...)})
}

func (a *applier) checkField(name string) {
	if lookupField(name) == nil {
		a.addProblem(name, "", "is not a field that can be changed")
	}
}

func (a *applier) setField(f *Field, values, indexes []string) {
	if !f.Kind.IsList() && len(values) != 1 {
		a.addProblem(f.Name, "", "takes one value, not %d", len(values))
		return
	}
	switch v := f.pointTo(a.p).(type) {
	case *bool:
		b, err := strconv.ParseBool(values[0])
		if err != nil {
			a.addProblem(f.Name, values[0], "is not true or false")
			return
		}
		*v = b
	case *string:
		if f.Kind == KindFile && values[0] != *v && values[0] != "" {
			a.addProblem(f.Name, idp.Clip(values[0], 80), "must be a file, not a name or URL")
			return
		}
		*v = values[0]
	case *map[string]string:
		a.setTexts(f, values)
	case *[]string:
		if f.Name == "acs_urls" {
			a.addACS(values, indexes)
			return
		}
		if f.Kind == KindCert {
			values = a.readCerts(f, values)
		}
		*v = appendMissing(*v, values)
	}
}

// appendMissing appends the values that the list does not contain yet.
func appendMissing(list, values []string) []string {
	for _, v := range values {
		if !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list
}

func (a *applier) setTexts(f *Field, values []string) {
	for _, v := range values {
		lang, text, ok := strings.Cut(v, "=")
		if !ok {
			a.addProblem(f.Name, v, "is not LANGUAGE=TEXT")
			continue
		}
		if a.p.HelpText == nil {
			a.p.HelpText = make(map[string]string)
		}
		a.p.HelpText[lang] = text
	}
}

// readCerts parses certificates into the form of registrations.
func (a *applier) readCerts(f *Field, values []string) (texts []string) {
	for _, v := range values {
		list, err := partnercert.Read([]byte(v))
		if err != nil {
			a.addProblem(f.Name, "", "%v", err)
		}
		texts = append(texts, encodeEach(list)...)
	}
	return texts
}

// addACS adds URLs with the given indexes, or the next free ones.
func (a *applier) addACS(values, indexes []string) {
	if len(indexes) > 0 && len(indexes) != len(values) {
		a.addProblem("acs_indexes", "", "has %d values for %d URLs: give one for each", len(indexes), len(values))
		return
	}
	a.fillIndexes()
	for i, v := range values {
		position := slices.Index(a.p.ACSURLs, v)
		if position < 0 {
			position = len(a.p.ACSURLs)
			a.p.ACSURLs = append(a.p.ACSURLs, v)
			a.p.ACSIndexes = append(a.p.ACSIndexes, findNextIndex(a.p.ACSIndexes))
		}
		if len(indexes) == 0 {
			continue
		}
		n, err := strconv.Atoi(indexes[i])
		if err != nil {
			a.addProblem("acs_indexes", indexes[i], "is not a number")
			continue
		}
		a.p.ACSIndexes[position] = n
	}
	a.dropDefaultIndexes()
}

// fillIndexes makes implied indexes explicit, so that they stay with their URLs when
// positions change.
func (a *applier) fillIndexes() {
	if len(a.p.ACSIndexes) != 0 {
		return
	}
	for i := range a.p.ACSURLs {
		a.p.ACSIndexes = append(a.p.ACSIndexes, i)
	}
}

// dropDefaultIndexes removes indexes that equal their position. A URL with two indexes keeps
// them. Without them, it would be in the list twice for no reason.
func (a *applier) dropDefaultIndexes() {
	for i, n := range a.p.ACSIndexes {
		if i != n || i < len(a.p.ACSURLs) && slices.Contains(a.p.ACSURLs[:i], a.p.ACSURLs[i]) {
			return
		}
	}
	if len(a.p.ACSIndexes) == len(a.p.ACSURLs) {
		a.p.ACSIndexes = nil
	}
}

func findNextIndex(list []int) int {
	if len(list) == 0 {
		return 0
	}
	return max(0, slices.Max(list)+1)
}

func (a *applier) removeValues(f *Field, values []string) {
	if !f.Kind.IsList() && !f.CanClear {
		a.addProblem(f.Name, "", "cannot be empty: give another value")
		return
	}
	switch v := f.pointTo(a.p).(type) {
	case *string:
		*v = ""
	case *[]int:
		*v = nil
	case *map[string]string:
		for _, lang := range values {
			if _, ok := (*v)[lang]; !ok {
				a.addProblem(f.Name, lang, "is not registered")
			}
			delete(*v, lang)
		}
	case *[]string:
		remove := a.removeValue
		if f.Kind == KindCert {
			remove = a.removeCert
		}
		for _, value := range values {
			remove(f, v, value)
		}
	}
}

func (a *applier) removeValue(f *Field, list *[]string, v string) {
	if !slices.Contains(*list, v) {
		a.addProblem(f.Name, v, "is not registered")
		return
	}
	if f.Name != "acs_urls" {
		*list = slices.DeleteFunc(*list, func(s string) bool { return s == v })
		return
	}
	a.fillIndexes()
	for i := slices.Index(*list, v); i >= 0; i = slices.Index(*list, v) { // it may have several indexes
		*list = slices.Delete(*list, i, i+1)
		if i < len(a.p.ACSIndexes) {
			a.p.ACSIndexes = slices.Delete(a.p.ACSIndexes, i, i+1)
		}
	}
	a.dropDefaultIndexes()
}

// removeCert removes the certificates that v names. A fingerprint may be shortened, but not so
// much that it is likely to match another one.
func (a *applier) removeCert(f *Field, list *[]string, v string) {
	fingerprints := make(map[string]bool)
	if certificates, err := partnercert.Read([]byte(v)); err == nil {
		for _, c := range certificates {
			fingerprints[certs.CertSHA256(c)] = true
		}
	}
	prefix := strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(v))
	hasMatch := false
	*list = slices.DeleteFunc(*list, func(text string) bool {
		certificates, err := partnercert.Read([]byte(text))
		if err != nil || len(certificates) == 0 {
			return false
		}
		fingerprint := certs.CertSHA256(certificates[0])
		isMatch := fingerprints[fingerprint] || len(prefix) >= 8 && strings.HasPrefix(fingerprint, prefix)
		hasMatch = hasMatch || isMatch
		return isMatch
	})
	if !hasMatch {
		a.addProblem(f.Name, cutFirstLine(v), "is not the fingerprint of a registered certificate: give at least its first 8 digits")
	}
}
