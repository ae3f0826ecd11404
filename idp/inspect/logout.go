package inspect

import (
	"context"
	"crypto"
	"crypto/x509"

	"vernal/idp"
	"vernal/idp/inbound"
	"vernal/idp/saml"
	"vernal/idp/xmltree"
)

// logoutRequest looks whom a LogoutRequest names, and what it would end.
func (s *Service) logoutRequest(ctx context.Context, r *Report, q *inbound.Request, root *xmltree.Element) error {
	before, err := s.repeated(ctx, r, q.Logout.ID)
	if err != nil {
		return err
	}
	opened, err := s.openName(r, q, root)
	if err != nil || !opened {
		return err
	}
	return s.judgeLogout(ctx, r, q, before)
}

// isRemote reports whether a LogoutRequest came by the back channel. Where it was
// sent to counts; its Destination only where that is not known.
func (in input) isRemote(destination string) bool {
	m := yearly.FindStringSubmatch(destination)
	return in.soap || in.endpoint == "remotelogout" || in.endpoint == "" && m != nil && m[1] == "remotelogout"
}

// openName opens the name of a LogoutRequest with the key of the year that it came
// to, as the server does: only after the signature held. It reports whether there
// is a name to read.
func (s *Service) openName(r *Report, q *inbound.Request, root *xmltree.Element) (bool, error) {
	if !q.Logout.IsEncrypted() {
		return true, nil
	}
	const field = "EncryptedID"
	seen, to := described(root.Child(saml.NamespaceAssertion, field))
	switch {
	case s.Years == nil:
		r.add(Check{Field: field, Outcome: Skipped, Seen: seen, Note: "only our keys open it, and there are none here"})
		return false, nil
	case q.Cert == nil:
		r.add(Check{Field: field, Outcome: Skipped, Seen: seen, Note: "it is opened only in a message whose signature holds"})
		return false, nil
	}
	err := q.OpenName(s.signer(r, r.Year))
	if err == nil {
		r.note(field, seen, "opened with our key of "+string(r.Year))
		return true, nil
	}
	if err := r.refuse(field, err); err != nil {
		return false, err
	}
	r.Checks[len(r.Checks)-1].Seen = seen
	r.hint(s.nameHints(r, *q.Logout, to)...)
	return false, nil
}

// signer is our key of a year, nil if there is none.
func (s *Service) signer(r *Report, year idp.Year) crypto.Signer {
	entry, ok := s.Years.Lookup(year, r.At)
	if !ok || entry.Key == nil {
		return nil
	}
	return entry.Key.Signer
}

// nameHints find out whose key would have opened the name.
func (s *Service) nameHints(r *Report, req saml.LogoutRequest, to []*x509.Certificate) (hints []string) {
	for _, e := range s.Years.All(r.At) {
		year := e.Year()
		if try := req; year != r.Year && try.Open(e.Key.Signer) == nil {
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
