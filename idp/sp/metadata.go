package sp

import (
	"crypto/x509"
	"errors"
	"time"

	"vernal/idp"
	"vernal/metadata"
)

// Document is metadata that an operator supplies with a change; the zero value means none.
type Document struct {
	Data []byte
	// Fetched is set if it comes from a URL, and not from a file.
	Fetched bool
}

// suppliedFields contains the options that supply missing parts of a document.
var suppliedFields = map[metadata.Part]idp.Option{
	metadata.PartACS:           {Name: "acs_url"},
	metadata.PartSigningKey:    {Name: idp.OptionCert},
	metadata.PartUse:           {Name: idp.OptionCert},
	metadata.PartEncryptionKey: {Name: "encryption", Value: idp.EncryptionNone},
}

// ConvertMetadata converts a provider's EntityDescriptor into a registration: Defaults, and the
// content of the document. It never sets an agency, emailAddress among the NameIDFormats, or a
// compat, which only an operator may grant. ourCerts are our own signing certificates, which a provider
// must not have. The notes are findings for the operator. The error is an *InvalidError.
func ConvertMetadata(doc []byte, now time.Time, ourCerts []*x509.Certificate) (p *idp.ServiceProvider, notes []metadata.Note, err error) {
	return convertMetadata(doc, now, ourCerts, metadata.Options{})
}

func convertMetadata(doc []byte, now time.Time, ourCerts []*x509.Certificate, o metadata.Options) (p *idp.ServiceProvider, notes []metadata.Note, err error) {
	o.OurCerts = ourCerts
	d, err := metadata.ReadSP(doc, now, o)
	var problems metadata.Problems
	if errors.As(err, &problems) {
		invalidErr := new(InvalidError)
		for _, n := range problems {
			invalidErr.Problems = append(invalidErr.Problems, Problem{Field: "metadata", Text: n.Text, Option: suppliedFields[n.Part]})
			if n.Option.Name == idp.OptionEntityID {
				invalidErr.Suggestions = append(invalidErr.Suggestions,
					idp.Suggest(idp.DoSPAdd).WithOption(idp.OptionMetadata, "").WithOption(idp.OptionEntityID, "").WithLabel(idp.LabelChooseProvider))
			}
		}
		return nil, nil, invalidErr
	}
	if err != nil {
		return nil, nil, err
	}
	p = Defaults()
	p.EntityID, p.Name, p.LogoutURL, p.Encryption, p.EncryptionDigest = d.EntityID, d.Name, d.LogoutURL, d.Encryption, d.EncryptionDigest
	p.Certs, p.EncryptionCerts = encodeEach(d.RequestCerts), encodeEach(d.EncryptionCerts)
	for _, a := range d.ACS {
		p.ACSURLs, p.ACSIndexes = append(p.ACSURLs, a.URL), append(p.ACSIndexes, a.Index)
	}
	return p, d.Notes, nil
}

// convertNotes converts the notes about a provider's metadata into warnings.
func convertNotes(notes []metadata.Note, id idp.EntityID) (warnings []string, suggestions []idp.Suggestion) {
	for _, n := range notes {
		warnings = append(warnings, n.Text)
		switch n.Option.Name {
		case idp.OptionName:
			suggestions = append(suggestions, suggestNaming(id))
		case string(PermitInsecureURL):
			suggestions = append(suggestions, idp.Suggest(idp.DoSPEdit, string(id)).
				WithOption(idp.OptionMetadata, "").WithOption(idp.OptionAllowInsecureURL, "").WithLabel(idp.LabelAllowHTTP))
		}
	}
	return warnings, suggestions
}

// readDocument reads metadata that comes with an edit of old, nil for a new registration. The
// document may lack parts that the edit supplies.
func (r *Registry) readDocument(doc Document, id idp.EntityID, old *idp.ServiceProvider, e Edit, o Options) (*idp.ServiceProvider, []metadata.Note, error) {
	hasField := func(field string) bool { return len(e.Set[field]) > 0 }
	isUnsigned := hasField("sign_requests") && e.Set["sign_requests"][0] == idp.SignRequestsOptional
	isAllowed := newHTTPCheck(old, o)
	p, notes, err := convertMetadata(doc.Data, r.clock.Now(), r.OurCerts(), metadata.Options{
		EntityID: id, Fetched: doc.Fetched,
		HasACS: hasField("acs_urls"), HasKeys: hasField("certs") || isUnsigned, HasName: hasField("name"),
		HasEncryption: hasField("encryption") || hasField("encryption_certs"),
		CheckURL: func(rawURL string) (string, idp.Option) {
			problem, isPermitted := checkURL(rawURL, r.BaseIsHTTP)
			switch {
			case isPermitted && isAllowed(rawURL):
				return "", idp.Option{}
			case isPermitted:
				return problem, insecureURLOption
			}
			return problem, idp.Option{}
		},
	})
	if err == nil && id != "" && p.EntityID != id {
		return nil, nil, newEntityError(id, p.EntityID)
	}
	return p, notes, err
}
