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
	decoder := xml.NewDecoder(bytes.NewReader(doc))
	var ancestors []startTag
	for {
		offset := decoder.InputOffset()
		token, err := decoder.RawToken()
		if err != nil {
			if decoder.InputOffset() < int64(len(doc)) {
				return nil, fmt.Errorf("the metadata is damaged at byte %d: get the document again", decoder.InputOffset())
			}
			return nil, fmt.Errorf("the metadata has no EntityDescriptor with the entityID %q", id)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if token.Name.Local == "EntitiesDescriptor" {
				ancestors = append(ancestors, startTag{token.Name, doc[offset:decoder.InputOffset()]})
				continue
			}
			if err := skipElement(decoder); err != nil {
				return nil, err
			}
			if token.Name.Local == "EntityDescriptor" && hasID(token, id) {
				return wrapElement(ancestors, doc[offset:decoder.InputOffset()]), nil
			}
		case xml.EndElement:
			if len(ancestors) > 0 {
				ancestors = ancestors[:len(ancestors)-1]
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
			return errors.New("the metadata ends within an element: get the document again")
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

// wrapElement writes an element inside its ancestors.
func wrapElement(ancestors []startTag, element []byte) []byte {
	var b bytes.Buffer
	for _, o := range ancestors {
		b.Write(o.tag)
	}
	b.Write(element)
	for i := len(ancestors) - 1; i >= 0; i-- {
		name := ancestors[i].name.Local
		if p := ancestors[i].name.Space; p != "" {
			name = p + ":" + name
		}
		b.WriteString("</" + name + ">")
	}
	return b.Bytes()
}
