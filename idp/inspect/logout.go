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
func (s *Service) checkLogout(ctx context.Context, r *Report, request *inbound.Request, root *xmltree.Element) error {
	record, err := s.lookupEarlier(ctx, r, request.Logout.ID)
	if err != nil {
		return err
	}
	isReadable, err := s.openName(r, request, root)
	if err != nil || !isReadable {
		return err
	}
	return s.judgeLogout(ctx, r, request, record)
}

// isRemote reports whether a LogoutRequest came by the back channel. The endpoint decides, and
// the Destination only if the endpoint is unknown.
func (source input) isRemote(destination string) bool {
	m := yearEndpoint.FindStringSubmatch(destination)
	return source.isSOAP || source.endpoint == "remotelogout" || source.endpoint == "" && m != nil && m[1] == "remotelogout"
}

// openName decrypts the name of a LogoutRequest with the key of its year, as the server does,
// only after the signature was verified. It reports whether a name is readable.
func (s *Service) openName(r *Report, request *inbound.Request, root *xmltree.Element) (bool, error) {
	if !request.Logout.IsEncrypted() {
		return true, nil
	}
	const field = "EncryptedID"
	seen, recipients := describeEncryption(root.Child(saml.NamespaceAssertion, field))
	switch {
	case s.Years == nil:
		r.add(Check{Field: field, Outcome: OutcomeSkipped, Seen: seen, Note: "our private keys are required to decrypt it, and none is available"})
		return false, nil
	case request.Cert == nil:
		r.add(Check{Field: field, Outcome: OutcomeSkipped, Seen: seen, Note: "it is decrypted only if the signature of the message is valid"})
		return false, nil
	}
	err := request.OpenName(s.findSigner(r))
	if err == nil {
		r.note(field, seen, "decrypted with our key of "+string(r.Year))
		return true, nil
	}
	if err := r.noteRefused(field, err); err != nil {
		return false, err
	}
	r.Checks[len(r.Checks)-1].Seen = seen
	r.addHint(s.describeNameKeys(r, *request.Logout, recipients)...)
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
func (s *Service) describeNameKeys(r *Report, req saml.LogoutRequest, recipients []*x509.Certificate) (hints []string) {
	for _, e := range s.Years.All(r.AssumedAt) {
		year := e.Year()
		if attempt := req; year != r.Year && attempt.Open(e.Key.Signer) == nil {
			hints = append(hints, "our key of "+string(year)+" decrypts it: encrypt it to our certificate of "+string(r.Year)+", or send the message to the URL of "+string(year))
		}
		if year == r.Year && e.Key.Signer == nil {
			hints = append(hints, "the private key of "+string(year)+" is missing")
		}
	}
	ourCerts, years := s.listOurCertificates(r.AssumedAt)
	for _, c := range recipients {
		owner := "a certificate that is not ours"
		for _, o := range ourCerts {
			if c.Equal(o) {
				owner = "our certificate of " + string(years[o])
			}
		}
		hints = append(hints, "the message says that it is encrypted to "+owner+": "+nameCertificate(c))
	}
	return hints
}

// judgeLogout looks up the user that a request names and the sessions that it would end, by
// the rules of the server. It ends no session. On the front channel the answer depends on
// the user who is signed in to the browser. No message contains that user, so it adds a warning.
func (s *Service) judgeLogout(ctx context.Context, r *Report, request *inbound.Request, record *idp.LogoutRequest) error {
	p, name, isRemote := request.Provider, request.Logout.NameID.Value, request.Kind == inbound.RemoteLogoutRequest
	if s.Users == nil || p == nil {
		r.Unknown = true
		r.add(Check{Field: "NameID", Outcome: OutcomeSkipped, Seen: name, Note: "no store is available to look up the user"})
		return nil
	}
	firstRequest := record // a repeated message is answered like the first one
	if firstRequest == nil {
		firstRequest = &idp.LogoutRequest{SP: p.EntityID, MessageID: request.Logout.ID, SessionIndexes: request.Logout.SessionIndexes, ReceivedAt: r.AssumedAt}
		if err := logoutscope.Find(ctx, s.Users, p, firstRequest, request.Logout.NameID); err != nil {
			return err
		}
	}
	sessions, err := s.listSessions(ctx, firstRequest)
	if err != nil {
		return err
	}
	index := strings.Join(firstRequest.SessionIndexes, " ")
	var d idp.LogoutDecision
	if isRemote {
		d = logoutscope.JudgeRemote(firstRequest, sessions)
	} else {
		d = logoutscope.Judge(firstRequest, sessions, nil)
	}
	switch {
	case isRemote && firstRequest.IndexUser != "":
		r.note("NameID", name, "not checked, because the SessionIndex is the UUID of a user")
		r.noteEndedSessions("SessionIndex", index, d)
	case firstRequest.User == "":
		s.noteUnknownName(r, request, name)
	case !isRemote && len(d.SessionIDs) == 0 && len(firstRequest.SessionIndexes) > 0 && !firstRequest.UUIDIndex && firstRequest.Status != saml.StatusSuccess:
		r.note("NameID", name, "a user that was disclosed to the service provider")
		r.warnAboutBrowser("SessionIndex", index, "it names no remaining session of this user")
	case index != "":
		r.note("NameID", name, "a user that was disclosed to the service provider")
		r.noteEndedSessions("SessionIndex", index, d)
	default:
		r.noteEndedSessions("NameID", name, d)
	}
	return nil
}

// listSessions returns the sessions on which the decision is based.
func (s *Service) listSessions(ctx context.Context, firstRequest *idp.LogoutRequest) (sessions []*idp.Session, err error) {
	for i, user := range []idp.UserID{firstRequest.User, firstRequest.IndexUser} {
		if user == "" || i == 1 && user == firstRequest.User {
			continue
		}
		list, err := s.Users.Sessions(ctx, idp.SessionQuery{User: user})
		if err != nil {
			return nil, fmt.Errorf("look up sessions of user %s: %w", user, err)
		}
		sessions = append(sessions, list...)
	}
	return sessions, nil
}

// noteEndedSessions records the sessions that a request would end.
func (r *Report) noteEndedSessions(field, seen string, d idp.LogoutDecision) {
	note := "it names no remaining session"
	if n := len(d.SessionIDs); n > 0 {
		note = fmt.Sprintf("it ends %d of the user's sessions", n)
	}
	if d.StatusDetail != "" {
		note += ". The answer is PartialLogout, because other service providers took part"
	}
	r.add(Check{Field: field, Outcome: OutcomeOK, Seen: seen, Note: note, Status: d.Status})
}

// warnAboutBrowser records a warning that the answer depends on the user of the browser.
func (r *Report) warnAboutBrowser(field, seen, reason string) {
	r.Unknown = true
	r.add(Check{
		Field: field, Outcome: OutcomeWarning, Seen: seen, Status: saml.StatusUnknownPrincipal,
		Note: reason + ": the answer is UnknownPrincipal in a browser that is signed in, and Success in any other browser",
	})
}

// noteUnknownName records a NameID that was never disclosed to the service provider.
func (s *Service) noteUnknownName(r *Report, request *inbound.Request, name string) {
	const reason = "no user was disclosed to this service provider under this NameID"
	if request.Kind == inbound.RemoteLogoutRequest {
		r.add(Check{Field: "NameID", Outcome: OutcomeRefused, Seen: name, Status: saml.StatusUnknownPrincipal, Note: reason + ": the answer is UnknownPrincipal"})
	} else {
		r.warnAboutBrowser("NameID", name, reason)
	}
	switch {
	case name == string(s.IdP.EntityID()):
		r.addHint("this is the entity ID of this identity provider, which toolkits send if they have no NameID: keep the NameID of the assertion with the session, and send it in the LogoutRequest")
	case name == string(r.SP):
		r.addHint("this is the entity ID of the service provider: send the NameID of the assertion")
	case strings.Contains(name, "@") && !request.Provider.AllowsNameIDFormat(idp.NameIDFormatEmail):
		r.addHint("this is an email address, but this service provider gets UUIDs: send the NameID of the assertion, not the attribute email")
	case strings.TrimSpace(name) != name || strings.ToLower(name) != name && !strings.Contains(name, "@"):
		r.addHint("the NameID differs in upper case or white space: send it exactly as in the assertion")
	}
}
