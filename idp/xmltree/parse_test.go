package xmltree_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/idp/xmltree"
)

func TestParse(t *testing.T) {
	t.Parallel()
	const ns = ` xmlns="urn:x" xmlns:p="urn:p"`
	tests := []struct {
		name string
		in   string
		want string // of outline
	}{
		{"one element", `<a/>`, `{}a()`},
		{"declaration", `<?xml version="1.0" encoding="utf-8" standalone='no' ?>` + "\n<a></a>\n", `{}a()`},
		{"byte order mark", "\uFEFF<a/>", `{}a()`},
		{"namespaces", `<p:a xmlns:p="urn:p"><b xmlns="urn:x" c="1" p:c="2"/></p:a>`,
			`{urn:p}a({urn:x}b[c=1 {urn:p}c=2]())`},
		{"default namespace does not reach attributes", `<a` + ns + ` b="1"/>`, `{urn:x}a[b=1]()`},
		{"default namespace taken back", `<a` + ns + `><b xmlns=""/></a>`, `{urn:x}a({}b())`},
		{"prefix bound again", `<p:a xmlns:p="urn:1"><p:b xmlns:p="urn:2"/><p:c/></p:a>`,
			`{urn:1}a({urn:2}b(){urn:1}c())`},
		{"prefix xml", `<a xml:lang="en" xmlns:xml="` + xmltree.XMLNamespace + `"/>`,
			`{}a[{` + xmltree.XMLNamespace + `}lang=en]()`},
		{"text and elements", "<a>x<b/> y\n</a>", `{}a("x"{}b()" y\n")`},
		{"references", `<a b="&lt;&quot;&#10;&#x41;&amp;amp;">&gt;&apos;&#13;&#x1F600;&#x000041;</a>`,
			`{}a[b=<"` + "\n" + `A&amp;](">'\r😀A")`},
		{"CDATA is text", `<a>x<![CDATA[<b>&amp;]] ]]>y</a>`, `{}a("x<b>&amp;]] y")`},
		{"line ends", "<a b=\"1\r\n2\r3\n4\t5\">1\r\n2\r3<![CDATA[\r\n]]></a>", `{}a[b=1 2 3 4 5]("1\n2\n3\n")`},
		{"space in tags", "<a \n b = '1'\t></a >", `{}a[b=1]()`},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			root, err := xmltree.Parse([]byte(tc.in), xmltree.MessageLimits())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, outline(root)); diff != "" {
				t.Errorf("tree (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRefusesMalformedXML(t *testing.T) {
	t.Parallel()
	const ns = ` xmlns:p="urn:p" xmlns:q="urn:p"`
	tests := []struct {
		name string
		in   string
		what string // part of SyntaxError.What
	}{
		{"nothing", "", "no element"},
		{"white space", " \n", "no element"},
		{"document type", `<!DOCTYPE a><a/>`, "document type"},
		{"internal subset", `<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>`, "document type"},
		{"directive within", `<a><!ELEMENT a ANY></a>`, "document type"},
		{"unknown entity", `<a>&e;</a>`, "unknown entity"},
		{"entity of HTML", `<a>&nbsp;</a>`, "unknown entity"},
		{"processing instruction before", `<?a b?><a/>`, "processing instruction"},
		{"processing instruction in text", `<a>a<?x y?>b</a>`, "processing instruction"},
		{"stylesheet", `<?xml-stylesheet href="x"?><a/>`, "version"},
		{"comment", `<a>a<!-- -->b</a>`, "comment"},
		{"comment before", `<!-- --><a/>`, "comment"},
		{"version 1.1", `<?xml version="1.1"?><a/>`, "version"},
		{"no version", `<?xml encoding="UTF-8"?><a/>`, "version"},
		{"declared UTF-16", `<?xml version="1.0" encoding="UTF-16"?><a/>`, "encoding"},
		{"declared Latin-1", `<?xml version="1.0" encoding="ISO-8859-1"?><a/>`, "encoding"},
		{"odd declaration", `<?xml version="1.0" x="y"?><a/>`, "malformed"},
		{"late declaration", ` <?xml version="1.0"?><a/>`, "processing instruction"},
		{"second declaration", `<?xml version="1.0"?><?xml version="1.0"?><a/>`, "processing instruction"},
		{"UTF-16", "\xFF\xFE<\x00a\x00/\x00>\x00", "control character"},
		{"Latin-1", "<a>\xE9</a>", "UTF-8"},
		{"overlong UTF-8", "<a>\xC0\xBC</a>", "UTF-8"},
		{"surrogate in UTF-8", "<a>\xED\xA0\x80</a>", "UTF-8"},
		{"NUL", "<a>\x00</a>", "control character"},
		{"escape", "<a>\x1B</a>", "control character"},
		{"U+FFFE", "<a>\uFFFE</a>", "character"},
		{"reference to NUL", `<a>&#0;</a>`, "reference"},
		{"reference to a surrogate", `<a>&#xD800;</a>`, "reference"},
		{"reference too large", `<a>&#x110000;</a>`, "reference"},
		{"reference with a sign", `<a>&#+65;</a>`, "reference"},
		{"reference without an end", `<a>&#65</a>`, "reference"},
		{"reference in capitals", `<a>&#X41;</a>`, "reference"},
		{"bare ampersand", `<a>a & b</a>`, "unknown entity"},
		{"]]> in text", `<a>]]></a>`, "]]>"},
		{"CDATA without an end", `<a><![CDATA[x</a>`, "CDATA"},
		{"empty CDATA", `<a><![CDATA[]]></a>`, "CDATA"},
		{"CDATA outside", `<![CDATA[x]]><a/>`, "document type"},
		{"doubled attribute", `<a b="1" b="2"/>`, "twice"},
		{"doubled by prefixes", `<a` + ns + ` p:b="1" q:b="2"/>`, "twice"},
		{"doubled declaration", `<a xmlns:p="urn:1" xmlns:p="urn:2"/>`, "twice"},
		{"doubled default", `<a xmlns="urn:1" xmlns="urn:2"/>`, "twice"},
		{"undeclared prefix", `<p:a/>`, "undeclared"},
		{"undeclared on attribute", `<a p:b="1"/>`, "undeclared"},
		{"prefix out of scope", `<a><b xmlns:p="urn:p"/><p:c/></a>`, "undeclared"},
		{"prefix taken back", `<a xmlns:p="urn:p"><b xmlns:p=""/></a>`, "no namespace"},
		{"relative namespace", `<a xmlns="x"/>`, "absolute"},
		{"namespace with a space", `<a xmlns="urn:x y"/>`, "absolute"},
		{"prefix xml bound", `<a xmlns:xml="urn:x"/>`, "xml"},
		{"prefix xmlns bound", `<a xmlns:xmlns="urn:x"/>`, "reserved"},
		{"xml namespace bound", `<a xmlns:p="` + xmltree.XMLNamespace + `"/>`, "reserved"},
		{"xmlns namespace bound", `<a xmlns="http://www.w3.org/2000/xmlns/"/>`, "reserved"},
		{"xmlns as a prefix", `<xmlns:a/>`, "undeclared"},
		{"two colons", `<a:b:c xmlns:a="urn:a"/>`, "character"},
		{"leading colon", `<:a/>`, "name"},
		{"trailing colon", `<a:/>`, "colon"},
		{"name beyond ASCII", `<é/>`, "name"},
		{"name begins with a digit", `<1/>`, "name"},
		{"name with a digit after the colon", `<a:1 xmlns:a="urn:a"/>`, "colon"},
		{"no quotes", `<a b=1/>`, "quotes"},
		{"no value", `<a b/>`, "value"},
		{"no end quote", `<a b="1/>`, "without an end"},
		{"< in a value", `<a b="<"/>`, "<"},
		{"no space between attributes", `<a b="1"c="2"/>`, "white space"},
		{"second root", `<a/><a/>`, "follows"},
		{"text after", `<a/>x`, "follows"},
		{"text before", `x<a/>`, "outside"},
		{"byte order mark within", "<a/>\uFEFF", "follows"},
		{"end only", `</a>`, "name"},
		{"wrong end", `<a></b>`, "match"},
		{"wrong end, same beginning", `<a></ab>`, "match"},
		{"end by another prefix", `<p:a` + ns + `></q:a>`, "match"},
		{"end of too many", `<a></a></a>`, "follows"},
		{"open end", `<a><b></b>`, "within"},
		{"open end tag", `<a></a`, "match"},
		{"open start tag", `<a`, "white space"},
		{"lone <", `<`, "name"},
		{"too deep", strings.Repeat("<a>", 21) + strings.Repeat("</a>", 21), "deeper than 20"},
		{"too many elements", `<a>` + strings.Repeat("<b/>", 400) + `</a>`, "more than 400"},
		{"too many attributes", `<a` + manyAttributes(33) + `/>`, "more than 32"},
		{"too long", `<a>` + strings.Repeat(" ", 128<<10) + `</a>`, "longer"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			root, err := xmltree.Parse([]byte(tc.in), xmltree.MessageLimits())
			var syntax *xmltree.SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("got %v, %v; want a SyntaxError", root, err)
			}
			if !strings.Contains(syntax.Problem, tc.what) {
				t.Errorf("got %q, want something about %q", syntax.Problem, tc.what)
			}
			if root != nil {
				t.Error("a tree beside the error")
			}
		})
	}
}

func TestParseAcceptsMessagesAtLimits(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		strings.Repeat("<a>", 20) + strings.Repeat("</a>", 20),
		`<a>` + strings.Repeat("<b/>", 399) + `</a>`,
		`<a` + manyAttributes(32) + `/>`,
		`<a>` + strings.Repeat(" ", 128<<10-7) + `</a>`,
	} {
		if _, err := xmltree.Parse([]byte(in), xmltree.MessageLimits()); err != nil {
			t.Errorf("%.20s…: %v", in, err)
		}
	}
}

func TestParseRefusesCommentsBesideText(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   string
		want string // of outline; "" if refused
	}{
		{"before, within and after", "<!-- a --><a> <!--b--> <b/><!----></a> <!-- c -->", `{}a("  "{}b())`},
		{"before text", `<a><!-- -->b</a>`, ""},
		{"after text", `<a>b<!-- --></a>`, ""},
		{"within text", `<a>a<!-- -->b</a>`, ""},
		{"before CDATA", `<a><!-- --><![CDATA[b]]></a>`, ""},
		{"beside an element with text", `<a><!-- --><b>x</b><!-- --></a>`, `{}a({}b("x"))`},
		{"two hyphens", `<a><!-- -- --></a>`, ""},
		{"three hyphens", `<a><!-- ---></a>`, ""},
		{"without an end", `<a><!-- </a>`, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if root, err := xmltree.Parse([]byte(tc.in), xmltree.MetadataLimits()); err == nil {
				got = outline(root)
			}
			if got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestElementFindsChildrenAndAttributes(t *testing.T) {
	t.Parallel()
	root, err := xmltree.Parse([]byte(`<a xmlns="urn:x" xmlns:p="urn:p" p:c="2" c="1">`+
		`<b> x </b><p:b/><b>y<p:b>z</p:b></b></a>`), xmltree.MessageLimits())
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := root.Attr("c"); v != "1" || !ok {
		t.Errorf("Attr(c) = %q, %v; want the one without a namespace", v, ok)
	}
	if v, ok := root.Attr("d"); ok {
		t.Errorf("Attr(d) = %q", v)
	}
	if got := len(root.Children("urn:x", "b")); got != 2 {
		t.Errorf("%d children, want 2", got)
	}
	if got := root.Child("urn:x", "b").Text(); got != " x " {
		t.Errorf("Text = %q", got)
	}
	if got := root.Children("urn:x", "b")[1].Text(); got != "" {
		t.Errorf("Text of an element with elements = %q", got)
	}
	if root.Child("urn:x", "c") != nil {
		t.Error("a child that is not there")
	}
	n := 0
	for range root.All() {
		n++
	}
	if n != 5 {
		t.Errorf("All gives %d elements, want 5", n)
	}
	for range root.All() {
		break
	}
}
