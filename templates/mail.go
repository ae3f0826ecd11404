package templates

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	texttemplate "text/template"
	"time"

	"vernal/idp"
)

// readMails reads mails/LANG/NAME: the texts of notices and letters, which are plain, so
// nothing in them is escaped.
func readMails(files fs.FS) (map[Lang]catalogue, error) {
	names, err := fs.Glob(files, "mails/*/*.txt")
	if err != nil {
		return nil, err
	}
	all := make(map[Lang]catalogue)
	for _, name := range names {
		b, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		lang := Lang(path.Base(path.Dir(name)))
		if all[lang] == nil {
			all[lang] = make(catalogue)
		}
		all[lang][Key(path.Base(name))] = string(b)
	}
	return all, nil
}

var (
	action  = regexp.MustCompile(`\{\{.*?\}\}`)
	mention = regexp.MustCompile(`\.[A-Z][\w.]*|"[^"]*"`)
)

// mentions are the different fields, codes and parts of a mail, sorted.
func mentions(text string) []string {
	found := mention.FindAllString(strings.Join(action.FindAllString(text, -1), " "), -1)
	slices.Sort(found)
	return slices.Compact(found)
}

// parseMails parses the mails of a language with the grammar of its catalogue.
func parseMails(texts, c catalogue) (*texttemplate.Template, error) {
	t := texttemplate.New("").Option("missingkey=error").Funcs(texttemplate.FuncMap{
		"date":      func(t time.Time) (string, error) { return c.date("mail.date", t) },
		"days":      func(n int) (string, error) { return c.count("reason_part.days", n) },
		"providers": func(n int) (string, error) { return c.count("mail.providers", n) },
		"years":     c.years,
	})
	for name, text := range texts {
		if _, err := t.New(string(name)).Parse(text); err != nil {
			return nil, fmt.Errorf("parse mail: %w", err)
		}
	}
	return t, nil
}

// years lists years: "2025 and 2026".
func (c catalogue) years(years []idp.Year) string {
	list := ""
	for i, y := range years {
		switch {
		case i > 0 && i == len(years)-1:
			list += c["mail.and"]
		case i > 0:
			list += ", "
		}
		list += string(y)
	}
	return list
}

// Mail fills in the text of a mail. Its first line is the subject.
func (p *Phrases) Mail(name string, data any) (subject, text string, err error) {
	var out bytes.Buffer
	if err := p.mails.ExecuteTemplate(&out, name, data); err != nil {
		return "", "", fmt.Errorf("write mail: %w", err)
	}
	subject, text, _ = strings.Cut(strings.TrimSpace(out.String()), "\n")
	return subject, text, nil
}
