package config

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// keyLine is a line of the template that sets a key: indentation, name, default.
// A line without a default begins a section.
var keyLine = regexp.MustCompile(`^( *)([a-z0-9_]+):(?: (.+))?$`)

// Write returns a vernal.yaml: every key with its explanation and its default as a
// comment, except those in set, which it sets. Lists are split at commas.
func Write(set map[string]string) (string, error) {
	keys := make(map[string]key)
	for _, k := range (&Config{}).keys() {
		keys[k.path] = k
	}
	var out strings.Builder
	var sections []string // those that the line is in
	for line := range strings.Lines(template) {
		m := keyLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			out.WriteString(line)
			continue
		}
		indent, name, value := m[1], m[2], m[3]
		sections = append(sections[:len(indent)/2], name)
		path := strings.Join(sections, ".")
		text, ok := set[path]
		switch {
		case value == "":
			out.WriteString(line)
		case !ok:
			fmt.Fprintf(&out, "%s#%s: %s\n", indent, name, value)
		default:
			k := keys[path]
			if !k.setText(text) {
				return "", fmt.Errorf("%s: want %s, not %q", path, k.kind(), text)
			}
			// JSON is YAML on one line, whatever a text contains.
			written, err := json.Marshal(k.value.Interface())
			if err != nil {
				return "", fmt.Errorf("write %s: %w", path, err)
			}
			fmt.Fprintf(&out, "%s%s: %s\n", indent, name, written)
		}
		for _, lang := range languages {
			if text, ok := set[path+"."+lang]; ok {
				written, err := json.Marshal(text)
				if err != nil {
					return "", fmt.Errorf("write %s.%s: %w", path, lang, err)
				}
				fmt.Fprintf(&out, "%s%s.%s: %s\n", indent, name, lang, written)
			}
		}
	}
	return out.String(), nil
}
