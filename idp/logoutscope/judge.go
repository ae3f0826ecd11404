package logoutscope

import (
	"slices"

	"vernal/idp"
	"vernal/idp/saml"
)

var (
	statusSuccess = saml.Status{Code: saml.StatusSuccess}
	// statusPartial is also a success: the sessions here ended, and other SPs that took part in them
	// are not asked to end theirs (saml-core §3.2.2.2).
	statusPartial = saml.Status{Code: saml.StatusSuccess, Detail: saml.StatusPartialLogout}
	statusUnknown = saml.Status{Code: saml.StatusRequester, Detail: saml.StatusUnknownPrincipal}
)

// Judge decides, for the front channel, which sessions end, and the answer to the SP. It has no
// side effects. first is the message as it was first received, sessions are the stored ones of its
// user, and s is the browser's own or nil.
//
// Success is a statement about the sessions that the message names: they ended or never existed. So
// all of them end, whichever browser carries the message and however often it arrived before. A
// link scanner, a proxy or a second browser must not use up the user's request. Unless another
// session is in the way, Success is the only answer.
//
// In a browser with another signed-in user, no session ends, and the SP learns that its user is not
// here.
//
// A message without a SessionIndex names the browser's own session even if the SP takes no part in
// it. The user asks in this browser, at an SP whose session has outlived the one here that it came
// from. That user must not stay signed in without knowing. The SP learns nothing from it that a
// passive AuthnRequest would not disclose first.
func Judge(first *idp.LogoutRequest, sessions []*idp.Session, s *idp.Session) idp.LogoutDecision {
	if s != nil && (first.User == "" || s.User != first.User) {
		return newDecision(statusUnknown, nil)
	}
	sessions = filterSessions(sessions, first.User)
	ownSession := FindCurrent(sessions, s)
	namesEvery := first.AppliesToEverySession()
	var endedSessions []*idp.Session
	for _, x := range sessions {
		if isBegunBefore(x, first) && (isDisclosed(x, first, namesEvery) || namesEvery && x == ownSession) {
			endedSessions = append(endedSessions, x)
		}
	}
	switch {
	case slices.ContainsFunc(endedSessions, func(x *idp.Session) bool { return len(ListOthers(x, first.SP)) > 0 }):
		return newDecision(statusPartial, endedSessions)
	case len(endedSessions) > 0:
		return newDecision(statusSuccess, endedSessions)
	case first.Status == saml.StatusSuccess:
		return idp.LogoutDecision{Status: first.Status, StatusDetail: first.StatusDetail}
	case ownSession != nil && !namesEvery && !isDisclosed(ownSession, first, namesEvery):
		return newDecision(statusUnknown, nil) // the message names another session than this one
	}
	// No user is signed in here, or the user signed in again since: the session that the
	// message named has ended.
	return newDecision(statusSuccess, nil)
}

// JudgeRemote is Judge for the back channel, which has no browser. A UUID that is the only
// SessionIndex names the user, and the NameID is then ignored. An SP that knows the user gets
// Success even if no session is left.
func JudgeRemote(first *idp.LogoutRequest, sessions []*idp.Session) idp.LogoutDecision {
	user, namesEvery := first.User, first.AppliesToEverySession()
	if first.IndexUser != "" {
		user, namesEvery = first.IndexUser, true
	}
	if user == "" {
		return newDecision(statusUnknown, nil)
	}
	return newDecision(statusSuccess, slices.DeleteFunc(filterSessions(sessions, user), func(x *idp.Session) bool {
		return !isBegunBefore(x, first) || !isDisclosed(x, first, namesEvery)
	}))
}

func newDecision(status saml.Status, endedSessions []*idp.Session) idp.LogoutDecision {
	d := idp.LogoutDecision{Status: status.Code, StatusDetail: status.Detail}
	for _, x := range endedSessions {
		d.SessionIDs = append(d.SessionIDs, x.ID)
	}
	return d
}

// filterSessions returns the sessions of one user.
func filterSessions(sessions []*idp.Session, user idp.UserID) (list []*idp.Session) {
	for _, x := range sessions {
		if x.User == user {
			list = append(list, x)
		}
	}
	return list
}

// FindCurrent returns the present version of the browser's session s, or nil if it has ended. A
// step-up in another tab gives it another ID and keeps its beginning.
func FindCurrent(sessions []*idp.Session, s *idp.Session) *idp.Session {
	if s == nil {
		return nil
	}
	i := slices.IndexFunc(sessions, func(x *idp.Session) bool { return x.ID == s.ID })
	if i < 0 {
		i = slices.IndexFunc(sessions, func(x *idp.Session) bool { return x.User == s.User && x.SignedInAt().Equal(s.SignedInAt()) })
	}
	if i < 0 {
		return nil
	}
	return sessions[i]
}

// isBegunBefore reports whether the session began before the message was first received. A
// session of the same instant counts, because Success must not leave it out.
func isBegunBefore(x *idp.Session, first *idp.LogoutRequest) bool {
	return !x.Pending && !x.SignedInAt().After(first.ReceivedAt)
}

// isDisclosed reports whether the message's SP takes part in the session, under one of the
// message's indexes unless it names every session.
func isDisclosed(x *idp.Session, first *idp.LogoutRequest, namesEvery bool) bool {
	if namesEvery {
		return x.IsDisclosedTo(first.SP, nil)
	}
	return x.IsDisclosedTo(first.SP, first.SessionIndexes)
}

// ListOthers returns the other SPs that take part in the session.
func ListOthers(s *idp.Session, provider idp.EntityID) (others []idp.EntityID) {
	for _, p := range s.Participants {
		if p.SP != provider && !slices.Contains(others, p.SP) {
			others = append(others, p.SP)
		}
	}
	return others
}
