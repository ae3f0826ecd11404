package guide

import (
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unsafe"

	"golang.org/x/net/html"

	"vernal/idp/keyring"
	"vernal/idp/rotation"
	"vernal/templates"
)

func mustLoad(t *testing.T) *Book {
	t.Helper()
	b, err := Load(templates.Guides())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var anyYears = Values{BaseURL: "https://id.example", Years: []Year{
	{Year: "2026", State: rotation.Preferred, EndAt: time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC), SHA256: "AA:BB"},
	{Year: "2027", State: rotation.Published, EndAt: time.Date(2028, 4, 1, 0, 0, 0, 0, time.UTC), SHA256: "CC:DD"},
}}

// Each guide has one h1, headings in order, no HTML of its own, no line that Markdown leaves
// unchanged, and no unreplaced token.
func TestEveryGuideRenders(t *testing.T) {
	t.Parallel()
	for _, v := range []Values{anyYears, Example()} {
		for _, topic := range mustLoad(t).Topics() {
			t.Run(topic.Name, func(t *testing.T) {
				t.Parallel()
				body, err := topic.HTML(v)
				if err != nil {
					t.Fatal(err)
				}
				text, err := topic.Markdown(v)
				if err != nil {
					t.Fatal(err)
				}
				for _, bad := range []string{"raw HTML omitted", "{{", "<no value>"} {
					if strings.Contains(string(body)+text, bad) {
						t.Errorf("has %q", bad)
					}
				}
				if regexp.MustCompile(`(?i)xvernal`).MatchString(string(body) + text) {
					t.Error("a token was not replaced")
				}
				if regexp.MustCompile(`<p>\s*(\||#|-{3})`).MatchString(string(body)) {
					t.Errorf("a table or heading was not recognized:\n%s", body)
				}
				checkHeadings(t, string(body))
			})
		}
	}
}

func checkHeadings(t *testing.T, body string) {
	t.Helper()
	level := 0
	for i, m := range regexp.MustCompile(`<h([1-6])`).FindAllStringSubmatch(body, -1) {
		next := int(m[1][0] - '0')
		if i == 0 && next != 1 || i > 0 && next == 1 || next > level+1 {
			t.Errorf("h%d follows h%d", next, level)
		}
		level = next
	}
}

// No value becomes Markdown or HTML, wherever a guide uses it.
func TestValuesBecomeNoMarkup(t *testing.T) {
	t.Parallel()
	const evil = "**x** `y` [z](javascript:alert(1)) <script>alert(1)</script> | | &amp; xVernal0Valuex \x1b[2J\n# h"
	for name, guide := range map[string]string{
		"text": "{{.Base}}", "code": "`{{.Base}}`", "block": "```\n{{.Base}}\n```", "table": "| a | b |\n| --- | --- |\n| {{.Base}} | c |", "link": "[a]({{.Base}})",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := fstest.MapFS{}
			for _, part := range order {
				for _, topic := range part.topics {
					files[string(part.audience)+"/"+topic+".md"] = &fstest.MapFile{Data: []byte("# Title\n\nFor all.\n\n" + guide + "\n")}
				}
			}
			b, err := Load(files)
			if err != nil {
				t.Fatal(err)
			}
			body, err := b.Topics()[0].HTML(Values{BaseURL: evil})
			if err != nil {
				t.Fatal(err)
			}
			doc, err := html.Parse(strings.NewReader(string(body)))
			if err != nil {
				t.Fatal(err)
			}
			var shown strings.Builder
			for n := range doc.Descendants() {
				switch n.Data {
				case "script", "strong", "em":
					t.Errorf("a value became <%s>", n.Data)
				}
				if n.Type == html.TextNode {
					shown.WriteString(n.Data)
				}
				for _, a := range n.Attr {
					shown.WriteString(a.Val)
				}
			}
			if want := strings.NewReplacer("\x1b", "\ufffd", "\n", "\ufffd").Replace(evil); !strings.Contains(shown.String(), want) {
				t.Errorf("the value is not shown as it is:\n%s", body)
			}
			text, err := b.Topics()[0].Markdown(Values{BaseURL: evil})
			if err != nil || strings.ContainsRune(text, '\x1b') {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
}

// A guide is rendered once while the years stay the same.
func TestGuideIsRenderedOnce(t *testing.T) {
	t.Parallel()
	h := &Handler{Book: mustLoad(t), BaseURL: "https://id.example", Years: keyring.NewRing(rotation.DefaultPolicy()), Clock: time.Now}
	var bodies [2]string
	for i := range bodies {
		body, err := h.renderBody(h.Book.Lookup("install"))
		if err != nil {
			t.Fatal(err)
		}
		bodies[i] = string(body)
	}
	if unsafe.StringData(bodies[0]) != unsafe.StringData(bodies[1]) {
		t.Error("the guide was rendered again")
	}
}

// A guide without a proper title and summary is refused.
func TestLoadRefusesGuides(t *testing.T) {
	t.Parallel()
	for i, head := range []string{"", "Title\n\nFor all.\n", "# Title\n", "# {{.Base}}\n\nFor all.\n", "# Title\n\nFor all.\n\n{{.Unknown"} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			files := fstest.MapFS{"users/sign-in.md": {Data: []byte(head)}}
			if _, err := Load(files); err == nil || strings.Contains(err.Error(), fs.ErrNotExist.Error()) {
				t.Errorf("err = %v", err)
			}
		})
	}
}
