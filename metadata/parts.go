package metadata

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"vernal/idp"
)

// Part names what a Note is about: an element or attribute that is read.
type Part string

// The parts that are read. Any other part is ignored.
const (
	PartDocument      Part = "document"
	PartEntity        Part = "EntityDescriptor" // which of several
	PartEntityID      Part = "entityID"
	PartExpiry        Part = "validUntil in the past"
	PartValidUntil    Part = "validUntil"
	PartRole          Part = "SPSSODescriptor"
	PartProtocols     Part = "protocolSupportEnumeration"
	PartSignsRequests Part = "AuthnRequestsSigned"
	PartWantsSigned   Part = "WantAssertionsSigned"
	PartACS           Part = "AssertionConsumerService"
	PartIndex         Part = "index"
	PartDefault       Part = "isDefault"
	PartSigningKey    Part = "KeyDescriptor signing"
	PartEncryptionKey Part = "KeyDescriptor encryption"
	PartUse           Part = "use"
	PartChain         Part = "X509Certificate" // further ones beside the one that is used
	PartMethod        Part = "EncryptionMethod"
	PartLogout        Part = "SingleLogoutService"
	PartFormat        Part = "NameIDFormat"
	PartName          Part = "DisplayName"
)

// need decides about a document in which a part cannot be used.
type need int

const (
	optional need = iota // the part is left out with a note
	needed               // the document is refused
	oneOf                // refused if no other of its kind can be used
)

// needs decides for each part; one that is not here is optional. No reader of a part
// decides for itself.
var needs = map[Part]need{
	PartDocument:      needed,
	PartEntity:        needed,
	PartEntityID:      needed,
	PartRole:          needed,
	PartProtocols:     needed,
	PartACS:           oneOf,
	PartSigningKey:    oneOf,
	PartEncryptionKey: oneOf, // in the clear is not what its owner asked for
	PartUse:           oneOf, // of the keys of either kind
}

// Options are the operator's words beside the document, and the rules of the
// registry.
type Options struct {
	// EntityID chooses one of several providers in the document.
	EntityID idp.EntityID
	// Fetched is set when the document comes from a URL. A copy from there must
	// not be older than it says: someone on the way could hold back a newer one.
	Fetched bool
	// HasACS, HasKeys, HasEncryption and HasName are set when the operator
	// gives these, so that the document need not.
	HasACS, HasKeys, HasEncryption, HasName bool
	// CheckURL says why a URL cannot be registered; "" if it can. An optional URL
	// that it refuses is left out. The option is the one by which an operator can have
	// it anyway. May be nil.
	CheckURL func(url string) (why string, permission idp.Option)
	// Ours are our own signing certificates, of all years: a
	// service provider that was set up with one of them as its own was set up the
	// wrong way round.
	Ours []*x509.Certificate
}

func (o *Options) need(p Part) need {
	switch {
	case p == PartExpiry && o.Fetched: // in a file, the operator has decided that it is the right one
		return needed
	case p == PartACS && o.HasACS, p == PartEncryptionKey && o.HasEncryption,
		(p == PartSigningKey || p == PartUse) && o.HasKeys:
		return optional
	}
	return needs[p]
}

// Note is something about one part, in a whole sentence for the operator. It may
// quote the document.
type Note struct {
	Part Part   `json:"part"`
	Text string `json:"text"`
	// Option is the setting of a registration that helps; zero if there is none.
	Option idp.Option `json:"option,omitzero"`
}

// Problems is the error of ReadSP: everything that prevents a registration.
type Problems []Note

func (p Problems) Error() string {
	texts := make([]string, len(p))
	for i, n := range p {
		texts[i] = n.Text
	}
	if len(p) == 1 {
		return "metadata: " + texts[0]
	}
	return fmt.Sprintf("metadata has %d problems:\n- %s", len(p), strings.Join(texts, "\n- "))
}

// addFault notes that a part cannot be used. The table decides what follows.
func (r *spReader) addFault(part Part, format string, args ...any) {
	r.fileNote(Note{Part: part, Text: fmt.Sprintf(format, args...)})
}

// fileNote puts a note about a part that cannot be used where the table says.
func (r *spReader) fileNote(n Note) {
	switch r.o.need(n.Part) {
	case needed:
		r.problems = append(r.problems, n)
	case oneOf:
		r.waiting = append(r.waiting, n)
	default:
		r.d.Notes = append(r.d.Notes, n)
	}
}

// addNote says what was assumed about a part, or done with it.
func (r *spReader) addNote(part Part, format string, args ...any) {
	r.d.Notes = append(r.d.Notes, Note{Part: part, Text: fmt.Sprintf(format, args...)})
}

// noteName is note about the name, of which the operator can give another one.
func (r *spReader) noteName(format string, args ...any) {
	r.d.Notes = append(r.d.Notes, Note{PartName, fmt.Sprintf(format, args...), idp.Option{Name: idp.OptionName}})
}

// settleParts ends the reading of all parts of a kind: with one that can be used, the
// faults of the others are notes, without one they are problems.
func (r *spReader) settleParts(found bool, kinds ...Part) {
	var rest []Note
	for _, n := range r.waiting {
		switch {
		case !slices.Contains(kinds, n.Part):
			rest = append(rest, n)
		case found:
			r.d.Notes = append(r.d.Notes, n)
		default:
			r.problems = append(r.problems, n)
		}
	}
	r.waiting = rest
}
