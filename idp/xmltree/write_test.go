package xmltree

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWriterDeclaresNamespacesOnFirstUse(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		write func(w *Writer)
		want  string
	}{
		{
			name:  "an empty element has an end tag",
			write: func(w *Writer) { w.Element("", "", "a", "") },
			want:  `<a></a>`,
		},
		{
			name: "attributes by namespace then name, those without a namespace first",
			write: func(w *Writer) {
				w.Element("", "", "a", "", Attr{"z", "urn:a", "b", "1"}, Attr{"y", "urn:b", "a", "2"},
					Attr{"", "", "c", "3"}, Attr{"z", "urn:a", "a", "4"}, Attr{"", "", "B", "5"})
			},
			want: `<a xmlns:y="urn:b" xmlns:z="urn:a" B="5" c="3" z:a="4" z:b="1" y:a="2"></a>`,
		},
		{
			name: "a namespace is declared where it is first used, and again beside",
			write: func(w *Writer) {
				w.Start("p", "urn:p", "a")
				w.Element("q", "urn:q", "b", "")
				w.Element("q", "urn:q", "b", "")
				w.Element("p", "urn:p", "c", "")
				w.End()
			},
			want: `<p:a xmlns:p="urn:p"><q:b xmlns:q="urn:q"></q:b><q:b xmlns:q="urn:q"></q:b><p:c></p:c></p:a>`,
		},
		{
			name: "a prefix may change its meaning and change it back",
			write: func(w *Writer) {
				w.Start("p", "urn:1", "a")
				w.Start("p", "urn:2", "b")
				w.Element("p", "urn:1", "c", "")
				w.End()
				w.Element("p", "urn:1", "d", "")
				w.End()
			},
			want: `<p:a xmlns:p="urn:1"><p:b xmlns:p="urn:2"><p:c xmlns:p="urn:1"></p:c></p:b><p:d></p:d></p:a>`,
		},
		{
			name: "the default namespace is taken back only where there is one",
			write: func(w *Writer) {
				w.Start("", "urn:1", "a")
				w.Start("", "", "b")
				w.Element("", "", "c", "")
				w.End()
				w.End()
			},
			want: `<a xmlns="urn:1"><b xmlns=""><c></c></b></a>`,
		},
		{
			name:  "the prefix xml is never declared",
			write: func(w *Writer) { w.Element("", "", "a", "", Attr{"xml", XMLNamespace, "lang", "en"}) },
			want:  `<a xml:lang="en"></a>`,
		},
		{
			name:  "escaping of text",
			write: func(w *Writer) { w.Element("", "", "a", "<>&\"'\t\r\n]]>\U0001F600é") },
			want:  "<a>&lt;&gt;&amp;\"'\t&#xD;\n]]&gt;\U0001F600é</a>",
		},
		{
			name:  "escaping of attributes",
			write: func(w *Writer) { w.Element("", "", "a", "", Attr{Local: "b", Value: "<>&\"'\t\r\n]]>\U0001F600é"}) },
			want:  "<a b=\"&lt;>&amp;&quot;'&#x9;&#xD;&#xA;]]>\U0001F600é\"></a>",
		},
		{
			name: "raw bytes and base64",
			write: func(w *Writer) {
				w.Start("", "", "a")
				w.Element("", "", "b", "")
				w.Base64([]byte{0xFB, 0xFF, 0})
				w.End()
			},
			want: "<a><b></b>+/8A</a>",
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := NewWriter([]byte("before"))
			c.write(w)
			got, err := w.Finish()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff("before"+c.want, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWriterRefusesMalformedXML(t *testing.T) {
	t.Parallel()
	const bad = "\x00 \x0B \x1F \uFFFE \uFFFF \xED\xA0\x80 \xFF \xC0\x80 \xF4\x90\x80\x80"
	cases := []struct {
		name  string
		write func(w *Writer)
	}{
		{"text outside the root", func(w *Writer) { w.Text("a") }},
		{"base64 outside the root", func(w *Writer) { w.Base64([]byte("a")) }},
		{"text after the root", func(w *Writer) { w.Element("", "", "a", ""); w.Text("a") }},
		{"second root", func(w *Writer) { w.Element("", "", "a", ""); w.Element("", "", "a", "") }},
		{"end tag too many", func(w *Writer) { w.Element("", "", "a", ""); w.End() }},
		{"end tag missing", func(w *Writer) { w.Start("", "", "a") }},
		{"nothing at all", func(*Writer) {}},
		{"empty name", func(w *Writer) { w.Element("", "", "", "") }},
		{"name with a colon", func(w *Writer) { w.Element("", "urn:p", "p:a", "") }},
		{"name with a space", func(w *Writer) { w.Element("", "", "a b", "") }},
		{"name that begins with a digit", func(w *Writer) { w.Element("", "", "1a", "") }},
		{"prefix without a namespace", func(w *Writer) { w.Element("p", "", "a", "") }},
		{"namespace that needs escapes", func(w *Writer) { w.Element("", "http://a.example/?b&c", "a", "") }},
		{"namespace of an attribute that needs escapes", func(w *Writer) {
			w.Element("", "", "a", "", Attr{"p", "urn:\n", "b", ""})
		}},
		{"prefix xmlns", func(w *Writer) { w.Element("xmlns", "urn:p", "a", "") }},
		{"prefix xml for another namespace", func(w *Writer) { w.Element("xml", "urn:p", "a", "") }},
		{"another prefix for the xml namespace", func(w *Writer) { w.Element("p", XMLNamespace, "a", "") }},
		{"attribute twice", func(w *Writer) { w.Element("", "", "a", "", Attr{Local: "b"}, Attr{Local: "b"}) }},
		{"attribute twice by two prefixes", func(w *Writer) {
			w.Element("", "", "a", "", Attr{"p", "urn:p", "b", ""}, Attr{"q", "urn:p", "b", ""})
		}},
		{"attribute in a namespace without a prefix", func(w *Writer) { w.Element("", "", "a", "", Attr{Space: "urn:p", Local: "b"}) }},
		{"prefix of two attributes with two meanings", func(w *Writer) {
			w.Element("", "", "a", "", Attr{"p", "urn:p", "b", ""}, Attr{"p", "urn:q", "c", ""})
		}},
		{"prefix of element and attribute with two meanings", func(w *Writer) {
			w.Element("p", "urn:q", "a", "", Attr{"p", "urn:p", "b", ""})
		}},
	}
	for _, r := range strings.Split(bad, " ") {
		cases = append(cases, struct {
			name  string
			write func(w *Writer)
		}{"character in text", func(w *Writer) { w.Element("", "", "a", "x"+r+"y") }}, struct {
			name  string
			write func(w *Writer)
		}{"character in an attribute", func(w *Writer) { w.Element("", "", "a", "", Attr{Local: "b", Value: r}) }})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := NewWriter(nil)
			c.write(w)
			if got, err := w.Finish(); err == nil {
				t.Errorf("no error, wrote %q", got)
			}
		})
	}
}

// TestWriterStopsAtFirstError checks that nothing is written after a mistake, so that a caller
// that checks only at the end notices it.
func TestWriterStopsAtFirstError(t *testing.T) {
	t.Parallel()
	w := NewWriter(nil)
	w.Start("", "", "a")
	w.Text("\x01")
	n := w.Len()
	w.Start("", "", "b")
	w.Text("c")
	w.Base64([]byte("e"))
	w.End()
	w.End()
	if _, err := w.Finish(); err == nil || w.Len() != n {
		t.Errorf("error %v, and %d bytes more", err, w.Len()-n)
	}
}
