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
	var ours []*x509.Certificate
	if s.Years != nil {
		ours, _ = s.listOurCertificates(r.AssumedAt)
	}
	p, notes, err := sp.ConvertMetadata([]byte(text), r.AssumedAt, ours)
	var invalid *sp.InvalidError
	if errors.As(err, &invalid) {
		for _, problem := range invalid.Problems {
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
		r.noteSkipped("entityID", "no registry available")
		return nil
	}
	now, err := s.Registry.Lookup(ctx, p.EntityID)
	if errors.Is(err, idp.ErrNotFound) {
		r.noteSkipped("entityID", "it is not registered yet")
		return nil
	}
	if err != nil {
		return err
	}
	r.noteOK("entityID", string(p.EntityID))
	return r.compareRegistration(p, now)
}

// compareRegistration compares metadata with the registration. A difference is not an error: it is
// reported, with the command that applies it.
func (r *Report) compareRegistration(p *idp.ServiceProvider, now *sp.Provider) error {
	said, err := sp.Parse(p)
	if err != nil {
		return err
	}
	for _, address := range p.ACSURLs {
		if slices.Contains(now.ACSURLs, address) {
			r.noteOK("AssertionConsumerService", address)
			continue
		}
		r.noteFault("AssertionConsumerService", address, "not registered")
		r.addSuggestion(suggestEdit(p.EntityID).WithOption(idp.OptionACSURL, address))
		r.addHint(describeACS(address, now.ACSURLs)...)
	}
	compare := func(field, option string, said, registered []*x509.Certificate) {
		for _, c := range said {
			if slices.ContainsFunc(registered, c.Equal) {
				r.noteOK(field, nameCertificate(c))
				continue
			}
			r.noteFault(field, nameCertificate(c), "not registered")
			r.addSuggestion(suggestEdit(p.EntityID).WithOption(option, ""))
		}
	}
	compare("KeyDescriptor signing", idp.OptionCert, said.RequestCerts, now.RequestCerts)
	compare("KeyDescriptor encryption", idp.OptionEncryptionCert, said.EncryptionX509, now.EncryptionX509)
	if p.LogoutURL != "" && p.LogoutURL != now.LogoutURL {
		r.noteFault("SingleLogoutService", p.LogoutURL, "registered is "+cmp.Or(now.LogoutURL, "none"))
		r.addSuggestion(suggestEdit(p.EntityID).WithOption(idp.OptionLogoutURL, p.LogoutURL))
		r.addHint(describeDifference(p.LogoutURL, now.LogoutURL))
	}
	return nil
}

// suggestEdit suggests registering the values of the metadata.
func suggestEdit(sp idp.EntityID) idp.Suggestion {
	return idp.Suggest(idp.DoSPEdit, string(sp)).WithLabel(idp.LabelTakeOver)
}

// checkIdPMetadata checks whether a document is ours, and of which year.
func (s *Service) checkIdPMetadata(r *Report, root *xmltree.Element) error {
	id, _ := root.Attr("entityID")
	if id != string(s.IdP.EntityID()) {
		r.noteSkipped("entityID", "it is of "+id+", not of "+string(s.IdP.EntityID()))
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
	ours, years := s.listOurCertificates(r.AssumedAt)
	var named []string
	for _, c := range xmlenc.ListCertificates(root) {
		i := slices.IndexFunc(ours, c.Equal)
		if i < 0 {
			r.noteFault("KeyDescriptor", nameCertificate(c), "this is none of our years' certificates")
			continue
		}
		named = append(named, string(years[ours[i]]))
	}
	if len(named) > 0 {
		r.noteOK("KeyDescriptor", "our certificates of "+strings.Join(named, ", "))
	}
	if preferred, err := s.Years.Preferred(r.AssumedAt); err == nil && !slices.Contains(named, string(preferred.Year())) {
		r.addHint("the preferred year, " + string(preferred.Year()) + ", is not in it: this copy is older, and should be loaded again")
	}
	return nil
}
