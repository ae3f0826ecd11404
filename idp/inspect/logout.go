package inspect

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"strings"

	"vernal/idp"
	"vernal/idp/inbound"
	"vernal/idp/logoutscope"
	"vernal/idp/saml"
	"vernal/idp/xmltree"
)

// checkLogout checks which user a LogoutRequest names, and which sessions it would end.
func (s *Service) checkLogout(ctx context.Context, r *Report, q *inbound.Request, root *xmltree.Element) error {
	before, err := s.lookupEarlier(ctx, r, q.Logout.ID)
	if err != nil {
		return err
	}
	opened, err := s.openName(r, q, root)
	if err != nil || !opened {
		return err
	}
	return s.judgeLogout(ctx, r, q, before)
}

// isRemote reports whether a LogoutRequest came by the back channel. The endpoint decides, and
// the Destination only if the endpoint is unknown.
func (in input) isRemote(destination string) bool {
	m := yearEndpoint.FindStringSubmatch(destination)
	return in.isSOAP || in.endpoint == "remotelogout" || in.endpoint == "" && m != nil && m[1] == "remotelogout"
}

// openName decrypts the name of a LogoutRequest with the key of its year, as the server does,
// only after the signature was verified. It reports whether a name is readable.
func (s *Service) openName(r *Report, q *inbound.Request, root *xmltree.Element) (bool, error) {
	if !q.Logout.IsEncrypted() {
		return true, nil
	}
	const field = "EncryptedID"
	seen, to := describeEncryption(root.Child(saml.NamespaceAssertion, field))
	switch {
	case s.Years == nil:
		r.add(Check{Field: field, Outcome: OutcomeSkipped, Seen: seen, Note: "only our keys open it, and none is available"})
		return false, nil
	case q.Cert == nil:
		r.add(Check{Field: field, Outcome: OutcomeSkipped, Seen: seen, Note: "it is opened only in a message whose signature holds"})
		return false, nil
	}
	err := q.OpenName(s.findSigner(r))
	if err == nil {
		r.note(field, seen, "opened with our key of "+string(r.Year))
		return true, nil
	}
	if err := r.noteRefused(field, err); err != nil {
		return false, err
	}
	r.Checks[len(r.Checks)-1].Seen = seen
	r.addHint(s.describeNameKeys(r, *q.Logout, to)...)
	return false, nil
}

// findSigner returns our key of the year that a message came to, or nil.
func (s *Service) findSigner(r *Report) crypto.Signer {
	entry, ok := s.Years.Lookup(r.Year, r.AssumedAt)
	if !ok || entry.Key == nil {
		return nil
	}
	return entry.Key.Signer
}

// describeNameKeys finds the owner of the key that would have decrypted the name.
func (s *Service) describeNameKeys(r *Report, req saml.LogoutRequest, to []*x509.Certificate) (hints []string) {
	for _, e := range s.Years.All(r.AssumedAt) {
		year := e.Year()
		if try := req; year != r.Year && try.Open(e.Key.Signer) == nil {
			hints = append(hints, "our key of "+string(year)+" opens it: it is encrypted to that year's certificate, and was sent to the URL of "+string(r.Year))
		}
		if year == r.Year && e.Key.Signer == nil {
			hints = append(hints, "the private key of "+string(year)+" is missing here")
		}
	}
	ours, years := s.listOurCertificates(r.AssumedAt)
	for _, c := range to {
		whose := "a certificate that is not ours"
		for _, o := range ours {
			if c.Equal(o) {
				whose = "our certificate of " + string(years[o])
			}
		}
		hints = append(hints, "it says that it is encrypted to "+whose+": "+nameCertificate(c))
	}
	return hints
}

// judgeLogout looks up the user that a request names and the sessions that it would end, by
// the rules of the server. It ends none. On the front channel the answer depends on the user
// signed in to the browser, which no message contains, so it adds a warning.
func (s *Service) judgeLogout(ctx context.Context, r *Report, q *inbound.Request, before *idp.LogoutRequest) error {
	p, name, remote := q.Provider, q.Logout.NameID.Value, q.Kind == inbound.RemoteLogoutRequest
	if s.Users == nil || p == nil {
		r.Unknown = true
		r.add(Check{Field: "NameID", Outcome: OutcomeSkipped, Seen: name, Note: "no store available to look up the user"})
		return nil
	}
	first := before // the content that came first counts
	if first == nil {
		first = &idp.LogoutRequest{SP: p.EntityID, MessageID: q.Logout.ID, SessionIndexes: q.Logout.SessionIndexes, ReceivedAt: r.AssumedAt}
		if err := logoutscope.Find(ctx, s.Users, p, first, q.Logout.NameID); err != nil {
			return err
		}
	}
	sessions, err := s.listSessions(ctx, first)
	if err != nil {
		return err
	}
	index := strings.Join(first.SessionIndexes, " ")
	var d idp.LogoutDecision
	if remote {
		d = logoutscope.JudgeRemote(first, sessions)
	} else {
		d = logoutscope.Judge(first, sessions, nil)
	}
	switch {
	case remote && first.IndexUser != "":
		r.note("NameID", name, "not looked at: the SessionIndex is the UUID of a user")
		r.noteEndedSessions("SessionIndex", index, d)
	case first.User == "":
		s.noteUnknownName(r, q, name)
	case !remote && len(d.SessionIDs) == 0 && len(first.SessionIndexes) > 0 && !first.UUIDIndex && first.Status != saml.StatusSuccess:
		r.note("NameID", name, "a user whom the service provider knows")
		r.warnAboutBrowser("SessionIndex", index, "it names no session of this user that is left")
	case index != "":
		r.note("NameID", name, "a user whom the service provider knows")
		r.noteEndedSessions("SessionIndex", index, d)
	default:
		r.noteEndedSessions("NameID", name, d)
	}
	return nil
}

// listSessions returns the sessions on which the decision is based.
func (s *Service) listSessions(ctx context.Context, first *idp.LogoutRequest) (all []*idp.Session, err error) {
	for i, user := range []idp.UserID{first.User, first.IndexUser} {
		if user == "" || i == 1 && user == first.User {
			continue
		}
		list, err := s.Users.Sessions(ctx, idp.SessionQuery{User: user})
		if err != nil {
			return nil, fmt.Errorf("look up sessions: %w", err)
		}
		all = append(all, list...)
	}
	return all, nil
}

// noteEndedSessions records the sessions that a request would end.
func (r *Report) noteEndedSessions(field, seen string, d idp.LogoutDecision) {
	note := "no session is left that it names"
	if n := len(d.SessionIDs); n > 0 {
		note = fmt.Sprintf("it ends %d of the user's sessions", n)
	}
	if d.StatusDetail != "" {
		note += "; the answer says PartialLogout, because other service providers took part"
	}
	r.add(Check{Field: field, Outcome: OutcomeOK, Seen: seen, Note: note, Status: d.Status})
}

// warnAboutBrowser records a name or index whose answer depends on the browser's user.
func (r *Report) warnAboutBrowser(field, seen, why string) {
	r.Unknown = true
	r.add(Check{
		Field: field, Outcome: OutcomeWarning, Seen: seen, Status: saml.StatusUnknownPrincipal,
		Note: why + ": the answer is UnknownPrincipal in a browser that is signed in here, and Success in one that is not",
	})
}

// noteUnknownName records a NameID that the service provider was never sent.
func (s *Service) noteUnknownName(r *Report, q *inbound.Request, name string) {
	const why = "no user was disclosed to this service provider under it"
	if q.Kind == inbound.RemoteLogoutRequest {
		r.add(Check{Field: "NameID", Outcome: OutcomeRefused, Seen: name, Status: saml.StatusUnknownPrincipal, Note: why + ": the answer is UnknownPrincipal"})
	} else {
		r.warnAboutBrowser("NameID", name, why)
	}
	switch {
	case name == string(s.IdP.EntityID()):
		r.addHint("this is the entity ID of this identity provider, which toolkits write where no name is given: keep the NameID of the assertion with the session, and give it to the logout")
	case name == string(r.SP):
		r.addHint("this is the entity ID of the service provider: send the NameID of the assertion")
	case strings.Contains(name, "@") && !q.Provider.AllowsNameIDFormat(idp.NameIDFormatEmail):
		r.addHint("this is an email address, and the service provider is given UUIDs: send the NameID of the assertion, not the attribute email")
	case strings.TrimSpace(name) != name || strings.ToLower(name) != name && !strings.Contains(name, "@"):
		r.addHint("upper case and white space count")
	}
}
