package inspect

import (
	"context"
	"fmt"
	"strings"

	"vernal/idp"
	"vernal/idp/logoutscope"
	"vernal/idp/saml"
	"vernal/idp/sp"
)

// logoutSubject is what is needed to find whom a LogoutRequest names.
type logoutSubject struct {
	p      *sp.Provider
	req    *saml.LogoutRequest
	before *idp.LogoutRequest // the same message as it came first
	remote bool
}

// judgeLogout looks up whom a request names and what it would end, by the rules of the
// server. Nothing ends. By the front channel the answer depends on who is signed in
// in the browser, which no message says: then there is a warning.
func (s *Service) judgeLogout(ctx context.Context, r *Report, n logoutSubject) error {
	name := n.req.NameID.Value
	if s.Users == nil || n.p == nil {
		r.Unknown = true
		r.Checks = append(r.Checks, Check{Field: "NameID", Outcome: Skipped, Seen: name, Note: "there is no store to ask whom it names"})
		return nil
	}
	first := &idp.LogoutRequest{SP: n.p.EntityID, MessageID: n.req.ID, SessionIndexes: n.req.SessionIndexes, ReceivedAt: r.At}
	if err := logoutscope.Find(ctx, s.Users, n.p, first, n.req.NameID); err != nil {
		return err
	}
	if n.before != nil {
		first = n.before // the content that came first counts
	}
	sessions, err := s.sessionsOf(ctx, first)
	if err != nil {
		return err
	}
	index := strings.Join(first.SessionIndexes, " ")
	var d idp.LogoutDecision
	if n.remote {
		d = logoutscope.JudgeRemote(first, sessions)
	} else {
		d = logoutscope.Judge(first, sessions, nil)
	}
	switch {
	case n.remote && first.IndexUser != "":
		r.Checks = append(r.Checks, Check{Field: "NameID", Outcome: OK, Seen: name, Note: "not looked at: the SessionIndex is the UUID of a user"})
		r.ends("SessionIndex", index, d)
	case first.User == "":
		r.unknownName(s, n, name)
	case !n.remote && len(d.End) == 0 && len(first.SessionIndexes) > 0 && !first.UUIDIndex && !answeredSuccess(first):
		r.Checks = append(r.Checks, Check{Field: "NameID", Outcome: OK, Seen: name, Note: "a user whom the service provider knows"})
		r.dependsOnBrowser("SessionIndex", index, "it names no session of this user that is left")
	case index != "":
		r.Checks = append(r.Checks, Check{Field: "NameID", Outcome: OK, Seen: name, Note: "a user whom the service provider knows"})
		r.ends("SessionIndex", index, d)
	default:
		r.ends("NameID", name, d)
	}
	return nil
}

// sessionsOf are the sessions that the decision is given.
func (s *Service) sessionsOf(ctx context.Context, first *idp.LogoutRequest) (all []*idp.Session, err error) {
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

func answeredSuccess(first *idp.LogoutRequest) bool { return first.Status == saml.StatusSuccess }

// ends notes what a request would end.
func (r *Report) ends(field, seen string, d idp.LogoutDecision) {
	note := "no session is left that it names"
	if n := len(d.End); n > 0 {
		note = fmt.Sprintf("it ends %d of the user's sessions", n)
	}
	if d.StatusDetail != "" {
		note += "; the answer says PartialLogout, because other service providers took part"
	}
	r.Checks = append(r.Checks, Check{Field: field, Outcome: OK, Seen: seen, Note: note, Status: d.Status})
}

// dependsOnBrowser notes a name or index that is answered by who is signed in.
func (r *Report) dependsOnBrowser(field, seen, why string) {
	r.Unknown = true
	r.Checks = append(r.Checks, Check{
		Field: field, Outcome: Warned, Seen: seen, Status: saml.StatusUnknownPrincipal,
		Note: why + ": the answer is UnknownPrincipal in a browser that is signed in here, and Success in one that is not",
	})
}

// unknownName notes a NameID that the service provider was never given.
func (r *Report) unknownName(s *Service, n logoutSubject, name string) {
	const why = "no user was disclosed to this service provider under it"
	if n.remote {
		r.Refused = true
		r.Checks = append(r.Checks, Check{Field: "NameID", Outcome: Refused, Seen: name, Status: saml.StatusUnknownPrincipal, Note: why + ": the answer is UnknownPrincipal"})
	} else {
		r.dependsOnBrowser("NameID", name, why)
	}
	switch {
	case name == string(s.IdP.EntityID()):
		r.hint("this is the entity ID of this identity provider, which toolkits write where no name is given: keep the NameID of the assertion with the session, and give it to the logout")
	case name == string(n.p.EntityID):
		r.hint("this is the entity ID of the service provider: send the NameID of the assertion")
	case strings.Contains(name, "@") && !n.p.AllowsNameIDFormat(idp.NameIDFormatEmail):
		r.hint("this is an email address, and the service provider is given UUIDs: send the NameID of the assertion, not the attribute email")
	case strings.TrimSpace(name) != name || strings.ToLower(name) != name && !strings.Contains(name, "@"):
		r.hint("upper case and white space count")
	}
}
