package inspect

import (
	"context"
	"crypto"
	"crypto/x509"

	"vernal/idp"
	"vernal/idp/saml"
	"vernal/idp/sp"
	"vernal/idp/xmltree"
)

func (s *Service) logoutRequest(ctx context.Context, r *Report, root *xmltree.Element, p *sp.Provider, in input) error {
	if in.endpoint == "auth" {
		// What follows is looked at as if it had come to the right place.
		_ = r.refuse("", idp.Refuse(idp.RefusedMessageType, "SAMLRequest", root.Local, "AuthnRequest"))
		in.endpoint, in.year = "", ""
	}
	req, err := saml.ParseLogoutRequest(root)
	if err != nil {
		return r.refuse("LogoutRequest", err)
	}
	r.ok("LogoutRequest", "")
	address := s.IdP.LogoutURL
	remote := in.remote(req.Destination)
	if remote {
		address = s.IdP.RemoteLogoutURL
	}
	if err := s.header(r, p, req.Header, req.Check, in, address); err != nil {
		return err
	}
	before, err := s.repeated(ctx, r, req.ID)
	if err != nil {
		return err
	}
	if p != nil && p.LogoutURL == "" && !remote {
		if err := r.refuse("", idp.Refuse(idp.RefusedNoLogoutURL, "SingleLogoutService", "")); err != nil {
			return err
		}
	}
	opened, err := s.person(r, req, root)
	if err != nil || !opened {
		return err
	}
	return s.judgeLogout(ctx, r, logoutSubject{p: p, req: req, before: before, remote: remote})
}

// remote reports whether a LogoutRequest came by the back channel. Where it was
// sent to counts; its Destination only where that is not known.
func (in input) remote(destination string) bool {
	m := yearly.FindStringSubmatch(destination)
	return in.soap || in.endpoint == "remotelogout" || in.endpoint == "" && m != nil && m[1] == "remotelogout"
}

// person opens the name of a LogoutRequest with the key of the year that it came
// to, as the server does: only after the signature held. It reports whether there
// is a name to read.
func (s *Service) person(r *Report, req *saml.LogoutRequest, root *xmltree.Element) (bool, error) {
	if !req.Encrypted() {
		return true, nil
	}
	seen, to := described(root.Child(saml.NamespaceAssertion, "EncryptedID"))
	switch {
	case s.Years == nil:
		r.Checks = append(r.Checks, Check{Field: "EncryptedID", Outcome: Skipped, Seen: seen, Note: "only our keys open it, and there are none here"})
		return false, nil
	case r.Cert == nil:
		r.Checks = append(r.Checks, Check{Field: "EncryptedID", Outcome: Skipped, Seen: seen, Note: "it is opened only in a message whose signature holds"})
		return false, nil
	}
	err := s.openName(r, req, r.Year)
	if err == nil {
		r.Checks = append(r.Checks, Check{Field: "EncryptedID", Outcome: OK, Seen: seen, Note: "opened with our key of " + string(r.Year)})
		return true, nil
	}
	if err := r.refuse("EncryptedID", err); err != nil {
		return false, err
	}
	r.Checks[len(r.Checks)-1].Seen = seen
	r.hint(s.nameHints(r, req, to)...)
	return false, nil
}

// openName opens the name with our key of a year.
func (s *Service) openName(r *Report, req *saml.LogoutRequest, year idp.Year) error {
	if key := s.decrypter(r, year); key != nil {
		return req.Open(key)
	}
	return idp.Refuse(idp.RefusedEncryptedID, "EncryptedID", "")
}

// decrypter is our key of a year; nil if there is none that decrypts.
func (s *Service) decrypter(r *Report, year idp.Year) crypto.Decrypter {
	entry, ok := s.Years.Lookup(year, r.At)
	if !ok || entry.Key == nil {
		return nil
	}
	key, _ := entry.Key.Signer.(crypto.Decrypter)
	return key
}

// nameHints find out whose key would have opened the name.
func (s *Service) nameHints(r *Report, req *saml.LogoutRequest, to []*x509.Certificate) (hints []string) {
	for _, e := range s.Years.All(r.At) {
		year := e.Year()
		if year != r.Year && s.openName(r, req, year) == nil {
			hints = append(hints, "our key of "+string(year)+" opens it: it is encrypted to that year's certificate, and was sent to the address of "+string(r.Year))
		}
		if year == r.Year && e.Key.Signer == nil {
			hints = append(hints, "there is no private key of "+string(year)+" here")
		}
	}
	ours, years := s.ours(r.At)
	for _, c := range to {
		whose := "a certificate that is not ours"
		for _, o := range ours {
			if c.Equal(o) {
				whose = "our certificate of " + string(years[o])
			}
		}
		hints = append(hints, "it says that it is encrypted to "+whose+": "+called(c))
	}
	return hints
}
