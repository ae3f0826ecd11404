package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"time"
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
	var sections []string // the sections around the line
	for line := range strings.Lines(template) {
		match := keyLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if match == nil {
			out.WriteString(line)
			continue
		}
		indent, name, value := match[1], match[2], match[3]
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
				return "", fmt.Errorf("%s must be %s, not %q", path, k.kind(), text)
			}
			encoded, err := k.valueText()
			if err != nil {
				return "", fmt.Errorf("write %s: %w", path, err)
			}
			fmt.Fprintf(&out, "%s%s: %s\n", indent, name, encoded)
		}
		for _, lang := range languages {
			if text, ok := set[path+"."+lang]; ok {
				encoded, err := json.Marshal(text)
				if err != nil {
					return "", fmt.Errorf("write %s.%s: %w", path, lang, err)
				}
				fmt.Fprintf(&out, "%s%s.%s: %s\n", indent, name, lang, encoded)
			}
		}
	}
	return out.String(), nil
}

// valueText returns the value in the form of the file: JSON, which for any text is YAML on one
// line.
func (k key) valueText() ([]byte, error) {
	if d, ok := k.value.Interface().(time.Duration); ok {
		return []byte(d.String()), nil
	}
	return json.Marshal(k.value.Interface())
}

// WithoutSecrets returns a vernal.yaml with the same effect as the loaded configuration, from the
// file and the environment, but without values that can be secrets. Paths are as they were
// written, and comments are those of the template, because the operator's own could contain
// secrets.
func (c *Config) WithoutSecrets() string { return c.portable }

// render returns a vernal.yaml that sets the values that differ from the defaults, and those in
// override.
func (c *Config) render(override map[string]string) string {
	set := make(map[string]string)
	defaults := Default().keys()
	omissions := ""
	for i, k := range c.keys() {
		text, isDefault := k.text(), k.text() == defaults[i].text()
		switch {
		case isDefault:
		case k.secret:
			omissions += "# Left out, because it can contain a secret: " + k.path + "\n"
		default:
			set[k.path] = text
		}
	}
	maps.Copy(set, override)
	out, err := Write(set)
	if err != nil {
		panic(err) // every text comes from a parsed value
	}
	return omissions + out
}

// text returns the value in the form that setText reads.
func (k key) text() string {
	if list, ok := k.value.Interface().([]string); ok {
		return strings.Join(list, ",")
	}
	return fmt.Sprint(k.value.Interface())
}

// ForFolder returns the configuration in text, which WithoutSecrets made, for another data
// folder.
func ForFolder(text, dataDir string) (string, error) {
	c := Default()
	l := newLoader(c, DefaultFile)
	l.readYAML([]byte(text))
	if len(l.problems) > 0 {
		return "", &Error{Problems: l.problems}
	}
	return c.render(map[string]string{"data_dir": dataDir}), nil
}
