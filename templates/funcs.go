package templates

import (
	"fmt"
	htmltemplate "html/template"
	"maps"
	"strconv"
	"strings"
	"time"
	"unicode"

	"vernal/idp"
)

// pageFuncs are what pages call. Those that give text give it unescaped.
func pageFuncs(lang Lang, c catalogue, prefix string) map[string]any {
	all := map[string]any{
		"lang":   func() Lang { return lang },
		"name":   func(l Lang) string { return names[l] },
		"static": func(name string) string { return prefix + name },
		"t":      func(key Key, args ...any) (string, error) { return c.text(key, c.flattenArgs(args)...) },
		"brand": func(name string) (string, error) {
			if name != "" {
				return name, nil
			}
			return c.text("brand")
		},
		"support_text": c.supportText,
		"refusal": func(r *idp.Refusal, part string) (string, error) {
			return c.text(refusalKey(r.Code, part), r.Args...)
		},
		"contexts":  contextsURL,
		"lack":      lackKey,
		"factor":    factorKey,
		"attribute": func(name string) Key { return Key("attributes.text." + name) },
		"level":     func(level string) Key { return Key("attributes.level." + level) },
		// person is what to tell somebody who can do something about the
		// refusal; "" where only the service provider can.
		"person": func(r *idp.Refusal) (string, error) {
			if key := refusalKey(r.Code, "person"); c[key] != "" {
				return c.text(key, r.Args...)
			}
			return "", nil
		},
		"help": func(texts map[string]string, spName, brand string) htmltemplate.HTML {
			if brand == "" {
				brand = c["brand"]
			}
			return renderHelp(lang, texts, spName, brand)
		},
		"stamp": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"when":  func(t time.Time) (string, error) { return c.formatDate("time", t) },
		"day":   func(t time.Time) (string, error) { return c.formatDate("date", t) },
		// n is the text for a number, with that as its first argument: key, or
		// key.one.
		"n": func(key Key, n int, args ...any) (string, error) {
			return c.formatCount(key, n, c.flattenArgs(args)...)
		},
		"days":   c.formatDays,
		"number": c.formatNumber,
		"until":  daysUntil,
		// date is a day for machines, in an attribute.
		"date":  func(t time.Time) string { return t.UTC().Format(time.DateOnly) },
		"short": shortFingerprint,
		"style": inlineStyle,
		"line":  oneLine,
	}
	maps.Copy(all, newPhrases(c).reasonFuncs())
	return all
}

// AttributesPath is the page of the attributes, and ContextsPath the part of it
// with the values of AuthnContextClassRef.
const (
	AttributesPath = "/developers/attributes"
	ContextsPath   = AttributesPath + "#contexts"
)

// contextsURL leads to the values that are known from a refusal that is about
// them; "" from any other.
func contextsURL(r *idp.Refusal) string {
	switch r.Code {
	case idp.RefusedAuthnContext, idp.RefusedAuthnContextLevel:
		return ContextsPath
	}
	return ""
}

// daysUntil counts the days of the calendar from one moment to another; 0 for no
// moment.
func daysUntil(from, to time.Time) int {
	if to.IsZero() {
		return 0
	}
	const day = 24 * time.Hour
	return int(to.Truncate(day).Sub(from.Truncate(day)) / day)
}

// shortFingerprint is enough of a fingerprint to tell a few certificates apart.
func shortFingerprint(fingerprint string) string {
	if len(fingerprint) <= 16 {
		return fingerprint
	}
	return fingerprint[:16] + "…"
}

func refusalKey(code idp.RefusalCode, part string) Key {
	return Key("refusal." + string(code) + "." + part)
}

// lackKey is a text of LackPage: part is "title", "asked" or "do".
func lackKey(lacks, part string) Key { return Key("lack." + lacks + "." + part) }

func factorKey(f idp.Factor) Key { return Key("factor." + string(f)) }

// flattenArgs makes arguments of a page into strings: single ones, of any string type,
// numbers, or a whole []string.
func (c catalogue) flattenArgs(args []any) []string {
	var out []string
	for _, a := range args {
		switch a := a.(type) {
		case []string:
			out = append(out, a...)
		case int:
			out = append(out, c.formatNumber(a))
		default:
			out = append(out, fmt.Sprint(a))
		}
	}
	return out
}

// oneLine makes a stranger's value fit to be read: on one line, and what cannot be
// seen is written out (\n, \u200b), so that it neither hides from an integrator
// nor moves a terminal's cursor nor turns the direction of writing.
func oneLine(s string) string {
	var out strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			out.WriteRune(r)
			continue
		}
		out.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
	}
	return out.String()
}
