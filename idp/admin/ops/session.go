package ops

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/admin"
)

const (
	// sessionScan bounds the sessions that one command reads, so that it answers soon
	// however many there are. The caller continues from Next.
	sessionScan = 20_000
	// sessionPage bounds the sessions in one answer.
	sessionPage = 1000
	// sessionBatch bounds the sessions that one command ends: they end in one step of
	// the store, and no sign-in should wait long behind it.
	sessionBatch = 250
	// minShortID is the minimum length of a session ID's prefix that names the session.
	minShortID = 8
)

// SessionQuery selects the sessions that match all given fields. It never selects sessions that
// have ended and were not swept yet.
type SessionQuery struct {
	// ID is the short ID of a session, or its beginning.
	ID string `json:"id,omitempty"`
	// Email is an email address or the ID of the user.
	Email string `json:"email,omitempty"`
	// SP is a service provider that takes part in the session.
	SP idp.EntityID `json:"sp,omitempty"`
	// BegunBefore selects sessions that began before this time.
	BegunBefore time.Time `json:"begun_before,omitzero"`
	// After is Next of the previous answer; "" at the beginning.
	After idp.SessionID `json:"after,omitempty"`
}

// SessionList is the answer to session/list, by ID. Next is the start of the next page, or "" at
// the end.
type SessionList struct {
	Sessions []Session     `json:"sessions"`
	Next     idp.SessionID `json:"next,omitempty"`
}

// EndedSessions is the answer to session/end. Next is as in SessionList.
type EndedSessions struct {
	Ended int           `json:"ended"`
	Next  idp.SessionID `json:"next,omitempty"`
}

// Session is one session as operators see it.
type Session struct {
	// ID is the short session ID, which names the session in commands.
	ID   string     `json:"id"`
	User idp.UserID `json:"user"`
	// Email is the user's first email address. It is absent if the user has no record.
	Email string `json:"email,omitempty"`
	// Pending is a sign-in that waits for its second factor.
	Pending bool      `json:"pending"`
	BegunAt time.Time `json:"begun_at"`
	SeenAt  time.Time `json:"seen_at"`
	// EndsAt is when it ends if it is not used again.
	EndsAt time.Time      `json:"ends_at"`
	Device idp.Device     `json:"device"`
	SPs    []idp.EntityID `json:"sps"`
}

// ListSessions returns a page of sessions.
var ListSessions = declare("session/list", func(s *Service, ctx context.Context, _ admin.Caller, q SessionQuery) (SessionList, error) {
	sessions, next, err := s.findSessions(ctx, q, sessionPage)
	if err != nil {
		return SessionList{}, err
	}
	answer := SessionList{Sessions: []Session{}, Next: next}
	emails := map[idp.UserID]string{}
	for _, sess := range sessions {
		info := describeSession(sess)
		if info.Email, err = s.lookupEmail(ctx, emails, sess.User); err != nil {
			return SessionList{}, err
		}
		answer.Sessions = append(answer.Sessions, info)
	}
	return answer, nil
})

// EndSessions ends some of the selected sessions.
var EndSessions = declare("session/end", func(s *Service, ctx context.Context, caller admin.Caller, q SessionQuery) (EndedSessions, error) {
	var answer EndedSessions
	for {
		sessions, next, err := s.findSessions(ctx, q, sessionBatch)
		answer.Next = next
		if err != nil || len(sessions) == 0 {
			return answer, err
		}
		n, err := s.endSessions(ctx, caller, q, sessions)
		answer.Ended += n
		// A missing session has ended, or has just become another one because its second
		// factor was proved. The next round ends that one too.
		if err != nil || n == len(sessions) || q.ID != "" {
			return answer, err
		}
	}
})

func (s *Service) endSessions(ctx context.Context, caller admin.Caller, q SessionQuery, sessions []*idp.Session) (int, error) {
	var ids []idp.SessionID
	var events []idp.AuditEvent
	for _, sess := range sessions {
		ids = append(ids, sess.ID)
		events = append(events, idp.AuditEvent{
			Kind: idp.AuditSessionEnd, Outcome: "ok", Actor: caller.Actor(), User: sess.User, SP: q.SP,
			Detail: map[string]string{"session": sess.ID.ShortID()},
		})
	}
	n, err := s.Store.EndSessions(ctx, idp.SessionEnd{IDs: ids}, events...)
	if err != nil {
		return 0, fmt.Errorf("end sessions: %w", err)
	}
	return n, nil
}

// findSessions returns up to limit sessions that the query selects, and the start of the next page.
func (s *Service) findSessions(ctx context.Context, q SessionQuery, limit int) (sessions []*idp.Session, next idp.SessionID, err error) {
	user, err := s.findUser(ctx, q)
	if err != nil {
		return nil, "", err
	}
	switch {
	case q.ID != "":
		sessions, err = s.findSessionByShortID(ctx, q.ID)
		sessions = s.filterSessions(q, user, sessions)
		if err == nil && len(sessions) == 0 {
			err = newNotFoundError("no live session has the ID %q", q.ID)
		}
		return sessions, "", err
	case user != "":
		if sessions, err = s.Store.Sessions(ctx, idp.SessionQuery{User: user}); err != nil {
			return nil, "", fmt.Errorf("list sessions: %w", err)
		}
		sessions = s.filterSessions(q, user, sessions)
		// The sessions of a single user are few and in another order, so they need no next
		// page.
		return sessions, "", nil
	}
	next = q.After
	for range sessionScan / sessionBatch {
		page, err := s.Store.Sessions(ctx, idp.SessionQuery{After: next, Limit: sessionBatch})
		if err != nil {
			return nil, "", fmt.Errorf("list sessions: %w", err)
		}
		sessions = append(sessions, s.filterSessions(q, "", page)...)
		if len(page) < sessionBatch {
			return sessions, "", nil
		}
		next = page[len(page)-1].ID
		if len(sessions)+sessionBatch > limit {
			break // the next part might not fit
		}
	}
	return sessions, next, nil
}

// findUser returns the user that the query names, "" if it names none.
func (s *Service) findUser(ctx context.Context, q SessionQuery) (idp.UserID, error) {
	if q.Email == "" {
		return "", nil
	}
	email, err := s.resolveEmail(ctx, q.Email)
	if err != nil {
		return "", err
	}
	u, err := s.Accounts.Lookup(ctx, email)
	if err != nil {
		return "", userError(email, err)
	}
	return u.ID, nil
}

// filterSessions returns the sessions that the query selects.
func (s *Service) filterSessions(q SessionQuery, user idp.UserID, sessions []*idp.Session) (matches []*idp.Session) {
	now := s.Clock.Now()
	for _, sess := range sessions {
		if now.Before(sess.EndsAt()) && (user == "" || sess.User == user) && (q.SP == "" || takesPart(sess, q.SP)) &&
			(q.BegunBefore.IsZero() || sess.CreatedAt.Before(q.BegunBefore)) {
			matches = append(matches, sess)
		}
	}
	return matches
}

func takesPart(sess *idp.Session, id idp.EntityID) bool {
	return slices.ContainsFunc(sess.Participants, func(p idp.Participant) bool { return p.SP == id })
}

// findSessionByShortID returns the session whose ID begins with shortID.
func (s *Service) findSessionByShortID(ctx context.Context, shortID string) ([]*idp.Session, error) {
	shortID = strings.ToLower(shortID)
	if len(shortID) < minShortID || strings.Trim(shortID, "0123456789abcdef") != "" {
		return nil, &admin.Error{Code: admin.CodeBadRequest, Message: fmt.Sprintf("%q is not a session ID: give at least its first %d hexadecimal digits", shortID, minShortID)}
	}
	sessions, err := s.Store.Sessions(ctx, idp.SessionQuery{After: idp.SessionID(shortID), Limit: 2})
	if err != nil {
		return nil, fmt.Errorf("find session: %w", err)
	}
	if len(sessions) == 2 && strings.HasPrefix(string(sessions[1].ID), shortID) {
		return nil, &admin.Error{Code: admin.CodeBadRequest, Message: fmt.Sprintf("several session IDs begin with %q: give more digits", shortID)}
	}
	if len(sessions) == 0 || !strings.HasPrefix(string(sessions[0].ID), shortID) {
		return nil, nil
	}
	return sessions[:1], nil
}

// lookupEmail returns a user's first email address.
func (s *Service) lookupEmail(ctx context.Context, emails map[idp.UserID]string, id idp.UserID) (string, error) {
	if email, ok := emails[id]; ok {
		return email, nil
	}
	u, err := s.Store.User(ctx, id)
	if errors.Is(err, idp.ErrNotFound) {
		emails[id] = "" // the user of a rehearsal
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("look up user of session: %w", err)
	}
	emails[id] = u.PrimaryEmail()
	return emails[id], nil
}

func describeSession(sess *idp.Session) Session {
	info := Session{
		ID: sess.ID.ShortID(), User: sess.User, Pending: sess.Pending,
		BegunAt: sess.CreatedAt, SeenAt: sess.SeenAt, EndsAt: sess.EndsAt(), Device: sess.Device, SPs: []idp.EntityID{},
	}
	for _, p := range sess.Participants {
		info.SPs = append(info.SPs, p.SP)
	}
	info.SPs = slices.Compact(info.SPs) // two NameIDs are adjacent
	return info
}
