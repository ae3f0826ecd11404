package xmltree_test

import (
	"fmt"
	"strconv"
	"strings"

	"vernal/idp/xmltree"
)

// outline formats the content of a tree: names, attributes and text.
func outline(e *xmltree.Element) string {
	var b strings.Builder
	fmt.Fprintf(&b, "{%s}%s", e.Space, e.Local)
	if len(e.Attrs) > 0 {
		var attrs []string
		for _, a := range e.Attrs {
			name := a.Local
			if a.Space != "" {
				name = "{" + a.Space + "}" + name
			}
			attrs = append(attrs, name+"="+a.Value)
		}
		b.WriteString("[" + strings.Join(attrs, " ") + "]")
	}
	b.WriteByte('(')
	for _, n := range e.Nodes {
		if n.Element != nil {
			b.WriteString(outline(n.Element))
		} else {
			b.WriteString(strconv.Quote(n.Text))
		}
	}
	b.WriteByte(')')
	return b.String()
}

func manyAttributes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ` a%d=""`, i)
	}
	return b.String()
}
