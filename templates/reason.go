package templates

import (
	"fmt"
	htmltemplate "html/template"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Reasons says in other languages why the rotation stands as it does. The
// rotation, the board and old records tell that in English sentences; a reason.
// text of the English catalogue is the form of one, and what stands in its
// places is said in the other language, too, if it can be. It is read-only.
type Reasons struct {
	forms      []form
	catalogues map[Lang]catalogue
}

// form is how the sentences of a key are made.
type form struct {
	key   Key
	re    *regexp.Regexp
	marks []int // the placeholder of each group
}

// reasonPrefix begins the keys of sentences.
const reasonPrefix = "reason."

// NewReasons reads the sentences. An error means that this build of the program
// is broken.
func NewReasons() (*Reasons, error) {
	all, err := readCatalogues(embedded)
	if err != nil {
		return nil, err
	}
	return newReasons(all), nil
}

func newReasons(all map[Lang]catalogue) *Reasons {
	r := &Reasons{catalogues: all}
	for key, text := range all[fallback] {
		if strings.HasPrefix(string(key), reasonPrefix) {
			r.forms = append(r.forms, newForm(key, text))
		}
	}
	// The one that says most goes first: others may fit as well.
	size := func(f form) int { return len(f.re.String()) - 8*len(f.marks) }
	slices.SortFunc(r.forms, func(a, b form) int {
		if d := size(b) - size(a); d != 0 {
			return d
		}
		return strings.Compare(string(a.key), string(b.key))
	})
	return r
}

// newForm makes a pattern of a text. What ends a sentence may hold others; what
// is within is one thing.
func newForm(key Key, text string) form {
	f := form{key: key}
	pattern := "^"
	for {
		i, n := placeholder(text)
		if i < 0 {
			break
		}
		pattern, text = pattern+regexp.QuoteMeta(text[:i]), text[i+3:]
		f.marks = append(f.marks, n)
		if text == "" {
			pattern += "(.+)"
		} else {
			pattern += "([^;]+?)"
		}
	}
	f.re = regexp.MustCompile(pattern + regexp.QuoteMeta(text) + "$")
	return f
}

// In is the sentence in a language; false if it has to stay as it is.
func (r *Reasons) In(lang Lang, sentence string) (string, bool) {
	c := r.catalogues[lang]
	if lang == fallback || c == nil {
		return sentence, lang == fallback
	}
	// Several are joined by semicolons, which one can have, too.
	parts := strings.Split(sentence, "; ")
	for n := len(parts); n > 0; n-- {
		text, ok := r.one(c, lang, strings.Join(parts[:n], "; "))
		if !ok {
			continue
		}
		if n == len(parts) {
			return text, true
		}
		rest, ok := r.In(lang, strings.Join(parts[n:], "; "))
		return text + c["semicolon"] + " " + rest, ok
	}
	return sentence, false
}

// one is a single sentence.
func (r *Reasons) one(c catalogue, lang Lang, sentence string) (string, bool) {
	for _, f := range r.forms {
		m := f.re.FindStringSubmatch(sentence)
		if m == nil {
			continue
		}
		args := make([]string, 10)
		for i, n := range f.marks {
			args[n] = r.arg(c, lang, m[i+1])
		}
		text, err := c.text(f.key, args...)
		return text, err == nil
	}
	return "", false
}

// arg is what stands in a sentence: a day, another sentence, or what is the same
// in every language.
func (r *Reasons) arg(c catalogue, lang Lang, s string) string {
	if day, err := time.Parse(time.DateOnly, s); err == nil {
		if text, err := c.date("date", day); err == nil {
			return text
		}
	}
	if n, err := strconv.Atoi(s); err == nil && len(s) > 4 {
		return c.number(n) // not a year
	}
	text, _ := r.In(lang, s)
	return text
}

// page is the sentence for a page: one that stays English says so.
func (r *Reasons) page(lang Lang) func(string) htmltemplate.HTML {
	return func(sentence string) htmltemplate.HTML {
		text, ok := r.In(lang, line(sentence))
		text = htmltemplate.HTMLEscapeString(text)
		if !ok {
			text = fmt.Sprintf(`<span lang="%s">%s</span>`, fallback, text)
		}
		return htmltemplate.HTML(text)
	}
}
