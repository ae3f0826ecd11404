package xmltree_test

import (
	"testing"

	"vernal/idp/xmltree"
)

// Decrypted content is parsed with the namespaces of its original position.
func TestParseWithin(t *testing.T) {
	t.Parallel()
	lim := xmltree.MessageLimits()
	outer, err := xmltree.Parse([]byte(`<a xmlns="urn:d" xmlns:p="urn:p" xmlns:q="urn:q"><b xmlns="" xmlns:q="urn:inner"><c></c></b></a>`), lim)
	if err != nil {
		t.Fatal(err)
	}
	inner := outer.Child("", "b")
	tests := []struct{ name, text, space string }{
		{"a prefix from outside", `<p:x></p:x>`, "urn:p"},
		{"the inner of two declarations", `<q:x></q:x>`, "urn:inner"},
		{"the default namespace, taken back", `<x></x>`, ""},
		{"a declaration of its own", `<p:x xmlns:p="urn:own"></p:x>`, "urn:own"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, err := xmltree.ParseWithin([]byte(tt.text), lim, outer, inner)
			if err != nil || e.Space != tt.space || e.Local != "x" {
				t.Errorf("%+v, %v; want namespace %q", e, err, tt.space)
			}
		})
	}
	for _, text := range []string{`<r:x></r:x>`, `</b></a><p:x></p:x>`, `<p:x></p:x></b>`, `<p:x></p:x><p:x></p:x>`, `x`, ``} {
		if e, err := xmltree.ParseWithin([]byte(text), lim, outer, inner); err == nil {
			t.Errorf("%s: read as %+v", text, e)
		}
	}
}
