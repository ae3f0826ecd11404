package inspect

import "vernal/idp/inbound"

// checkSubject checks the user that a request names. Whether that user signs in is only known
// when the request is answered.
func (s *Service) checkSubject(r *Report, q *inbound.Request) error {
	subject := q.Authn.Subject
	if subject == nil {
		return nil
	}
	if subject.IsEncrypted() && s.Years == nil {
		r.noteSkipped("Subject EncryptedID", "only our keys open it, and none is available")
		return nil
	}
	if subject.IsEncrypted() {
		if err := q.OpenName(s.findSigner(r)); err != nil {
			return r.noteRefused("", err)
		}
	}
	if q.NameIDFormat == "" {
		return nil // refused above
	}
	if err := q.CheckSubject(s.IdP.EntityID()); err != nil {
		return r.noteRefused("", err)
	}
	r.noteOK("Subject NameID", subject.NameID.Value)
	r.addHint("answered only if the user who signs in has this NameID (" + q.NameIDFormat + ") at the service provider. Another user is asked to sign in as a different user")
	return nil
}
