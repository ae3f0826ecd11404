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
	found, next, err := s.findSessions(ctx, q, sessionPage)
	if err != nil {
		return SessionList{}, err
	}
	list := SessionList{Sessions: []Session{}, Next: next}
	emails := map[idp.UserID]string{}
	for _, sess := range found {
		info := describeSession(sess)
		if info.Email, err = s.lookupEmail(ctx, emails, sess.User); err != nil {
			return SessionList{}, err
		}
		list.Sessions = append(list.Sessions, info)
	}
	return list, nil
})

// EndSessions ends some of the selected sessions.
var EndSessions = declare("session/end", func(s *Service, ctx context.Context, by admin.Caller, q SessionQuery) (EndedSessions, error) {
	var answer EndedSessions
	for {
		found, next, err := s.findSessions(ctx, q, sessionBatch)
		answer.Next = next
		if err != nil || len(found) == 0 {
			return answer, err
		}
		n, err := s.endSessions(ctx, by, q, found)
		answer.Ended += n
		// A missing session has ended, or has just become another one because its second
		// factor was proved. The next round ends that one too.
		if err != nil || n == len(found) || q.ID != "" {
			return answer, err
		}
	}
})

func (s *Service) endSessions(ctx context.Context, by admin.Caller, q SessionQuery, found []*idp.Session) (int, error) {
	var ids []idp.SessionID
	var events []idp.AuditEvent
	for _, sess := range found {
		ids = append(ids, sess.ID)
		events = append(events, idp.AuditEvent{
			Kind: idp.AuditSessionEnd, Outcome: "ok", Actor: by.Actor(), User: sess.User, SP: q.SP,
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
func (s *Service) findSessions(ctx context.Context, q SessionQuery, limit int) (found []*idp.Session, next idp.SessionID, err error) {
	user, err := s.findUser(ctx, q)
	if err != nil {
		return nil, "", err
	}
	switch {
	case q.ID != "":
		found, err = s.findSessionByShortID(ctx, q.ID)
		found = s.filterSessions(q, user, found)
		if err == nil && len(found) == 0 {
			err = notFoundError("no live session %q", q.ID)
		}
		return found, "", err
	case user != "":
		if found, err = s.Store.Sessions(ctx, idp.SessionQuery{User: user}); err != nil {
			return nil, "", fmt.Errorf("list sessions: %w", err)
		}
		found = s.filterSessions(q, user, found)
		// The sessions of a single user are few and in another order, so they need no next
		// page.
		return found, "", nil
	}
	next = q.After
	for range sessionScan / sessionBatch {
		part, err := s.Store.Sessions(ctx, idp.SessionQuery{After: next, Limit: sessionBatch})
		if err != nil {
			return nil, "", fmt.Errorf("list sessions: %w", err)
		}
		found = append(found, s.filterSessions(q, "", part)...)
		if len(part) < sessionBatch {
			return found, "", nil
		}
		next = part[len(part)-1].ID
		if len(found)+sessionBatch > limit {
			break // the next part might not fit
		}
	}
	return found, next, nil
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
func (s *Service) filterSessions(q SessionQuery, user idp.UserID, all []*idp.Session) (found []*idp.Session) {
	now := s.Clock.Now()
	for _, sess := range all {
		if now.Before(sess.EndsAt()) && (user == "" || sess.User == user) && (q.SP == "" || takesPart(sess, q.SP)) &&
			(q.BegunBefore.IsZero() || sess.CreatedAt.Before(q.BegunBefore)) {
			found = append(found, sess)
		}
	}
	return found
}

func takesPart(sess *idp.Session, id idp.EntityID) bool {
	return slices.ContainsFunc(sess.Participants, func(p idp.Participant) bool { return p.SP == id })
}

// findSessionByShortID returns the session whose ID begins with short.
func (s *Service) findSessionByShortID(ctx context.Context, short string) ([]*idp.Session, error) {
	short = strings.ToLower(short)
	if len(short) < minShortID || strings.Trim(short, "0123456789abcdef") != "" {
		return nil, &admin.Error{Code: admin.CodeBadRequest, Message: fmt.Sprintf("a session is named by its ID as listed, or by the first %d digits of it or more", minShortID)}
	}
	found, err := s.Store.Sessions(ctx, idp.SessionQuery{After: idp.SessionID(short), Limit: 2})
	if err != nil {
		return nil, fmt.Errorf("find session: %w", err)
	}
	if len(found) == 2 && strings.HasPrefix(string(found[1].ID), short) {
		return nil, &admin.Error{Code: admin.CodeBadRequest, Message: fmt.Sprintf("more than one session begins with %q; give more of its ID", short)}
	}
	if len(found) == 0 || !strings.HasPrefix(string(found[0].ID), short) {
		return nil, nil
	}
	return found[:1], nil
}

// lookupEmail returns a user's first email address.
func (s *Service) lookupEmail(ctx context.Context, known map[idp.UserID]string, id idp.UserID) (string, error) {
	if email, ok := known[id]; ok {
		return email, nil
	}
	u, err := s.Store.User(ctx, id)
	if errors.Is(err, idp.ErrNotFound) {
		known[id] = "" // the user of a rehearsal
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("look up user of session: %w", err)
	}
	known[id] = u.PrimaryEmail()
	return known[id], nil
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
