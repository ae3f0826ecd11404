package inspect

import "vernal/idp/inbound"

// checkSubject checks the user that a request names. Only the answer shows whether that user signs
// in.
func (s *Service) checkSubject(r *Report, request *inbound.Request) error {
	subject := request.Authn.Subject
	if subject == nil {
		return nil
	}
	if subject.IsEncrypted() && s.Years == nil {
		r.noteSkipped("Subject EncryptedID", "our private keys are required to decrypt it, and none is available")
		return nil
	}
	if subject.IsEncrypted() {
		if err := request.OpenName(s.findSigner(r)); err != nil {
			return r.noteRefused("", err)
		}
	}
	if request.NameIDFormat == "" {
		return nil // refused above
	}
	if err := request.CheckSubject(s.IdP.EntityID()); err != nil {
		return r.noteRefused("", err)
	}
	r.noteOK("Subject NameID", subject.NameID.Value)
	r.addHint("the request is answered only if the user who signs in has this NameID (" + request.NameIDFormat + ") at the service provider. Another user is asked to sign in as a different user")
	return nil
}
