package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"vernal/cmd/vernal/cli"
)

// defaultFile is the configuration that is read where none is named.
const defaultFile = "vernal.yaml"

// maxConfig bounds the file.
const maxConfig = 1 << 20

// configError is everything that is wrong with a configuration, a line each.
type configError struct {
	problems []string
	// refused says that the values are valid and the files they name are not
	// safe to use.
	refused bool
}

// ExitCode tells values that are wrong from files that are not safe.
func (e *configError) ExitCode() int {
	if e.refused {
		return cli.ExitRefused
	}
	return cli.ExitError
}

func (e *configError) Error() string {
	return "the configuration is not valid:\n  " + strings.Join(e.problems, "\n  ")
}

// loadConfig reads the file, or, with "", vernal.yaml if it exists; then the
// environment; and checks the result. The error names all that is wrong, with
// the line or the variable. environ lists the environment as os.Environ does:
// without it, getenv alone cannot show empty and unknown variables.
func loadConfig(file string, getenv func(string) string, environ ...string) (*Config, error) {
	c := defaultConfig()
	l := &loader{config: c, settings: make(map[string]setting)}
	for _, s := range settings(c) {
		l.settings[s.path] = s
		l.keys = append(l.keys, s.path)
	}
	name := file
	if name == "" {
		name = defaultFile
	}
	abs, err := filepath.Abs(name)
	if err != nil {
		return nil, fmt.Errorf("find the configuration: %w", err)
	}
	c.dir = filepath.Dir(abs)
	c.explicit = file != ""
	data, err := c.readConfig(abs, c.explicit)
	switch {
	case err == nil:
		c.file = abs
		l.file(name, data)
	case errors.Is(err, errUntrusted):
		return nil, err // nothing of it is quoted
	case file != "" || !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	l.environment(getenv, environ)
	if err := c.trustForeign(); err != nil {
		return nil, err
	}
	l.problems = append(l.problems, c.problems()...)
	open := c.secretProblems(getenv)
	if all := append(l.problems, open...); len(all) > 0 {
		return nil, &configError{problems: all, refused: len(l.problems) == 0}
	}
	return c, nil
}

// readFile reads a file that must not be longer than limit bytes.
func readFile(path string, limit int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return cli.ReadAll(f, path, limit)
}

func readAll(r io.Reader, path string, limit int) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err == nil && len(data) > limit {
		err = fmt.Errorf("%s is longer than %d bytes", path, limit)
	}
	return data, err
}

// loader fills a Config and gathers what is wrong.
type loader struct {
	config   *Config
	settings map[string]setting
	keys     []string // of settings, in order
	name     string   // of the file, as errors name it
	problems []string
}

func (l *loader) problem(n ast.Node, format string, args ...any) {
	l.problems = append(l.problems, l.at(n)+": "+fmt.Sprintf(format, args...))
}

// at is the place of a node: "vernal.yaml:12".
func (l *loader) at(n ast.Node) string {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return fmt.Sprintf("%s:%d", l.name, t.Position.Line)
	}
	return l.name
}

func (l *loader) file(name string, data []byte) {
	l.name = name
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		line := ""
		var syntax yaml.Error
		if errors.As(err, &syntax) && syntax.GetToken() != nil {
			line = fmt.Sprintf(":%d", syntax.GetToken().Position.Line)
			err = errors.New(syntax.GetMessage())
		}
		l.problems = append(l.problems, fmt.Sprintf("%s%s: %v", name, line, err))
		return
	}
	for i, doc := range file.Docs {
		switch {
		case doc.Body == nil || doc.Body.Type() == ast.NullType || doc.Body.Type() == ast.CommentType:
		case i > 0:
			l.problem(doc.Body, "a second document")
		default:
			l.mapping("", doc.Body)
		}
	}
}

// mapping reads the keys under prefix.
func (l *loader) mapping(prefix string, n ast.Node) {
	var pairs []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	case *ast.NullNode: // a heading with every key under it commented out
		return
	default:
		l.problem(n, "%s: want keys with values here", strings.TrimSuffix(prefix, "."))
		return
	}
	seen := make(map[string]bool)
	for _, pair := range pairs {
		path := prefix + pair.Key.GetToken().Value
		switch s, ok := l.settings[path]; {
		case seen[path]:
			l.problem(pair.Key, "%s is there twice", path)
		case ok:
			l.value(s, pair.Value)
		case l.isSection(path):
			l.mapping(path+".", pair.Value)
		default:
			l.unknown(pair, path)
		}
		seen[path] = true
	}
}

func (l *loader) isSection(path string) bool {
	return slices.ContainsFunc(l.keys, func(k string) bool { return strings.HasPrefix(k, path+".") })
}

// unknown names the nearest key. For a key with others below it that is the
// nearest section.
func (l *loader) unknown(pair *ast.MappingValueNode, path string) {
	kind, names := "key", l.keys
	switch pair.Value.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		kind, names = "section", l.sections()
	}
	if near := nearest(path, names); near != "" {
		l.problem(pair.Key, "unknown %s %s; did you mean %s?", kind, path, near)
		return
	}
	l.problem(pair.Key, "unknown %s %s", kind, path)
}

// sections lists what keys are below: "rotation", "rotation.webhook".
func (l *loader) sections() []string {
	var out []string
	for _, k := range l.keys {
		for i, c := range k {
			if c == '.' && !slices.Contains(out, k[:i]) {
				out = append(out, k[:i])
			}
		}
	}
	return out
}

// value sets one key from the file. A text that YAML reads as a number or the
// like is not taken for a text: who writes "listen: 8080" means something else.
func (l *loader) value(s setting, n ast.Node) {
	l.config.origins[s.path] = l.at(n)
	var err error
	switch v := s.value.Addr().Interface().(type) {
	case *string:
		err = l.text(s, n, v)
	case *[]string:
		err = l.list(s, n, v)
	case *bool:
		b, ok := n.(*ast.BoolNode)
		if ok {
			*v = b.Value
		} else {
			err = l.wrong(s, n)
		}
	case *int, *time.Duration:
		switch n.(type) {
		case *ast.IntegerNode, *ast.StringNode:
			err = s.setText(n.GetToken().Value)
		default:
			err = l.wrong(s, n)
		}
	}
	if err != nil {
		l.problem(n, "%s: %v", s.path, err)
	}
}

func (l *loader) text(s setting, n ast.Node, v *string) error {
	switch n := n.(type) {
	case *ast.StringNode:
		*v = n.Value
	case *ast.LiteralNode:
		*v = n.Value.Value
	case *ast.NullNode:
	default:
		return l.wrong(s, n)
	}
	return nil
}

func (l *loader) list(s setting, n ast.Node, v *[]string) error {
	if _, ok := n.(*ast.NullNode); ok {
		return nil
	}
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		return l.wrong(s, n)
	}
	*v = nil
	for _, item := range seq.Values {
		var text string
		if err := l.text(s, item, &text); err != nil || text == "" {
			return fmt.Errorf("want a list of texts; %q is none", item.String())
		}
		*v = append(*v, text)
	}
	return nil
}

func (l *loader) wrong(s setting, n ast.Node) error {
	kind := strings.ToLower(n.Type().String())
	if _, ok := n.(ast.ScalarNode); ok {
		return fmt.Errorf("want %s, not %s %q", s.kind(), kind, n.GetToken().Value)
	}
	return fmt.Errorf("want %s, not %s", s.kind(), kind)
}

// environment sets keys from variables, which win over the file. An empty
// variable means what "" means in the file, so it is an error where that is one.
func (l *loader) environment(getenv func(string) string, environ []string) {
	empty := make(map[string]bool)
	known := []string{masterKeyEnv, pinEnv, mailPasswordEnv, webhookSecretEnv}
	for _, k := range l.keys {
		known = append(known, l.settings[k].env())
	}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		empty[name] = value == ""
		if strings.HasPrefix(name, "VERNAL_") && !slices.Contains(known, name) && !injected(name, value) {
			l.unknownVariable(name, known)
		}
	}
	for _, k := range l.keys {
		s := l.settings[k]
		text := getenv(s.env())
		if text == "" && !empty[s.env()] {
			continue
		}
		l.config.origins[k] = s.env()
		if err := s.setText(text); err != nil {
			l.problems = append(l.problems, fmt.Sprintf("%s: %v", s.env(), err))
		}
	}
}

func (l *loader) unknownVariable(name string, known []string) {
	const prefix = "VERNAL_"
	var ends []string // what they share would make any two alike
	for _, k := range known {
		ends = append(ends, strings.TrimPrefix(k, prefix))
	}
	text := name + ": unknown variable"
	if near := nearest(strings.TrimPrefix(name, prefix), ends); near != "" {
		text += "; did you mean " + prefix + near + "?"
	}
	l.problems = append(l.problems, text)
}

// serviceLink is a variable that Kubernetes and Docker set in every container for a
// service called vernal or vernal-…: VERNAL_SERVICE_HOST, VERNAL_PORT_8080_TCP,
// VERNAL_DB_SERVICE_PORT.
var serviceLink = regexp.MustCompile(`^VERNAL_(SERVICE_|PORT)|_SERVICE_(HOST|PORT)(_|$)|_PORT_[0-9]+_(TCP|UDP|SCTP)(_|$)`)

// injected reports whether a container platform, not the operator, set the
// variable.
func injected(name, value string) bool {
	return serviceLink.MatchString(name) || strings.HasSuffix(name, "_PORT") && strings.Contains(value, "://")
}
