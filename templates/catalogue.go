package templates

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// catalogue is the texts of one language. A text may hold placeholders, {0}, {1}, …
// or by name (see Phrases), and parts in [[…]] that are left out when a placeholder
// in them has no argument.
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

// check compares a catalogue with that of the fallback: each has the texts of the
// other, with the same marks. It names all that is wrong, in order.
func (c catalogue) check(english catalogue, marks func(string) []string) error {
	var problems []error
	for key, text := range english {
		switch got, ok := c[key]; {
		case !ok || strings.TrimSpace(got) == "":
			problems = append(problems, fmt.Errorf("text %q is missing", key))
		case !slices.Equal(marks(got), marks(text)):
			problems = append(problems, fmt.Errorf("text %q has %v, and %v in %s", key, marks(got), marks(text), fallback))
		}
	}
	for key := range c {
		if _, ok := english[key]; !ok {
			problems = append(problems, fmt.Errorf("text %q is superfluous", key))
		}
	}
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(problems...)
}

// marks are the different placeholders and brackets of a text, sorted.
func marks(text string) []string {
	var found []string
	for rest := text; ; {
		i, n := placeholder(rest)
		if i < 0 {
			break
		}
		found, rest = append(found, "{"+strconv.Itoa(n)+"}"), rest[i+3:]
	}
	for _, name := range marksOf(text) {
		found = append(found, "{"+name+"}")
	}
	for _, bracket := range []string{"[[", "]]"} {
		for range strings.Count(text, bracket) {
			found = append(found, bracket)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// text is the text of key with its placeholders filled. The result is plain
// text: pages escape it.
func (c catalogue) text(key Key, args ...string) (string, error) {
	text, ok := c[key]
	if !ok {
		return "", fmt.Errorf("no text %q", key)
	}
	var out strings.Builder
	for text != "" {
		plain, rest, found := strings.Cut(text, "[[")
		out.WriteString(fillIn(plain, args))
		if !found {
			break
		}
		optional, after, _ := strings.Cut(rest, "]]")
		if hasAll(optional, args) {
			out.WriteString(fillIn(optional, args))
		}
		text = after
	}
	return out.String(), nil
}

// fillIn replaces {0} to {9}. It reads text once, so an argument that holds a
// placeholder stays as it is.
func fillIn(text string, args []string) string {
	var out strings.Builder
	for {
		i, n := placeholder(text)
		if i < 0 {
			out.WriteString(text)
			return out.String()
		}
		out.WriteString(text[:i])
		if n < len(args) {
			out.WriteString(args[n])
		}
		text = text[i+3:]
	}
}

// hasAll reports whether each placeholder of text has an argument with a value.
func hasAll(text string, args []string) bool {
	for {
		i, n := placeholder(text)
		if i < 0 {
			return true
		}
		if n >= len(args) || args[n] == "" {
			return false
		}
		text = text[i+3:]
	}
}

// placeholder finds the first {N} in text: where, and which.
func placeholder(text string) (at, n int) {
	for i := 0; i+2 < len(text); i++ {
		if text[i] == '{' && text[i+1] >= '0' && text[i+1] <= '9' && text[i+2] == '}' {
			return i, int(text[i+1] - '0')
		}
	}
	return -1, 0
}

// names are what each language calls itself: whoever needs the switcher cannot
// read the page.
var names = map[Lang]string{"en": "English", "es": "Español", "fr": "Français"}

// date writes a time by one of the texts that have places for its parts: the
// month by its name, the day, the year, the hour and the minute.
func (c catalogue) date(key Key, t time.Time) (string, error) {
	t = t.UTC()
	month, err := c.text(Key("time.month." + strconv.Itoa(int(t.Month()))))
	if err != nil {
		return "", err
	}
	day := strconv.Itoa(t.Day())
	if t.Day() == 1 {
		day = c["time.first"] // French has a word for it
	}
	return c.text(key, month, day, strconv.Itoa(t.Year()), t.Format("15"), t.Format("04"))
}

// number writes a number with its thousands set apart.
func (c catalogue) number(n int) string {
	if n < 0 {
		return "-" + c.number(-n)
	}
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fillIn(c["number"], []string{c.number(n / 1000), fmt.Sprintf("%03d", n%1000)})
}

// count is the text of key for a number, which fills {0}: in the singular, of
// key.one.
func (c catalogue) count(key Key, n int, args ...string) (string, error) {
	if n == 1 {
		key += ".one"
	}
	return c.text(key, append([]string{c.number(n)}, args...)...)
}

// days is how far away a day is that is n days ahead, or back if n is negative.
func (c catalogue) days(n int) (string, error) {
	switch {
	case n == 0:
		return c.text("days.today")
	case n < 0:
		return c.count("days.ago", -n)
	}
	return c.count("days.in", n)
}
