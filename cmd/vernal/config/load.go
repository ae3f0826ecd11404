package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"vernal/idp/suggest"
)

// loader fills a Config and collects all problems.
type loader struct {
	config   *Config
	name     string // of the file, as errors name it
	keys     map[string]key
	paths    []string // of keys, in the order of the struct
	sections []string // "rotation", "rotation.webhook"
	problems []string
}

func newLoader(c *Config, name string) *loader {
	l := &loader{config: c, name: name, keys: make(map[string]key)}
	for _, k := range c.keys() {
		l.keys[k.path] = k
		l.paths = append(l.paths, k.path)
		for i, char := range k.path {
			if char == '.' && !slices.Contains(l.sections, k.path[:i]) {
				l.sections = append(l.sections, k.path[:i])
			}
		}
	}
	return l
}

func (l *loader) add(n ast.Node, format string, args ...any) {
	l.problems = append(l.problems, l.locate(n)+": "+fmt.Sprintf(format, args...))
}

// locate returns the place of a node: "vernal.yaml:12".
func (l *loader) locate(n ast.Node) string {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return fmt.Sprintf("%s:%d", l.name, t.Position.Line)
	}
	return l.name
}

// readYAML walks through the syntax tree, because the library's decoder ends at the first
// unknown key or wrong type.
func (l *loader) readYAML(data []byte) {
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	var syntax yaml.Error
	switch {
	case errors.As(err, &syntax) && syntax.GetToken() != nil:
		text := syntax.GetMessage()
		if strings.Contains(text, "'\t'") {
			text += ": indent with spaces, not tabs"
		}
		l.problems = append(l.problems, fmt.Sprintf("%s:%d: %s", l.name, syntax.GetToken().Position.Line, text))
		return
	case err != nil:
		l.problems = append(l.problems, fmt.Sprintf("%s: %v", l.name, err))
		return
	}
	for i, doc := range file.Docs {
		switch {
		case doc.Body == nil || doc.Body.Type() == ast.NullType || doc.Body.Type() == ast.CommentType:
		case i > 0:
			l.add(doc.Body, "a second document: keep all keys in the first one")
		default:
			l.readMapping("", doc.Body)
		}
	}
}

// readMapping reads the keys under prefix.
func (l *loader) readMapping(prefix string, n ast.Node) {
	pairs, ok := listPairs(n)
	if !ok && n.Type() != ast.NullType { // a heading may have every key under it commented out
		l.add(n, "%s: want keys with values here", strings.TrimSuffix(prefix, "."))
	}
	seen := make(map[string]bool)
	for _, pair := range pairs {
		path := prefix + pair.Key.GetToken().Value
		_, isMapping := listPairs(pair.Value)
		switch k, ok := l.keys[path]; {
		case seen[path]:
			l.add(pair.Key, "%s appears twice", path)
		case ok && isMapping && slices.Contains(l.sections, path): // per language
			l.readMapping(path+".", pair.Value)
		case ok:
			l.config.origins[path] = l.locate(pair.Value)
			if !k.setNode(pair.Value) {
				l.add(pair.Value, "%s: want %s, not %s", path, k.kind(), describeNode(pair.Value))
			}
		case slices.Contains(l.sections, path):
			l.readMapping(path+".", pair.Value)
		default:
			kind, names := "key", l.paths
			if isMapping {
				kind, names = "section", l.sections
			}
			l.add(pair.Key, "unknown %s %s%s", kind, path, suggestName("", path, names))
		}
		seen[path] = true
	}
}

func listPairs(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

func suggestName(prefix, name string, names []string) string {
	near := suggest.Nearest(name, names, len(name)/2)
	// A wrong or missing section is a more likely mistake than a wrong key.
	if i := slices.IndexFunc(names, func(n string) bool { return trimSection(n) == trimSection(name) }); i >= 0 {
		near = names[i]
	}
	if near == "" {
		return ""
	}
	return "; did you mean " + prefix + near + "?"
}

func trimSection(key string) string { return key[strings.LastIndex(key, ".")+1:] }

// describeNode returns the kind of a node, and the value of a scalar.
func describeNode(n ast.Node) string {
	kind := strings.ToLower(n.Type().String())
	if _, ok := n.(ast.ScalarNode); ok {
		return fmt.Sprintf("%s %q", kind, n.GetToken().Value)
	}
	return kind
}

// setNode sets the key from the file and reports whether the node has its type. A
// text that YAML reads as a number is not a text: "listen: 8080" means something else.
func (k key) setNode(n ast.Node) bool {
	switch v := k.value.Addr().Interface().(type) {
	case *string:
		return setString(v, n)
	case *[]string:
		seq, ok := n.(*ast.SequenceNode)
		if !ok {
			return n.Type() == ast.NullType
		}
		*v = make([]string, len(seq.Values))
		for i, item := range seq.Values {
			if !setString(&(*v)[i], item) || (*v)[i] == "" {
				return false
			}
		}
		return true
	case *bool:
		b, ok := n.(*ast.BoolNode)
		if ok {
			*v = b.Value
		}
		return ok
	}
	return (n.Type() == ast.IntegerType || n.Type() == ast.StringType) && k.setText(n.GetToken().Value)
}

func setString(v *string, n ast.Node) bool {
	switch n := n.(type) {
	case *ast.StringNode:
		*v = n.Value
	case *ast.LiteralNode:
		*v = n.Value.Value
	case *ast.NullNode: // keeps the default
	default:
		return false
	}
	return true
}

// setText sets the key from a text, such as an environment variable, and reports whether it
// has the key's type.
func (k key) setText(text string) bool {
	switch v := k.value.Addr().Interface().(type) {
	case *string:
		*v = text
	case *[]string:
		*v = nil
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				*v = append(*v, item)
			}
		}
	case *bool:
		return parseInto(v, text, strconv.ParseBool)
	case *int:
		return parseInto(v, text, strconv.Atoi)
	case *time.Duration:
		return parseInto(v, text, parseDuration)
	}
	return true
}

// parseDuration is time.ParseDuration with days of 24 hours: 1d, 14d.
func parseDuration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err
	}
	return time.ParseDuration(text)
}

// parseInto leaves v unchanged if the text cannot be parsed, so that no further problem
// follows from it.
func parseInto[T any](v *T, text string, parse func(string) (T, error)) bool {
	parsed, err := parse(text)
	if err == nil {
		*v = parsed
	}
	return err == nil
}

// kind describes the values that the key accepts.
func (k key) kind() string {
	switch k.value.Interface().(type) {
	case bool:
		return "true or false"
	case int:
		return "a number"
	case time.Duration:
		return "a time such as 15m, 12h or 1d"
	case []string:
		return "a list of texts"
	}
	return "a text"
}

const envPrefix = "VERNAL_"

// envName returns the variable that sets the key.
func (k key) envName() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(k.path, ".", "_"))
}

// readEnvironment sets keys from variables, which take precedence over the file. An
// empty variable has the same effect as "" in the file.
func (l *loader) readEnvironment(getenv func(string) string, environ []string) {
	empty := make(map[string]bool)
	known := []string{MasterKeyEnv, PinEnv, MailPasswordEnv, WebhookSecretEnv}
	for _, path := range l.paths {
		known = append(known, l.keys[path].envName())
	}
	var ends []string // the prefix would make any two names alike
	for _, name := range known {
		ends = append(ends, strings.TrimPrefix(name, envPrefix))
	}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		empty[name] = value == ""
		if end, ok := strings.CutPrefix(name, envPrefix); ok && !slices.Contains(known, name) && !isInjected(name, value) {
			l.problems = append(l.problems, name+": unknown variable"+suggestName(envPrefix, end, ends))
		}
	}
	for _, path := range l.paths {
		k := l.keys[path]
		text := getenv(k.envName())
		if text == "" && !empty[k.envName()] {
			continue
		}
		l.config.origins[path] = k.envName()
		if !k.setText(text) {
			l.problems = append(l.problems, fmt.Sprintf("%s: want %s, not %q", k.envName(), k.kind(), text))
		}
	}
}

// serviceLink is a variable that Kubernetes and Docker set in every container for a
// service called vernal or vernal-…: VERNAL_SERVICE_HOST, VERNAL_PORT_8080_TCP,
// VERNAL_DB_SERVICE_PORT.
var serviceLink = regexp.MustCompile(`^VERNAL_(SERVICE_|PORT)|_SERVICE_(HOST|PORT)(_|$)|_PORT_[0-9]+_(TCP|UDP|SCTP)(_|$)`)

// isInjected reports whether a container platform, not the operator, set the variable.
func isInjected(name, value string) bool {
	return serviceLink.MatchString(name) || strings.HasSuffix(name, "_PORT") && strings.Contains(value, "://")
}
