package xmldsig_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/beevik/etree"
	"github.com/google/go-cmp/cmp"
	dsig "github.com/russellhaering/goxmldsig"

	"vernal/idp/idptest/binary"
	"vernal/idp/xmltree"
)

// trickyValues lists values that canonicalizers have disagreed about.
var trickyValues = []string{
	"", " ", "a", "<>&\"'", "]]>", "&amp;", "&#13;", "<!-- -->", "<![CDATA[x]]>", "\r\n\t", "\r", " a  b ", "\u00e9", "e\u0301",
	"\U0001F600", "\u2028\u0085\u00a0\ufeff\ufffd", "\x7f\u0080\u009f", "xmlns:a=\"b\"", strings.Repeat("\"\t", 40), "\ud7ff\ue000\U0010ffff",
}

// grower creates random trees with names, prefixes and values from small sets, so that they
// collide.
type grower struct {
	*rand.Rand
	// onePrefix limits the attributes of an element to one prefix, because goxmldsig does not
	// order them by namespace, as xml-c14n §2.2 requires.
	onePrefix bool
}

// tree writes a random element, nested up to depth.
func (r grower) tree(w *xmltree.Writer, depth int) {
	prefixes := []string{"", "p", "q", "ds"}
	spaces := []string{"urn:1", "urn:2", "http://example.com/?a=b"}
	pick := func() (string, string) {
		p := prefixes[r.IntN(len(prefixes))]
		if p == "" && r.IntN(2) == 0 {
			return "", ""
		}
		return p, spaces[r.IntN(len(spaces))]
	}
	prefix, space := pick()
	bound := map[string]string{prefix: space}
	seen := map[[2]string]bool{}
	var attrs []xmltree.Attr
	for range r.IntN(5) {
		p, s := pick()
		if r.onePrefix && p != "" {
			p = "p"
		}
		if p == "" {
			s = ""
		} else if b, ok := bound[p]; ok {
			s = b
		}
		local := string(rune('a' + r.IntN(4)))
		if seen[[2]string{s, local}] {
			continue
		}
		seen[[2]string{s, local}] = true
		if p != "" {
			bound[p] = s
		}
		attrs = append(attrs, xmltree.Attr{Prefix: p, Space: s, Local: local, Value: trickyValues[r.IntN(len(trickyValues))]})
	}
	if !r.onePrefix && r.IntN(6) == 0 {
		attrs = append(attrs, xmltree.Attr{Prefix: "xml", Space: xmltree.XMLNamespace, Local: "lang", Value: "en"})
	}
	w.Start(prefix, space, string(rune('A'+r.IntN(3))), attrs...)
	for range r.IntN(4) {
		if depth > 0 && r.IntN(2) == 0 {
			r.tree(w, depth-1)
		} else {
			w.Text(trickyValues[r.IntN(len(trickyValues))])
		}
	}
	w.End()
}

func written(t *testing.T, write func(w *xmltree.Writer)) []byte {
	t.Helper()
	w := xmltree.NewWriter(nil)
	write(w)
	doc, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestWriterIsCanonicalForGoxmldsig compares the writer with the canonicalizer that most Go
// software verifies with.
func TestWriterIsCanonicalForGoxmldsig(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2000) {
		r := grower{rand.New(rand.NewPCG(seed, 1)), true}
		doc := written(t, func(w *xmltree.Writer) { r.tree(w, 5) })
		canonicalForGoxmldsig(t, doc)
		if t.Failed() {
			t.Fatalf("seed %d: %s", seed, doc)
		}
	}
}

func canonicalForGoxmldsig(t *testing.T, doc []byte) {
	t.Helper()
	d := etree.NewDocument()
	if err := d.ReadFromBytes(doc); err != nil {
		t.Errorf("etree: %v", err)
		return
	}
	got, err := dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("").Canonicalize(d.Root())
	if err != nil {
		t.Errorf("goxmldsig: %v", err)
		return
	}
	if !bytes.Equal(doc, got) {
		t.Error(cmp.Diff(string(doc), string(got)))
	}
}

// TestWriterIsCanonicalForLibxml compares the writer with libxml2, which xmlsec1, lasso,
// ruby-saml and PHP canonicalize with.
func TestWriterIsCanonicalForLibxml(t *testing.T) {
	t.Parallel()
	xmllint := binary.Need(t, "xmllint")
	r := grower{rand.New(rand.NewPCG(2, 2)), false}
	doc := written(t, func(w *xmltree.Writer) {
		w.Start("", "", "all")
		for range 2000 {
			r.tree(w, 5)
		}
		w.End()
	})
	file := filepath.Join(t.TempDir(), "doc.xml")
	if err := os.WriteFile(file, doc, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), xmllint, "--nonet", "--exc-c14n", file)
	var talk bytes.Buffer
	cmd.Stderr = &talk
	got, err := cmd.Output()
	if err != nil {
		t.Fatalf("xmllint: %v\n%s", err, talk.Bytes())
	}
	if !bytes.Equal(doc, got) {
		i := 0
		for i < len(doc) && i < len(got) && doc[i] == got[i] {
			i++
		}
		t.Errorf("first difference at byte %d:\nours    …%s\nlibxml2 …%s", i, cut(doc, i), cut(got, i))
	}
}

func cut(b []byte, i int) []byte { return b[max(0, i-200):min(len(b), i+100)] }

// FuzzWriter writes any text as content and as an attribute. If the writer accepts it, the
// output is canonical and parses to the same text.
func FuzzWriter(f *testing.F) {
	for _, h := range trickyValues {
		f.Add(h, h)
	}
	f.Add("\x00", "\xff")
	f.Fuzz(func(t *testing.T, text, value string) {
		w := xmltree.NewWriter(nil)
		w.Element("p", "urn:p", "a", text, xmltree.Attr{Prefix: "p", Space: "urn:p", Local: "b", Value: value})
		doc, err := w.Finish()
		if err != nil {
			return
		}
		canonicalForGoxmldsig(t, doc)
		root, err := xmltree.Parse(doc, xmltree.Limits{Bytes: 1 << 20, Depth: 2, Elements: 1, Attrs: 2, AllAttrs: 1, Scope: 1})
		if err != nil {
			t.Fatal(err)
		}
		if root.Text() != text || root.Attrs[0].Value != value {
			t.Errorf("wrote %q and %q, read %q and %q", text, value, root.Text(), root.Attrs[0].Value)
		}
	})
}
