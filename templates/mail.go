package templates

import (
	"bytes"
	"fmt"
	"io/fs"
	"strings"
	texttemplate "text/template"
	"time"

	"vernal/idp"
)

// parseMails parses mails/LANG: the texts of notices and letters. They are plain text, so they
// are not escaped. Their grammar is that of the catalogue.
func parseMails(files fs.FS, lang Lang, c catalogue) (*texttemplate.Template, error) {
	return texttemplate.New("").Option("missingkey=error").Funcs(texttemplate.FuncMap{
		"date":      func(t time.Time) (string, error) { return c.formatDate("mail.date", t) },
		"days":      func(n int) (string, error) { return c.formatCount("reason_part.days", n) },
		"providers": func(n int) (string, error) { return c.formatCount("mail.providers", n) },
		"years":     c.listYears,
	}).ParseFS(files, "mails/"+string(lang)+"/*.txt")
}

// listYears returns a list of years: "2025 and 2026".
func (c catalogue) listYears(years []idp.Year) string {
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
	mails, err := p.mails()
	if err == nil {
		err = mails.ExecuteTemplate(&out, name, data)
	}
	if err != nil {
		return "", "", fmt.Errorf("write mail: %w", err)
	}
	subject, text, _ = strings.Cut(strings.TrimSpace(out.String()), "\n")
	return subject, text, nil
}
