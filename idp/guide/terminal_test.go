package guide

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/net/html"
)

const columns = 80

var helpCommand = regexp.MustCompile(`\(vernal help ([a-z-]+)\)`)

// Every line fits in a terminal, except for code and for single long words.
func TestTextFitsTerminal(t *testing.T) {
	t.Parallel()
	b := mustLoad(t)
	long := anyYears
	long.BaseURL = "https://sign-in.department-of-everything.agency.example"
	for _, v := range []Values{Example(), anyYears, long} {
		for _, topic := range b.Topics() {
			text, err := b.Text(topic, v, columns)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(text) {
				line = strings.TrimRight(line, "\n")
				if utf8.RuneCountInString(line) <= columns || strings.HasPrefix(line, "    ") {
					continue
				}
				if words := strings.Fields(strings.TrimLeft(line, "- ")); len(words) > 1 {
					t.Errorf("%s: %d columns: %s", topic.Name, utf8.RuneCountInString(line), line)
				}
			}
			if strings.Contains(text, "](") || strings.Contains(text, tokenPrefix) {
				t.Errorf("%s has an unusable link:\n%s", topic.Name, text)
			}
		}
	}
}

// The text has every word of the page, and each link to a guide is the command that prints it.
func TestTextIsComplete(t *testing.T) {
	t.Parallel()
	b := mustLoad(t)
	commands := 0
	for _, topic := range b.Topics() {
		text, err := b.Text(topic, anyYears, columns)
		if err != nil {
			t.Fatal(err)
		}
		page, err := topic.HTML(anyYears)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := html.Parse(strings.NewReader(string(page)))
		if err != nil {
			t.Fatal(err)
		}
		have := map[string]int{}
		for _, word := range plainWords(text) {
			have[word]++
		}
		links := 0
		var shown strings.Builder
		for n := range doc.Descendants() {
			switch {
			case n.Type == html.TextNode:
				shown.WriteString(n.Data + " ")
			case n.Data == "a" && strings.HasPrefix(attrOf(n, "href"), "/"):
				path, _, _ := strings.Cut(attrOf(n, "href"), "#")
				if slices.ContainsFunc(b.Topics(), func(t *Topic) bool { return t.Path() == path }) {
					links++
				} else if !strings.Contains(text, "("+anyYears.BaseURL+attrOf(n, "href")+")") {
					t.Errorf("%s: the URL of %s is missing", topic.Name, path)
				}
			}
		}
		for _, word := range plainWords(shown.String()) {
			if have[word]--; have[word] < 0 {
				t.Errorf("%s: the word %q is missing", topic.Name, word)
			}
		}
		found := helpCommand.FindAllStringSubmatch(text, -1)
		commands += len(found)
		if len(found) != links {
			t.Errorf("%s: %d commands for %d links to guides", topic.Name, len(found), links)
		}
		for _, m := range found {
			if b.Lookup(m[1]) == nil {
				t.Errorf("%s: no guide %s", topic.Name, m[1])
			}
		}
	}
	if commands < 30 {
		t.Errorf("found %d links, want more", commands)
	}
}

// plainWords lists runs of letters and digits: layout may add or break everything else.
func plainWords(text string) []string { return regexp.MustCompile(`[\pL\pN]+`).FindAllString(text, -1) }

func attrOf(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// A table that is too wide wraps its widest column. If its words are too long, its rows become
// lists.
func TestFitColumns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		rows    [][]string
		columns int
		want    []int
	}{
		{"fits", [][]string{{"a", "b"}, {"cc", "dd dd"}}, 20, []int{2, 5}},
		{"widest is narrowed", [][]string{{"a", "b"}, {"cc", "dd dd dd dd"}}, 10, []int{2, 6}},
		{"code stays whole", [][]string{{"a", "b"}, {"cc", "d" + hardSpace + "d d d d d"}}, 7, []int{2, 3}},
		{"too long a word", [][]string{{"a", "b"}, {"cc", "ddddddddd"}}, 10, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got, ok := fitColumns(c.rows, c.columns); !slices.Equal(got, c.want) || ok != (c.want != nil) {
				t.Errorf("widths %v, %t, want %v", got, ok, c.want)
			}
		})
	}
}
