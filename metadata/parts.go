package metadata

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"vernal/idp"
)

// Part names the element or attribute that a Note is about.
type Part string

// The parts that ReadSP reads. It ignores all others.
const (
	PartDocument      Part = "document"
	PartEntity        Part = "EntityDescriptor" // one of several
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
	PartChain         Part = "X509Certificate" // certificates other than the used one
	PartMethod        Part = "EncryptionMethod"
	PartLogout        Part = "SingleLogoutService"
	PartFormat        Part = "NameIDFormat"
	PartName          Part = "DisplayName"
)

// need is the consequence for a document with an unusable part.
type need int

const (
	partOptional need = iota // the part is left out with a note
	partNeeded               // the document is refused
	partOneOf                // the document is refused if no part of this kind can be used
)

// needs lists all parts that are not optional. The readers of parts decide nothing themselves.
var needs = map[Part]need{
	PartDocument:      partNeeded,
	PartEntity:        partNeeded,
	PartEntityID:      partNeeded,
	PartRole:          partNeeded,
	PartProtocols:     partNeeded,
	PartACS:           partOneOf,
	PartSigningKey:    partOneOf,
	PartEncryptionKey: partOneOf, // the provider asked for encryption
	PartUse:           partOneOf, // a key for signing or encryption
}

// Options are the operator's settings that are not in the document, and the rules of the registry.
type Options struct {
	// EntityID selects one of several providers in the document.
	EntityID idp.EntityID
	// Fetched is set if the document comes from a URL. Such a copy must not be expired,
	// because an attacker on the network could hold back a newer one.
	Fetched bool
	// HasACS, HasKeys, HasEncryption and HasName are set if the operator gives these values,
	// so that the document need not have them.
	HasACS, HasKeys, HasEncryption, HasName bool
	// CheckURL returns the reason why a URL cannot be registered, or "" if it can. An optional
	// URL that it refuses is left out. permission is the option with which an operator can
	// register it anyway. CheckURL may be nil.
	CheckURL func(url string) (reason string, permission idp.Option)
	// OurCerts are our own signing certificates of all years. A service provider that has one of
	// them as its own was set up the wrong way round.
	OurCerts []*x509.Certificate
}

func (o *Options) need(p Part) need {
	switch {
	case p == PartExpiry && o.Fetched: // for a file, the operator has decided that it is the right one
		return partNeeded
	case p == PartACS && o.HasACS, p == PartEncryptionKey && o.HasEncryption,
		(p == PartSigningKey || p == PartUse) && o.HasKeys:
		return partOptional
	}
	return needs[p]
}

// Note is a statement about one part, in a whole sentence for the operator. It may quote the
// document.
type Note struct {
	Part Part   `json:"part"`
	Text string `json:"text"`
	// Option is the registration setting that fixes the problem, or zero.
	Option idp.Option `json:"option,omitzero"`
}

// Problems is the error of ReadSP and lists everything that prevents a registration.
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

// addFault records that a part cannot be used. The table decides the consequence.
func (r *spReader) addFault(part Part, format string, args ...any) {
	r.recordNote(Note{Part: part, Text: fmt.Sprintf(format, args...)})
}

// recordNote stores a note about an unusable part, depending on the table.
func (r *spReader) recordNote(n Note) {
	switch r.options.need(n.Part) {
	case partNeeded:
		r.problems = append(r.problems, n)
	case partOneOf:
		r.pendingNotes = append(r.pendingNotes, n)
	default:
		r.descriptor.Notes = append(r.descriptor.Notes, n)
	}
}

// addNote records an assumption about a part, or how the part was treated.
func (r *spReader) addNote(part Part, format string, args ...any) {
	r.descriptor.Notes = append(r.descriptor.Notes, Note{Part: part, Text: fmt.Sprintf(format, args...)})
}

// noteName is addNote for the name, which the operator can set.
func (r *spReader) noteName(format string, args ...any) {
	r.descriptor.Notes = append(r.descriptor.Notes, Note{PartName, fmt.Sprintf(format, args...), idp.Option{Name: idp.OptionName}})
}

// settleParts ends the reading of all parts of a kind. If one can be used, the faults of the
// others become notes. If none can, they become problems.
func (r *spReader) settleParts(hasUsable bool, kinds ...Part) {
	var rest []Note
	for _, n := range r.pendingNotes {
		switch {
		case !slices.Contains(kinds, n.Part):
			rest = append(rest, n)
		case hasUsable:
			r.descriptor.Notes = append(r.descriptor.Notes, n)
		default:
			r.problems = append(r.problems, n)
		}
	}
	r.pendingNotes = rest
}
