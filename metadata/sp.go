package metadata

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/filetext"
	"vernal/idp/saml"
	"vernal/idp/xmltree"
)

// SPDescriptor holds the parts of a service provider's metadata that we use.
type SPDescriptor struct {
	EntityID idp.EntityID
	// Name is for display. It is the entity ID or its host if the document has none.
	Name string
	// ACS lists the Assertion Consumer Services with the HTTP-POST binding, the default one
	// first. It is empty only if Options say that the operator gives them. A URL may occur
	// under several indexes.
	ACS []ACS
	// LogoutURL is the URL to which a LogoutResponse is posted, or "".
	LogoutURL string
	// RequestCerts are the SP's request certificates, if any.
	RequestCerts []*x509.Certificate
	// EncryptionCerts are those of KeyDescriptors with use="encryption". If any exist,
	// Encryption is not idp.EncryptionNone.
	EncryptionCerts  []*x509.Certificate
	Encryption       string // one of the idp.Encryption constants
	EncryptionDigest string // one of the idp.Digest constants
	// NameIDFormats are the listed URNs. They grant nothing; see Provider.
	NameIDFormats        []string
	AuthnRequestsSigned  bool
	WantAssertionsSigned bool
	// ValidUntil is the earliest validUntil that applies, or zero.
	ValidUntil time.Time
	// Notes list the assumptions and the omitted parts.
	Notes []Note
}

// ACS is one Assertion Consumer Service.
type ACS struct {
	URL   string
	Index int
}

// ReadSP reads an EntityDescriptor, or one of those in an EntitiesDescriptor: the one that o
// names, or else the only service provider. The document may have any encoding that package
// filetext reads. The error is Problems.
func ReadSP(data []byte, now time.Time, o Options) (*SPDescriptor, error) {
	r := &spReader{now: now, options: o, descriptor: &SPDescriptor{
		Encryption: idp.EncryptionNone, EncryptionDigest: idp.DigestSHA1,
	}}
	if root := r.parseXML(data); root != nil {
		if entity := r.findEntity(root); entity != nil {
			r.readEntity(entity)
		}
	}
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	return r.descriptor, nil
}

// spReader reads one document. It continues after a problem, so that all of them are reported
// at once.
type spReader struct {
	now          time.Time
	options      Options
	descriptor   *SPDescriptor
	problems     Problems
	pendingNotes []Note // faults of alternative parts, see settleParts
}

// parseXML parses the XML. It returns nil and records a problem if that fails.
func (r *spReader) parseXML(data []byte) *xmltree.Element {
	switch kind := filetext.DetectKind(data); kind {
	case filetext.Empty:
		r.addFault(PartDocument, "The metadata is empty. Get the document from the service provider again.")
		return nil
	case filetext.Gzip, filetext.Zip:
		r.addFault(PartDocument, "The metadata is %s. Unpack it first.", kind.Article())
		return nil
	case filetext.HTML, filetext.PDF, filetext.JSON, filetext.Keystore:
		r.addFault(PartDocument, "This is %s, not SAML metadata. Get the XML document itself, whose root element is EntityDescriptor.", kind.Article())
		return nil
	case filetext.PEM, filetext.DER:
		r.addFault(PartDocument, "This is %s, not SAML metadata. Register a certificate on its own, with the entity ID and the URL of an AssertionConsumerService.", kind.Article())
		return nil
	case filetext.Text:
		r.addFault(PartDocument, "This is not XML: it does not begin with <. Give the metadata without other text.")
		return nil
	}
	doc, skipped, err := filetext.ExtractDocument(data)
	if err != nil {
		r.addFault(PartDocument, "The encoding of the metadata cannot be read: %v.", err)
		return nil
	}
	root, err := xmltree.Parse(doc, xmltree.MetadataLimits())
	var syntaxErr *xmltree.SyntaxError
	switch {
	case errors.As(err, &syntaxErr):
		line := 1 + skipped + bytes.Count(doc[:min(syntaxErr.Offset, len(doc))], []byte("\n"))
		r.addFault(PartDocument, "The metadata cannot be read: on line %d, %s. Get the document again, without changes by a browser or an editor.", line, syntaxErr.Problem)
	case err != nil:
		r.addFault(PartDocument, "The metadata cannot be read: %v.", err)
	}
	return root
}

// findEntity returns the EntityDescriptor of the service provider. It returns nil and records a
// problem if it finds none, or several.
func (r *spReader) findEntity(root *xmltree.Element) *xmltree.Element {
	switch {
	case root.Is(namespace, "EntityDescriptor"):
		return root
	case !root.Is(namespace, "EntitiesDescriptor"):
		r.addFault(PartDocument, "This is not SAML metadata: the root element is %s in the namespace %q, not EntityDescriptor in %q.",
			root.Local, root.Space, namespace)
		return nil
	}
	var members []member
	collectMembers(root, nil, &members)
	matches := slices.DeleteFunc(slices.Clone(members), func(m member) bool { return m.id != string(r.options.EntityID) })
	if len(members) == 1 {
		matches = members
	}
	switch {
	case len(members) == 0:
		r.addFault(PartEntity, "The EntitiesDescriptor has no service provider: no EntityDescriptor in it has an SPSSODescriptor.")
	case len(members) > 1 && r.options.EntityID == "":
		r.recordNote(Note{PartEntity, fmt.Sprintf("The EntitiesDescriptor has %d service providers: %s. Name the one to register by its entity ID.", len(members), listIDs(members)),
			idp.Option{Name: idp.OptionEntityID}})
	case len(matches) == 0:
		r.addFault(PartEntity, "The EntitiesDescriptor has no service provider %q. It has %s.", r.options.EntityID, listIDs(members))
	case len(matches) > 1:
		r.addFault(PartEntity, "The EntitiesDescriptor has %d service providers with the entityID %q. Remove all but one.", len(matches), r.options.EntityID)
	default:
		for _, group := range matches[0].ancestors { // the dates of the enclosing elements also apply
			r.readValidUntil(group)
		}
		return matches[0].entity
	}
	return nil
}

// member is a service provider in an EntitiesDescriptor, with its enclosing elements.
type member struct {
	id        string
	entity    *xmltree.Element
	ancestors []*xmltree.Element
}

// collectMembers lists the service providers below an EntitiesDescriptor.
func collectMembers(group *xmltree.Element, ancestors []*xmltree.Element, list *[]member) {
	ancestors = append(slices.Clip(ancestors), group)
	for e := range group.Elements() {
		switch {
		case e.Is(namespace, "EntitiesDescriptor"):
			collectMembers(e, ancestors, list)
		case e.Is(namespace, "EntityDescriptor") && e.Child(namespace, "SPSSODescriptor") != nil:
			id, _ := e.Attr("entityID")
			*list = append(*list, member{strings.TrimSpace(id), e, ancestors})
		}
	}
}

// listIDs lists entity IDs, or the first ones of a long list.
func listIDs(list []member) string {
	const maxNames = 20
	var names []string
	for _, m := range list[:min(len(list), maxNames)] {
		names = append(names, idp.Shorten(m.id, 200))
	}
	text := strings.Join(names, ", ")
	if len(list) > maxNames {
		text += fmt.Sprintf(" and %d more", len(list)-maxNames)
	}
	return text
}

// readEntity reads the EntityDescriptor.
func (r *spReader) readEntity(e *xmltree.Element) {
	r.readValidUntil(e)
	id, _ := e.Attr("entityID")
	id = strings.TrimSpace(id)
	switch {
	case id == "":
		r.addFault(PartEntityID, "The EntityDescriptor has no entityID.")
	case len(id) > idp.MaxEntityID:
		r.addFault(PartEntityID, "The entityID is longer than %d characters (saml-metadata §2.2.1).", idp.MaxEntityID)
	case strings.ContainsAny(id, " \t\r\n"):
		r.addFault(PartEntityID, "The entityID %q contains white space.", id)
	}
	r.descriptor.EntityID = idp.EntityID(id)
	role := r.findRole(e)
	if role == nil {
		return
	}
	r.readName(e, role)
	r.readValidUntil(role)
	r.readSigning(role)
	r.readKeys(role)
	r.readConsumers(role)
	r.readLogout(role)
	r.noteFormats(role)
}

// readSigning reads the provider's attributes about signatures.
func (r *spReader) readSigning(role *xmltree.Element) {
	r.descriptor.WantAssertionsSigned, _ = r.readBoolean(role, PartWantsSigned)
	isSigned, isKnown := r.readBoolean(role, PartSignsRequests)
	r.descriptor.AuthnRequestsSigned = isSigned
	if _, hasAttr := role.Attr(string(PartSignsRequests)); !isSigned && (isKnown || !hasAttr) {
		r.addNote(PartSignsRequests, "The metadata does not say AuthnRequestsSigned=\"true\". Requests must still be signed, unless the provider is registered with sign_requests optional.")
	}
}

// findRole returns the SPSSODescriptor for SAML 2.0. It returns nil and records a problem if it
// finds none.
func (r *spReader) findRole(e *xmltree.Element) *xmltree.Element {
	roles := e.Children(namespace, "SPSSODescriptor")
	if len(roles) == 0 {
		reason := "this is not the metadata of a service provider"
		if e.Child(namespace, "IDPSSODescriptor") != nil {
			reason = "this is the metadata of an identity provider, not of a service provider"
		}
		r.addFault(PartRole, "The EntityDescriptor has no SPSSODescriptor: %s.", reason)
		return nil
	}
	var samlRoles []*xmltree.Element
	var otherProtocols []string
	for _, role := range roles {
		protocols, _ := role.Attr("protocolSupportEnumeration")
		switch list := strings.Fields(protocols); {
		case slices.Contains(list, saml.NamespaceProtocol):
			samlRoles = append(samlRoles, role)
		case len(list) == 0:
			r.addNote(PartProtocols, "The SPSSODescriptor has no protocolSupportEnumeration. SAML 2.0 is assumed.")
			samlRoles = append(samlRoles, role)
		default:
			otherProtocols = append(otherProtocols, protocols)
		}
	}
	switch {
	case len(samlRoles) == 0:
		r.addFault(PartProtocols, "The SPSSODescriptor does not support SAML 2.0: its protocolSupportEnumeration is %q, without %q.", otherProtocols[0], saml.NamespaceProtocol)
		return nil
	case len(samlRoles) > 1:
		r.addFault(PartRole, "The EntityDescriptor has %d SPSSODescriptors for SAML 2.0. Remove all but one.", len(samlRoles))
		return nil
	case len(otherProtocols) > 0:
		r.addNote(PartRole, "The SPSSODescriptor for other protocols (%s) was left out.", strings.Join(otherProtocols, ", "))
	}
	return samlRoles[0]
}

// noteFormats records the NameIDFormats. Metadata grants none of them.
func (r *spReader) noteFormats(sp *xmltree.Element) {
	for _, f := range sp.Children(namespace, "NameIDFormat") {
		if text := strings.TrimSpace(f.Text()); text != "" {
			r.descriptor.NameIDFormats = append(r.descriptor.NameIDFormats, text)
		} else {
			r.addFault(PartFormat, "A NameIDFormat is empty and was left out.")
		}
	}
	formats := r.descriptor.NameIDFormats
	if slices.Contains(formats, saml.NameIDFormatEmail) {
		r.addNote(PartFormat, "The metadata asks for email addresses as NameID. Only an operator can allow that, with name_id_formats.")
	}
	if len(formats) > 0 && !slices.Contains(formats, saml.NameIDFormatPersistent) && !slices.Contains(formats, saml.NameIDFormatUnspecified) {
		r.addNote(PartFormat, "The metadata does not list the persistent NameID format (only %s). The provider still gets persistent NameIDs.", strings.Join(formats, ", "))
	}
}
