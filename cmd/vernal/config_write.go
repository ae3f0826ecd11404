package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strconv"
	"strings"
)

// writeConfig writes a vernal.yaml: every key with its explanation and its
// default as a comment, except those in set, which it sets. Lists are split at
// commas.
func writeConfig(set map[string]string) (string, error) {
	fields, err := configFields()
	if err != nil {
		return "", err
	}
	w := &configWriter{set: set, values: make(map[string]setting)}
	for _, s := range settings(defaultConfig()) {
		w.values[s.path] = s
	}
	w.comment("", "Configuration of Vernal. Lines that begin with # and a key show its default;\n"+
		"take the # away to change it. `vernal serve` reads this file when it starts.")
	w.section("", "", fields)
	return w.out.String(), nil
}

// configFields finds the struct that the manual is written on, in the source of
// config.go.
func configFields() (*ast.StructType, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", configSource, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("read the comments of the configuration: %w", err)
	}
	var found *ast.StructType
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok && spec.Name.Name == "Config" {
			found, _ = spec.Type.(*ast.StructType)
		}
		return found == nil
	})
	if found == nil {
		return nil, fmt.Errorf("config.go holds no struct Config")
	}
	return found, nil
}

type configWriter struct {
	set    map[string]string
	values map[string]setting
	out    strings.Builder
}

// section writes the keys of a struct, each under its comment.
func (w *configWriter) section(prefix, indent string, fields *ast.StructType) {
	for _, f := range fields.Fields.List {
		if f.Tag == nil {
			continue
		}
		tag, err := strconv.Unquote(f.Tag.Value)
		if err != nil {
			continue
		}
		name := reflect.StructTag(tag).Get("yaml")
		if prefix == "" {
			w.out.WriteString("\n")
		}
		w.comment(indent, f.Doc.Text())
		path := prefix + name
		if inner, ok := f.Type.(*ast.StructType); ok {
			fmt.Fprintf(&w.out, "%s%s:\n", indent, name)
			w.section(path+".", indent+"  ", inner)
			continue
		}
		if v, ok := w.set[path]; ok {
			text := yamlText(v)
			if _, list := w.values[path].value.Interface().([]string); list {
				var items []string
				for item := range strings.SplitSeq(v, ",") {
					items = append(items, yamlText(strings.TrimSpace(item)))
				}
				text = "[" + strings.Join(items, ", ") + "]"
			}
			fmt.Fprintf(&w.out, "%s%s: %s\n", indent, name, text)
			continue
		}
		fmt.Fprintf(&w.out, "%s#%s: %s\n", indent, name, w.values[path].text())
	}
}

func (w *configWriter) comment(indent, text string) {
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		fmt.Fprintf(&w.out, "%s# %s\n", indent, line)
	}
}
