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

// pageFuncs returns the functions that pages call. Texts are returned unescaped.
func pageFuncs(lang Lang, c catalogue, prefix string) map[string]any {
	all := map[string]any{
		"lang":   func() Lang { return lang },
		"name":   func(l Lang) string { return langNames[l] },
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
		"seen":      c.seenText,
		"contexts":  contextsURL,
		"lack":      lackKey,
		"factor":    factorKey,
		"attribute": func(name string) Key { return Key("attributes.text." + name) },
		"level":     func(level string) Key { return Key("attributes.level." + level) },
		// user_text returns the text for a user who can act on the refusal; "" if only
		// the service provider can.
		"user_text": func(r *idp.Refusal) (string, error) {
			if key := refusalKey(r.Code, "user"); c[key] != "" {
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
		// n returns the text for a number, with the number as its first argument: key,
		// or key.one.
		"n": func(key Key, n int, args ...any) (string, error) {
			return c.formatCount(key, n, c.flattenArgs(args)...)
		},
		"days":   c.formatDays,
		"number": c.formatNumber,
		"until":  daysUntil,
		// date formats a day for machines, in an attribute.
		"date":  func(t time.Time) string { return t.UTC().Format(time.DateOnly) },
		"short": shortFingerprint,
		"style": inlineStyle,
		"line":  oneLine,
		"qr":    QRCode,
		// otpauth marks our own URL, whose scheme pages would remove.
		"otpauth": func(url string) htmltemplate.URL { return htmltemplate.URL(url) },
	}
	maps.Copy(all, newPhrases(c).reasonFuncs())
	return all
}

// AttributesPath is the page of the attributes, and ContextsPath its part with the values of
// AuthnContextClassRef.
const (
	AttributesPath = "/developers/attributes"
	ContextsPath   = AttributesPath + "#contexts"
)

// contextsURL returns the link to the known values for a refusal about them; "" for any other.
func contextsURL(r *idp.Refusal) string {
	switch r.Code {
	case idp.RefusedAuthnContext, idp.RefusedAuthnContextLevel:
		return ContextsPath
	}
	return ""
}

// daysUntil counts the calendar days between two times; 0 if end is zero.
func daysUntil(start, end time.Time) int {
	if end.IsZero() {
		return 0
	}
	const day = 24 * time.Hour
	return int(end.Truncate(day).Sub(start.Truncate(day)) / day)
}

// shortFingerprint returns enough of a fingerprint to distinguish a few certificates.
func shortFingerprint(fingerprint string) string {
	if len(fingerprint) <= 16 {
		return fingerprint
	}
	return fingerprint[:16] + "…"
}

func refusalKey(code idp.RefusalCode, part string) Key {
	return Key("refusal." + string(code) + "." + part)
}

// seenText describes the seen value of a refusal without quoting it, because it is too long or
// personal. It returns "" for a refusal that quotes the value, and for one without a value.
func (c catalogue) seenText(r *idp.Refusal) (string, error) {
	key := refusalKey(r.Code, "seen")
	if r.Seen != "" || c[key] == "" {
		return "", nil
	}
	return c.text(key, r.Args...)
}

// lackKey returns the key of a text of LackPage: part is "title", "asked" or "do".
func lackKey(lacks, part string) Key { return Key("lack." + lacks + "." + part) }

func factorKey(f idp.Factor) Key { return Key("factor." + string(f)) }

// flattenArgs converts the arguments of a page to strings: single ones of any string type,
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

// oneLine makes an external value safe to read: it is on one line, and invisible characters
// are escaped (\n, \u200b), so that they neither hide from an integrator, nor move a
// terminal's cursor, nor change the writing direction.
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
