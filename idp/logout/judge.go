package logout

import (
	"slices"

	"vernal/idp"
	"vernal/idp/saml"
)

// verdict is what a LogoutRequest comes to.
type verdict struct {
	status saml.Status
	// end says that the session ends.
	end bool
}

var (
	success = saml.Status{Code: saml.StatusSuccess}
	// partial is a success too: the session here has ended, and other SPs that
	// were told of it are not asked to end theirs (saml-core §3.2.2.2).
	partial   = saml.Status{Code: saml.StatusSuccess, Detail: saml.StatusPartialLogout}
	notTheirs = saml.Status{Code: saml.StatusRequester, Detail: saml.StatusUnknownPrincipal}
)

// judge is the one decision on the front channel: what becomes of this browser's
// session, and what is the SP told? It is pure. A nil session means that nobody
// is signed in, which is what the SP asked for.
//
// The session ends only if it is that of the person whom the request names and,
// where the request names sessions, if one of them is this one. Anything else
// leaves it alone: a request that is meant for another session, however well
// signed, must not end the one that happens to be here.
//
// An SP need not have been visited in this session, if it names the person and no
// session. Who asks is the person, in this browser: they sign out at an SP whose
// session has outlived the one here that it came from, and must not stay signed
// in without knowing. A request without SessionIndex means all sessions of the
// person (saml-core §3.7.3); of these we end the one before us. The SP gains
// nothing by it that a passive AuthnRequest would not give it first.
func judge(req *idp.LogoutRequest, s *idp.Session) verdict {
	switch {
	case s == nil:
		return verdict{status: success}
	case req.User == "" || s.User != req.User:
		return verdict{status: notTheirs}
	case len(req.SessionIndexes) > 0 && !s.Told(req.SP, req.SessionIndexes):
		return verdict{status: notTheirs}
	}
	if len(others(s, req.SP)) > 0 {
		return verdict{status: partial, end: true}
	}
	return verdict{status: success, end: true}
}

// others are the SPs besides this one that were told of the session.
func others(s *idp.Session, provider idp.EntityID) (all []idp.EntityID) {
	for _, p := range s.Participants {
		if p.SP != provider && !slices.Contains(all, p.SP) {
			all = append(all, p.SP)
		}
	}
	return all
}

// indexes are all by which an SP was told of the session.
func indexes(s *idp.Session, provider idp.EntityID) (all []string) {
	for _, p := range s.Participants {
		if p.SP == provider {
			all = append(all, p.SessionIndexes...)
		}
	}
	return all
}
