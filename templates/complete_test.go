package templates

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	texttemplate "text/template"
)

// A program parses a page when it first renders it, so here every page and mail is parsed.
func TestEveryPageParses(t *testing.T) {
	t.Parallel()
	s := mustNew(t)
	if len(s.langs) != len(nameSet) {
		t.Errorf("languages are %v, names %v", s.langs, nameSet)
	}
	for lang, l := range s.pages {
		if nameSet[lang] == "" {
			t.Errorf("%s has no name", lang)
		}
		for name, parse := range l.html {
			if _, err := parse(); err != nil {
				t.Errorf("%s: page %s: %v", lang, name, err)
			}
		}
		for name, parse := range l.text {
			if _, err := parse(); err != nil {
				t.Errorf("%s: text %s: %v", lang, name, err)
			}
		}
		if _, err := l.mails(); err != nil {
			t.Errorf("%s: mails: %v", lang, err)
		}
	}
}

// checkAgainst compares a catalogue with the fallback's: each must have the texts of the
// other, with the same marks. It returns all problems, in order.
func (c catalogue) checkAgainst(english catalogue, marks func(string) []string) error {
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

var bracket = regexp.MustCompile(`\[\[|\]\]`)

// placeholdersOf returns the distinct placeholders and brackets of a text, sorted.
func placeholdersOf(text string) []string {
	found := slices.Concat(placeholder.FindAllString(text, -1), bracket.FindAllString(text, -1))
	slices.Sort(found)
	return slices.Compact(found)
}

var (
	action  = regexp.MustCompile(`\{\{.*?\}\}`)
	mention = regexp.MustCompile(`\.[A-Z][\w.]*|"[^"]*"`)
)

// mentions returns the distinct fields, codes and parts of a mail, sorted.
func mentions(text string) []string {
	found := mention.FindAllString(strings.Join(action.FindAllString(text, -1), " "), -1)
	slices.Sort(found)
	return slices.Compact(found)
}

// checkMails compares the mails of a language with those of the fallback.
func checkMails(mails, english *texttemplate.Template) error {
	texts := func(mails *texttemplate.Template) catalogue {
		c := make(catalogue)
		for _, t := range mails.Templates() {
			if t.Tree != nil {
				c[Key(t.Name())] = t.Root.String()
			}
		}
		return c
	}
	return texts(mails).checkAgainst(texts(english), mentions)
}
