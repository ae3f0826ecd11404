package metadata

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"

	"vernal/idp"
	"vernal/idp/filetext"
)

// MaxAggregate is the longest document that Cut reads, in bytes. The largest federations publish
// about 100 MB.
const MaxAggregate = 256 << 20

// Cut extracts the EntityDescriptor of one provider from a document that is too long for
// ReadSP. It keeps the EntitiesDescriptors around it, whose namespaces and dates apply to it.
// It checks nothing else, because ReadSP checks the result.
func Cut(doc []byte, id idp.EntityID) ([]byte, error) {
	if kind := filetext.DetectKind(doc); kind != filetext.XML {
		return nil, fmt.Errorf("this is %s, not SAML metadata", kind.Article())
	}
	doc, _, err := filetext.ExtractDocument(doc)
	if err != nil {
		return nil, err
	}
	d := xml.NewDecoder(bytes.NewReader(doc))
	var around []startTag
	for {
		at := d.InputOffset()
		token, err := d.RawToken()
		if err != nil {
			if d.InputOffset() < int64(len(doc)) {
				return nil, fmt.Errorf("the metadata is damaged at byte %d; get the document again", d.InputOffset())
			}
			return nil, fmt.Errorf("no EntityDescriptor in it has the entityID %q", id)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if token.Name.Local == "EntitiesDescriptor" {
				around = append(around, startTag{token.Name, doc[at:d.InputOffset()]})
				continue
			}
			if err := skipElement(d); err != nil {
				return nil, err
			}
			if token.Name.Local == "EntityDescriptor" && hasID(token, id) {
				return wrapElement(around, doc[at:d.InputOffset()]), nil
			}
		case xml.EndElement:
			if len(around) > 0 {
				around = around[:len(around)-1]
			}
		}
	}
}

// startTag is the start tag of an EntitiesDescriptor.
type startTag struct {
	name xml.Name // with the prefix as Space
	tag  []byte
}

func hasID(e xml.StartElement, id idp.EntityID) bool {
	for _, a := range e.Attr {
		if a.Name.Space == "" && a.Name.Local == "entityID" {
			return strings.TrimSpace(a.Value) == string(id)
		}
	}
	return false
}

// skipElement reads to the end of the element whose start tag was read last. RawToken returns
// an end for an empty-element tag, too.
func skipElement(d *xml.Decoder) error {
	for depth := 1; depth > 0; {
		token, err := d.RawToken()
		if err != nil {
			return errors.New("the metadata ends within an element; get the document again")
		}
		switch token.(type) {
		case xml.StartElement:
			depth++
		case xml.EndElement:
			depth--
		}
	}
	return nil
}

// wrapElement writes an element with start tags around it.
func wrapElement(around []startTag, element []byte) []byte {
	var b bytes.Buffer
	for _, o := range around {
		b.Write(o.tag)
	}
	b.Write(element)
	for i := len(around) - 1; i >= 0; i-- {
		name := around[i].name.Local
		if p := around[i].name.Space; p != "" {
			name = p + ":" + name
		}
		b.WriteString("</" + name + ">")
	}
	return b.Bytes()
}
