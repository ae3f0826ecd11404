package inspect

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"strings"

	"vernal/idp"
	"vernal/idp/filetext"
	"vernal/idp/sp"
	"vernal/idp/xmldsig"
	"vernal/idp/xmlenc"
	"vernal/idp/xmltree"
)

// namespaceMetadata is the namespace of EntityDescriptor (saml-metadata §1.1).
const namespaceMetadata = "urn:oasis:names:tc:SAML:2.0:metadata"

// parseMetadata returns the root of a metadata document, or nil for any other text.
func parseMetadata(text string) *xmltree.Element {
	if text == "" {
		return nil
	}
	doc, _, err := filetext.ExtractDocument([]byte(text)) // in every encoding that sp add reads
	if err != nil {
		return nil
	}
	root, err := xmltree.Parse(doc, xmltree.MetadataLimits())
	if err != nil || root.Space != namespaceMetadata {
		return nil
	}
	return root
}

// checkMetadata compares a document with the registration of its service provider or, if it is
// an identity provider's, with our certificates.
func (s *Service) checkMetadata(ctx context.Context, r *Report, root *xmltree.Element, text string) error {
	for e := range root.All() {
		if e.Is(namespaceMetadata, "IDPSSODescriptor") {
			return s.checkIdPMetadata(r, root)
		}
	}
	var ourCerts []*x509.Certificate
	if s.Years != nil {
		ourCerts, _ = s.listOurCertificates(r.AssumedAt)
	}
	p, notes, err := sp.ConvertMetadata([]byte(text), r.AssumedAt, ourCerts)
	var invalidErr *sp.InvalidError
	if errors.As(err, &invalidErr) {
		for _, problem := range invalidErr.Problems {
			r.noteFault(problem.Field, "", problem.Text)
		}
		return nil
	}
	if err != nil {
		return err
	}
	r.SP, r.SPName = p.EntityID, p.Name
	r.noteOK("metadata", "it can be registered")
	r.addSuggestion(idp.Suggest(idp.DoSPAdd).WithOption(idp.OptionMetadata, "").WithLabel(idp.LabelRegister))
	for _, n := range notes {
		r.addHint(n.Text)
	}
	if s.Registry == nil {
		r.Unknown = true
		r.noteSkipped("entityID", "no registry is available")
		return nil
	}
	registration, err := s.Registry.Lookup(ctx, p.EntityID)
	if errors.Is(err, idp.ErrNotFound) {
		r.noteSkipped("entityID", "it is not registered yet")
		return nil
	}
	if err != nil {
		return err
	}
	r.noteOK("entityID", string(p.EntityID))
	return r.compareRegistration(p, registration)
}

// compareRegistration compares metadata with the registration. It reports each difference with the
// command that changes the registration.
func (r *Report) compareRegistration(p *idp.ServiceProvider, registration *sp.Provider) error {
	metadataSP, err := sp.Parse(p)
	if err != nil {
		return err
	}
	for _, acsURL := range p.ACSURLs {
		if slices.Contains(registration.ACSURLs, acsURL) {
			r.noteOK("AssertionConsumerService", acsURL)
			continue
		}
		r.noteFault("AssertionConsumerService", acsURL, "not registered")
		r.addSuggestion(suggestEdit(p.EntityID).WithOption(idp.OptionACSURL, acsURL))
		r.addHint(describeACS(acsURL, registration.ACSURLs)...)
	}
	compare := func(field, option string, metadataCerts, registeredCerts []*x509.Certificate) {
		for _, c := range metadataCerts {
			if slices.ContainsFunc(registeredCerts, c.Equal) {
				r.noteOK(field, nameCertificate(c))
				continue
			}
			r.noteFault(field, nameCertificate(c), "not registered")
			r.addSuggestion(suggestEdit(p.EntityID).WithOption(option, ""))
		}
	}
	compare("KeyDescriptor signing", idp.OptionCert, metadataSP.RequestCerts, registration.RequestCerts)
	compare("KeyDescriptor encryption", idp.OptionEncryptionCert, metadataSP.EncryptionX509, registration.EncryptionX509)
	if p.LogoutURL != "" && p.LogoutURL != registration.LogoutURL {
		r.noteFault("SingleLogoutService", p.LogoutURL, "the registered URL is "+cmp.Or(registration.LogoutURL, "none"))
		r.addSuggestion(suggestEdit(p.EntityID).WithOption(idp.OptionLogoutURL, p.LogoutURL))
		r.addHint(describeDifference(p.LogoutURL, registration.LogoutURL))
	}
	return nil
}

// suggestEdit suggests registering the values of the metadata.
func suggestEdit(sp idp.EntityID) idp.Suggestion {
	return idp.Suggest(idp.DoSPEdit, string(sp)).WithLabel(idp.LabelTakeOver)
}

// checkIdPMetadata checks whether a document is ours, and names the years whose certificates it
// contains.
func (s *Service) checkIdPMetadata(r *Report, root *xmltree.Element) error {
	id, _ := root.Attr("entityID")
	if id != string(s.IdP.EntityID()) {
		r.noteSkipped("entityID", "it is "+id+", not "+string(s.IdP.EntityID()))
		r.addHint(describeDifference(id, string(s.IdP.EntityID())))
		r.Unknown = true
		return nil
	}
	r.noteOK("entityID", id)
	if _, err := s.verifySigned(r, "Signature", root, xmldsig.VerifyMetadata); err != nil {
		return err
	}
	if s.Years == nil {
		return nil
	}
	ourCerts, years := s.listOurCertificates(r.AssumedAt)
	var yearNames []string
	for _, c := range xmlenc.ListCertificates(root) {
		i := slices.IndexFunc(ourCerts, c.Equal)
		if i < 0 {
			r.noteFault("KeyDescriptor", nameCertificate(c), "none of our years has this certificate")
			continue
		}
		yearNames = append(yearNames, string(years[ourCerts[i]]))
	}
	if len(yearNames) > 0 {
		r.noteOK("KeyDescriptor", "our certificates of "+strings.Join(yearNames, ", "))
	}
	if preferredYear, err := s.Years.Preferred(r.AssumedAt); err == nil && !slices.Contains(yearNames, string(preferredYear.Year())) {
		r.addHint("the preferred year " + string(preferredYear.Year()) + " is missing from this copy: load the metadata again")
	}
	return nil
}
