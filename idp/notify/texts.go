package notify

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"
	"time"

	"vernal/idp"
	"vernal/templates"
)

// The texts are here and not with the pages, because they are plain text without escaping
// or styles. Each language has a folder with the same files.
//
//go:embed texts
var embedded embed.FS

// texts are the parsed texts, read-only. Missing or differing texts are a broken build,
// which must not start.
var texts = func() map[templates.Lang]*template.Template {
	all, err := readTexts(embedded)
	if err != nil {
		panic(err)
	}
	return all
}()

// fallback is the language that the others are compared with.
const fallback templates.Lang = "en"

// grammar has the words of a language that Go code inserts.
type grammar struct {
	months [12]string
	// first is the first day of a month. date holds {day}, {month} and {year}.
	first, date string
	and         string // between the last two of a list
	// day and provider have the singular and the plural.
	day, provider [2]string
}

var grammars = map[templates.Lang]grammar{
	"en": {
		months: [12]string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"},
		first:  "1", date: "{day} {month} {year}", and: " and ",
		day: [2]string{"day", "days"}, provider: [2]string{"service provider", "service providers"},
	},
	"es": {
		months: [12]string{"enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"},
		first:  "1", date: "{day} de {month} de {year}", and: " y ",
		day: [2]string{"día", "días"}, provider: [2]string{"proveedor de servicios", "proveedores de servicios"},
	},
	"fr": {
		months: [12]string{"janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"},
		first:  "1er", date: "{day} {month} {year}", and: " et ",
		day: [2]string{"jour", "jours"}, provider: [2]string{"fournisseur de services", "fournisseurs de services"},
	},
}

// readTexts parses texts/LANG/*.txt. Each language must have the same files, with the same
// fields and templates, as English.
func readTexts(files fs.FS) (map[templates.Lang]*template.Template, error) {
	all := map[templates.Lang]*template.Template{}
	var problems []error
	for lang, g := range grammars {
		t, err := template.New("").Option("missingkey=error").Funcs(g.funcs()).ParseFS(files, path.Join("texts", string(lang), "*.txt"))
		if err != nil {
			problems = append(problems, fmt.Errorf("texts in %q: %w", lang, err))
			continue
		}
		all[lang] = t
	}
	if all[fallback] == nil {
		return nil, errors.Join(problems...)
	}
	want := mentions(all[fallback])
	for lang, t := range all {
		got := mentions(t)
		for name, fields := range want {
			switch have, ok := got[name]; {
			case !ok:
				problems = append(problems, fmt.Errorf("text %s/%s is missing", lang, name))
			case !slices.Equal(have, fields):
				problems = append(problems, fmt.Errorf("text %s/%s has %v, and %v in %s", lang, name, have, fields, fallback))
			}
		}
		for name := range got {
			if _, ok := want[name]; !ok {
				problems = append(problems, fmt.Errorf("text %s/%s is superfluous", lang, name))
			}
		}
	}
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return all, errors.Join(problems...)
}

// mentions lists the fields and templates that each text uses, sorted. Texts without words
// are left out.
func mentions(t *template.Template) map[string][]string {
	all := map[string][]string{}
	for _, text := range t.Templates() {
		if text.Tree == nil || strings.TrimSpace(text.Root.String()) == "" {
			continue
		}
		found := collect(text.Root, []string{})
		slices.Sort(found)
		all[text.Name()] = slices.Compact(found)
	}
	return all
}

// collect adds what a node mentions to found.
func collect(n parse.Node, found []string) []string {
	branch := func(pipe *parse.PipeNode, list, other *parse.ListNode) []string {
		found = collect(pipe, found)
		found = collect(list, found)
		if other != nil {
			found = collect(other, found)
		}
		return found
	}
	switch n := n.(type) {
	case *parse.ListNode:
		for _, child := range n.Nodes {
			found = collect(child, found)
		}
	case *parse.ActionNode:
		return collect(n.Pipe, found)
	case *parse.IfNode:
		return branch(n.Pipe, n.List, n.ElseList)
	case *parse.WithNode:
		return branch(n.Pipe, n.List, n.ElseList)
	case *parse.RangeNode:
		return branch(n.Pipe, n.List, n.ElseList)
	case *parse.TemplateNode:
		return append(found, "template "+n.Name)
	case *parse.PipeNode:
		for _, command := range n.Cmds {
			for _, arg := range command.Args {
				found = collect(arg, found)
			}
		}
	case *parse.FieldNode, *parse.VariableNode, *parse.StringNode:
		return append(found, strings.TrimPrefix(n.String(), "$"))
	}
	return found
}

// funcs returns the template functions of the language.
func (g grammar) funcs() template.FuncMap {
	return template.FuncMap{
		"plain": plain, "date": g.longDate, "and": g.joinAnd,
		"days":      func(n int) string { return count(n, g.day) },
		"providers": func(n int) string { return count(n, g.provider) },
	}
}

// longDate formats a date without ambiguity between countries.
func (g grammar) longDate(t time.Time) string {
	t = t.UTC()
	day := strconv.Itoa(t.Day())
	if t.Day() == 1 {
		day = g.first
	}
	return strings.NewReplacer("{day}", day, "{month}", g.months[t.Month()-1], "{year}", strconv.Itoa(t.Year())).Replace(g.date)
}

// joinAnd lists years: "2025 and 2026".
func (g grammar) joinAnd(years []idp.Year) string {
	var all []string
	for _, y := range years {
		all = append(all, string(y))
	}
	if len(all) < 2 {
		return strings.Join(all, "")
	}
	return strings.Join(all[:len(all)-1], ", ") + g.and + all[len(all)-1]
}

// count formats a number with its noun.
func count(n int, things [2]string) string {
	if n == 1 {
		return "1 " + things[0]
	}
	return strconv.Itoa(n) + " " + things[1]
}

// lang returns the default language, the first of the installation's.
func (s *Service) lang() templates.Lang {
	if len(s.Langs) > 0 && texts[s.Langs[0]] != nil {
		return s.Langs[0]
	}
	return fallback
}
