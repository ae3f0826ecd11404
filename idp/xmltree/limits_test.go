package xmltree_test

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"strings"
	"testing"

	"vernal/idp/xmltree"
)

// nested returns n namespace declarations in scope at once, 20 on each element,
// around the text within.
func nested(n int, within string) string {
	var open, end strings.Builder
	for i := 0; i < n; i += 20 {
		open.WriteString("<a")
		for j := i; j < min(i+20, n); j++ {
			fmt.Fprintf(&open, ` xmlns:p%d="u:"`, j)
		}
		open.WriteString(">")
		end.WriteString("</a>")
	}
	return open.String() + within + end.String()
}

// attributed returns n attributes with the prefix, 30 on each element.
func attributed(n int, prefix string) string {
	var b strings.Builder
	for i := 0; i < n; i += 30 {
		b.WriteString("<b")
		for j := range min(30, n-i) {
			fmt.Fprintf(&b, ` %sb%d=""`, prefix, j)
		}
		b.WriteString("/>")
	}
	return b.String()
}

// costly returns the most expensive message found in the security review (L4): each of its
// attributes was looked up among all of its namespace declarations. It respects all other
// limits.
func costly() []byte {
	var open, end strings.Builder
	for i := range 18 {
		open.WriteString("<a")
		for j := range 30 {
			fmt.Fprintf(&open, ` xmlns:p%d="u:"`, 30*i+j)
		}
		open.WriteString(">")
		end.WriteString("</a>")
	}
	return []byte(open.String() + attributed(11000, "p0:") + end.String())
}

func TestParseBoundsDeclarationsAndAttributes(t *testing.T) {
	t.Parallel()
	siblings := `<a>` + strings.Repeat(`<b xmlns:p="u:" xmlns:q="u:"/>`, 60) + `</a>`
	tests := []struct {
		name string
		in   string
		lim  xmltree.Limits
		what string // part of SyntaxError.What; "" if the document is read
	}{
		{"64 declarations in scope", nested(64, ""), xmltree.MessageLimits(), ""},
		{"65 declarations in scope", nested(65, ""), xmltree.MessageLimits(), "more than 64 namespace declarations"},
		{"65 declarations in scope in metadata", nested(65, ""), xmltree.MetadataLimits(), "more than 64 namespace declarations"},
		{"120 declarations one after the other", siblings, xmltree.MessageLimits(), ""},
		{"1000 attributes", "<a>" + attributed(1000, "") + "</a>", xmltree.MessageLimits(), ""},
		{"1001 attributes", "<a>" + attributed(1001, "") + "</a>", xmltree.MessageLimits(), "more than 1000 attributes in all"},
		{"1001 attributes in metadata", "<a>" + attributed(1001, "") + "</a>", xmltree.MetadataLimits(), ""},
		{"20001 attributes in metadata", "<a>" + attributed(20001, "") + "</a>", xmltree.MetadataLimits(), "more than 20000 attributes in all"},
		{"costly message", string(costly()), xmltree.MessageLimits(), "more than 64 namespace declarations"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := xmltree.Parse([]byte(tc.in), tc.lim)
			if tc.what == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var syntax *xmltree.SyntaxError
			if !errors.As(err, &syntax) || !strings.Contains(syntax.Problem, tc.what) {
				t.Fatalf("got %v, want a SyntaxError about %q", err, tc.what)
			}
		})
	}
}

// The declarations around an encrypted part count towards its limit, too.
func TestParseWithinCountsOuterDeclarations(t *testing.T) {
	t.Parallel()
	outer, err := xmltree.Parse([]byte(nested(20, "")), xmltree.MessageLimits())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := xmltree.ParseWithin([]byte(nested(44, "")), xmltree.MessageLimits(), outer); err != nil {
		t.Error(err)
	}
	if _, err := xmltree.ParseWithin([]byte(nested(45, "")), xmltree.MessageLimits(), outer); err == nil {
		t.Error("65 declarations in scope were accepted")
	}
}

// BenchmarkParseCostly measures the most expensive message that fits into a query of 5 kB.
func BenchmarkParseCostly(b *testing.B) {
	data := costly()
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		b.Fatal(err)
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = xmltree.Parse(data, xmltree.MessageLimits())
	}
	b.ReportMetric(float64(packed.Len()), "deflated-bytes")
}
