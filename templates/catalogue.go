package templates

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// catalogue contains the texts of one language. A text may contain placeholders, {0}, {1}, …
// or by name (see Phrases), and parts in [[…]] that are omitted when a placeholder in them has
// no argument.
type catalogue map[Key]string

// readCatalogues reads catalogue/LANG.json; see check.
func readCatalogues(files fs.FS) (map[Lang]catalogue, error) {
	names, err := fs.Glob(files, "catalogue/*.json")
	if err != nil {
		return nil, err
	}
	all := make(map[Lang]catalogue)
	for _, name := range names {
		b, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		var c catalogue
		if err := json.Unmarshal(b, &c); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		all[Lang(strings.TrimSuffix(path.Base(name), ".json"))] = c
	}
	return all, nil
}

var (
	placeholder         = regexp.MustCompile(`\{([a-z0-9_]+)\}`)
	optionalPart = regexp.MustCompile(`(?s)\[\[(.*?)\]\]`)
)

// text returns the text of key with its placeholders {0}, {1}, … filled. The result is plain
// text, which pages escape.
func (c catalogue) text(key Key, args ...string) (string, error) {
	text, ok := c[key]
	if !ok {
		return "", fmt.Errorf("no text %q", key)
	}
	return fill(text, func(name string) string {
		if n, err := strconv.Atoi(name); err == nil && n < len(args) {
			return args[n]
		}
		return ""
	}), nil
}

// fill replaces placeholders by values. It does not replace placeholders within values.
func fill(text string, value func(name string) string) string {
	if !strings.ContainsAny(text, "{[") { // false for most texts of a page
		return text
	}
	text = optionalPart.ReplaceAllStringFunc(text, func(part string) string {
		part = part[len("[[") : len(part)-len("]]")]
		if slices.ContainsFunc(placeholder.FindAllString(part, -1), func(m string) bool { return value(m[1:len(m)-1]) == "" }) {
			return ""
		}
		return part
	})
	return placeholder.ReplaceAllStringFunc(text, func(m string) string { return value(m[1 : len(m)-1]) })
}

// nameSet are the languages' own names, because users who need the switcher cannot read the
// page.
var nameSet = map[Lang]string{"en": "English", "es": "Español", "fr": "Français"}

// formatDate formats a time with one of the texts that have placeholders for its parts: the
// name of the month, the day, the year, the hour and the minute.
func (c catalogue) formatDate(key Key, t time.Time) (string, error) {
	t = t.UTC()
	month, err := c.text(Key("time.month." + strconv.Itoa(int(t.Month()))))
	if err != nil {
		return "", err
	}
	day := strconv.Itoa(t.Day())
	if t.Day() == 1 {
		day = c["time.first"] // French has a word for the first day
	}
	return c.text(key, month, day, strconv.Itoa(t.Year()), t.Format("15"), t.Format("04"))
}

// formatNumber formats a number with separated thousands.
func (c catalogue) formatNumber(n int) string {
	if n < 0 {
		return "-" + c.formatNumber(-n)
	}
	if n < 1000 {
		return strconv.Itoa(n)
	}
	text, _ := c.text("number", c.formatNumber(n/1000), fmt.Sprintf("%03d", n%1000))
	return text
}

// formatCount returns the text of key for a number, which fills {0}. For 1 it uses key.one, and
// for 0 as well where "number.zero" has the plural category "one": French counts 0 jour.
func (c catalogue) formatCount(key Key, n int, args ...string) (string, error) {
	if n == 1 || n == 0 && c["number.zero"] == "one" {
		key += ".one"
	}
	return c.text(key, append([]string{c.formatNumber(n)}, args...)...)
}

// formatDays returns the text for a day n days ahead, or in the past if n is negative.
func (c catalogue) formatDays(n int) (string, error) {
	switch {
	case n == 0:
		return c.text("days.today")
	case n < 0:
		return c.formatCount("days.ago", -n)
	}
	return c.formatCount("days.in", n)
}
