package inspect

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"strings"

	"vernal/idp"
	"vernal/idp/saml"
	"vernal/idp/xmltree"
)

// input is what is known of a message beside itself.
type input struct {
	xml     string
	address string   // it was sent to, without the query; "" if unknown
	year    idp.Year // of that address
}

var yearly = regexp.MustCompile(`/api/saml/(?:auth|logout|remotelogout)([0-9]{4}[a-z]?)$`)

// read finds the message in a text: XML, base64, a query or form, or a whole
// address. It is decoded as the server does; whatever is not plain XML goes
// through the binding's own code.
func read(text string) (*saml.Message, input, error) {
	text = strings.TrimSpace(text)
	var in input
	query := ""
	switch {
	case text == "":
		return nil, in, idp.Refuse(idp.RefusedRequestMissing, "SAMLRequest", "")
	case text[0] == '<':
		query = "SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(text)))
	case strings.Contains(text, "SAMLRequest=") || strings.Contains(text, "SAMLResponse="):
		query = text
		if address, rest, ok := strings.Cut(text, "?"); ok {
			in.address, query = address, rest
			if m := yearly.FindStringSubmatch(address); m != nil {
				in.year = idp.Year(m[1])
			}
		}
		query, _, _ = strings.Cut(query, "#")
		query = asRequest(query)
	default:
		query = "SAMLRequest=" + url.QueryEscape(strings.Join(strings.Fields(text), ""))
		if strings.Contains(text, "%") {
			query = "SAMLRequest=" + strings.Join(strings.Fields(text), "")
		}
	}
	msg, err := saml.Read(saml.Inbound{Method: "GET", RawQuery: query})
	if err != nil {
		return nil, in, err
	}
	w := xmltree.NewWriter(nil)
	show(w, msg.Root, "\n")
	if doc, err := w.Finish(); err == nil {
		in.xml = string(doc)
	}
	return msg, in, nil
}

// show writes an element for people: each on a line of its own.
func show(w *xmltree.Writer, e *xmltree.Element, line string) {
	w.Start(e.Prefix, e.Space, e.Local, e.Attrs...)
	inner := false
	for _, n := range e.Nodes {
		switch {
		case n.Element != nil:
			inner = true
			w.Text(line + "  ")
			show(w, n.Element, line+"  ")
		case strings.TrimSpace(n.Text) != "":
			w.Text(n.Text)
		}
	}
	if inner {
		w.Text(line)
	}
	w.End()
}

// asRequest makes a SAMLResponse, which the server takes nowhere, readable by
// the code that reads requests.
func asRequest(query string) string {
	if strings.Contains(query, "SAMLRequest=") {
		return query
	}
	return strings.Replace(query, "SAMLResponse=", "SAMLRequest=", 1)
}
