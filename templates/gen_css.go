//go:build ignore

// Gen_css makes static/css/uswds.css: the rules of the U.S. Web Design System's
// stylesheet that can match something in our pages. Fetch the package, then run
// it here, after a page begins to use another class or element:
//
//	npm pack @uswds/uswds@3.14.0
//	tar xzf uswds-uswds-3.14.0.tgz
//	go run gen_css.go package/dist/css/uswds.min.css
//
// The stylesheet's two font families become Public Sans, whose @font-face rules are in
// vernal.css. Its own @font-face rules are omitted.
package main

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

var (
	classAttr     = regexp.MustCompile(`class="([^"]*)"`)
	action        = regexp.MustCompile(`\{\{[^}]*\}\}`)
	tag           = regexp.MustCompile(`<([a-z][a-z0-9]*)`)
	comment       = regexp.MustCompile(`(?s)/\*.*?\*/`)
	negation      = regexp.MustCompile(`:(not|has)\([^)]*\)`)
	pseudo        = regexp.MustCompile(`::?[a-z-]+(\([^)]*\))?|\[[^\]]*\]`)
	class         = regexp.MustCompile(`\.((?:\\.|[\w-])+)`)
	element       = regexp.MustCompile(`[a-z][a-z0-9]*`)
	unusedPattern = regexp.MustCompile(`\[(type|data-|class\*|aria-disabled|contentEditable)|:disabled|-moz-|::-webkit-`)
	family        = regexp.MustCompile(`(Source Sans Pro|Merriweather) Web,[^;}]*`)
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: go run gen_css.go uswds.min.css")
	}
	css, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	names, err := scanPages("pages/*.html")
	if err != nil {
		log.Fatal(err)
	}
	out := "/*! Part of uswds v3.14.0, made by gen_css.go: see LICENSE-USWDS.md */\n" +
		family.ReplaceAllString(names.filter(comment.ReplaceAllString(string(css), "")), "Public Sans Web,system-ui,sans-serif")
	if err := os.WriteFile("static/css/uswds.css", []byte(out), 0o644); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("static/css/uswds.css: %d of %d bytes\n", len(out), len(css))
}

// nameSet contains the elements ("input") and classes (".usa-input") of our pages.
type nameSet map[string]bool

func scanPages(pattern string) (nameSet, error) {
	names := nameSet{"html": true, "body": true}
	files, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		page := action.ReplaceAllString(string(b), " ")
		for _, m := range classAttr.FindAllStringSubmatch(page, -1) {
			for _, c := range strings.Fields(m[1]) {
				names["."+c] = true
			}
		}
		for _, m := range tag.FindAllStringSubmatch(page, -1) {
			names[m[1]] = true
		}
	}
	return names, nil
}

// filter returns the rules of css that a page may need, one per line.
func (n nameSet) filter(css string) string {
	var out strings.Builder
	for css = strings.TrimSpace(css); css != ""; css = strings.TrimSpace(css) {
		head, rest, ok := strings.Cut(css, "{")
		if semicolon := strings.Index(head, ";"); !ok || semicolon >= 0 && strings.HasPrefix(head, "@") {
			_, css, _ = strings.Cut(css, ";") // @charset, @import
			continue
		}
		body, after := cutBlock(rest)
		css = after
		switch {
		case strings.HasPrefix(head, "@media"), strings.HasPrefix(head, "@supports"):
			if inner := n.filter(body); inner != "" && !strings.Contains(head, "print") {
				fmt.Fprintf(&out, "%s{\n%s}\n", head, inner)
			}
		case strings.HasPrefix(head, "@"): // fonts and animations
		default:
			if sel := n.filterSelectors(head); sel != "" && body != "" {
				fmt.Fprintf(&out, "%s{%s}\n", sel, body)
			}
		}
	}
	return out.String()
}

// cutBlock splits css after the brace that closes the current block.
func cutBlock(css string) (body, after string) {
	depth := 1
	for i, c := range css {
		switch c {
		case '{':
			depth++
		case '}':
			depth--
		}
		if depth == 0 {
			return css[:i], css[i+1:]
		}
	}
	log.Fatal("unclosed block")
	return
}

// filterSelectors returns the selectors of list whose classes and elements all occur.
func (n nameSet) filterSelectors(list string) string {
	var matches []string
	for _, sel := range splitSelectors(list) {
		plain := pseudo.ReplaceAllString(negation.ReplaceAllString(sel, ""), "")
		ok := true
		for _, c := range class.FindAllString(plain, -1) {
			ok = ok && n[strings.ReplaceAll(c, `\`, "")]
		}
		for _, e := range element.FindAllString(class.ReplaceAllString(plain, ""), -1) {
			ok = ok && n[e]
		}
		if ok && !unusedPattern.MatchString(sel) {
			matches = append(matches, strings.TrimSpace(sel))
		}
	}
	return strings.Join(matches, ",")
}

// splitSelectors splits a selector list at its commas, not at those within parentheses.
func splitSelectors(list string) []string {
	depth := 0
	return strings.FieldsFunc(list, func(c rune) bool {
		switch c {
		case '(':
			depth++
		case ')':
			depth--
		}
		return c == ',' && depth == 0
	})
}
