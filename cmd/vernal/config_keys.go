package main

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"vernal/idp/suggest"
)

// setting is one key of the configuration, bound to a Config.
type setting struct {
	// path is the key with those above it: "session.idle".
	path  string
	value reflect.Value
}

// settings lists the keys of c in the order of the struct.
func settings(c *Config) []setting {
	return appendSettings(nil, "", reflect.ValueOf(c).Elem())
}

func appendSettings(list []setting, prefix string, v reflect.Value) []setting {
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("yaml")
		switch f := v.Field(i); {
		case name == "":
		case f.Kind() == reflect.Struct:
			list = appendSettings(list, prefix+name+".", f)
		default:
			list = append(list, setting{path: prefix + name, value: f})
		}
	}
	return list
}

// env is the name of the variable that sets the key.
func (s setting) env() string {
	return "VERNAL_" + strings.ToUpper(strings.ReplaceAll(s.path, ".", "_"))
}

// kind says in words what the key takes.
func (s setting) kind() string {
	switch s.value.Interface().(type) {
	case bool:
		return "true or false"
	case int:
		return "a number"
	case time.Duration:
		return "a time such as 15m or 12h"
	case []string:
		return "a list"
	}
	return "a text"
}

// setText sets the key from one text, as the environment has it.
func (s setting) setText(text string) error {
	switch v := s.value.Addr().Interface().(type) {
	case *string:
		*v = text
		return nil
	case *[]string:
		*v = nil
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				*v = append(*v, part)
			}
		}
		return nil
	case *bool:
		b, err := strconv.ParseBool(text)
		if err == nil {
			*v = b
			return nil
		}
	case *int:
		n, err := strconv.Atoi(text)
		if err == nil {
			*v = n
			return nil
		}
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err == nil {
			*v = d
			return nil
		}
	}
	return fmt.Errorf("want %s, not %q", s.kind(), text)
}

// text is the key's value as vernal.yaml has it.
func (s setting) text() string {
	switch v := s.value.Interface().(type) {
	case []string:
		return "[" + strings.Join(v, ", ") + "]"
	case time.Duration:
		return shortDuration(v)
	case string:
		return yamlText(v)
	default:
		return fmt.Sprint(v)
	}
}

// shortDuration is d without the zeros that its String ends in.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// yamlText writes a text so that YAML reads it back as that text. What is more
// than letters, digits and the marks of addresses, paths and names is quoted,
// as JSON, which YAML reads.
func yamlText(s string) string {
	plain := s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("./:_-", r))
	})
	_, number := strconv.ParseFloat(s, 64)
	if plain && number != nil && !strings.ContainsAny(s[:1], ".:-0123456789") && !strings.HasSuffix(s, ":") && !isYAMLWord(s) {
		return s
	}
	return strconv.Quote(s)
}

// isYAMLWord reports whether YAML, in some version, reads s as no text.
func isYAMLWord(s string) bool {
	switch strings.ToLower(s) {
	case "true", "false", "yes", "no", "on", "off", "y", "n", "null":
		return true
	}
	return false
}

// nearest is the key most like name, or "" if none is like it. Keys are
// compared with and without what is above them.
func nearest(name string, keys []string) string {
	best, bestDistance := "", len(name)/2+1
	for _, k := range keys {
		last := k[strings.LastIndex(k, ".")+1:]
		d := min(suggest.Distance(name, k), suggest.Distance(name[strings.LastIndex(name, ".")+1:], last)+1)
		if d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}
