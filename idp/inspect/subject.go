package inspect

import (
	"vernal/idp"
	"vernal/idp/saml"
	"vernal/idp/sp"
)

// subject looks at the user whom a request asks for. Whether that is the user who signs
// in shows at the answer.
func (s *Service) subject(r *Report, req *saml.AuthnRequest, p *sp.Provider) error {
	if req.Subject == nil {
		return nil
	}
	if req.Subject.IsEncrypted() {
		if s.Years == nil {
			r.skip("Subject EncryptedID", "only our keys open it, and there are none here")
			return nil
		}
		key := s.decrypter(r, r.Year)
		if r.Cert == nil || key == nil {
			return r.refuse("", idp.Refuse(idp.RefusedEncryptedID, "EncryptedID", ""))
		}
		if err := req.Subject.Open(key); err != nil {
			return r.refuse("", err)
		}
	}
	format, err := p.ChooseNameIDFormat(req.NameIDPolicy)
	if err != nil {
		return nil // refused above
	}
	id := req.Subject.NameID
	if err := p.CheckSubject(id, format, s.IdP.EntityID()); err != nil {
		return r.refuse("", err)
	}
	r.ok("Subject NameID", id.Value)
	r.hint("answered only if the user who signs in has this NameID (" + format + ") at the service provider; any other one is asked to sign in as someone else")
	return nil
}
