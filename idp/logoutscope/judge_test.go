package logoutscope

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/saml"
)

const thisSP, otherSP = "https://sp.example", "https://other.example"

var received = time.Date(2031, 4, 1, 9, 0, 0, 0, time.UTC)

// live returns a session that began the given number of seconds after the message arrived. The
// SPs take part under the index "i-" plus its ID.
func live(id, user string, seconds int, sps ...idp.EntityID) *idp.Session {
	s := &idp.Session{ID: idp.SessionID(id), User: idp.UserID(user), CreatedAt: received.Add(time.Duration(seconds) * time.Second)}
	for _, sp := range sps {
		s.Participants = append(s.Participants, idp.Participant{SP: sp, SessionIndexes: []string{"i-" + id}})
	}
	return s
}

func message(user string, indexes ...string) *idp.LogoutRequest {
	return &idp.LogoutRequest{SP: thisSP, User: idp.UserID(user), SessionIndexes: indexes, ReceivedAt: received}
}

func uuidOf(user string, r *idp.LogoutRequest) *idp.LogoutRequest {
	r.UUIDIndex = r.User == idp.UserID(user)
	if len(r.SessionIndexes) == 1 {
		r.IndexUser = idp.UserID(user)
	}
	return r
}

func after(status saml.Status, r *idp.LogoutRequest) *idp.LogoutRequest {
	r.AnsweredAt, r.Status, r.StatusDetail = received, status.Code, status.Detail
	return r
}

// Each row is one message, on the front channel in the browser of session own ("" without
// one), and on the back channel.
func TestJudgeChoosesSessionsToEnd(t *testing.T) {
	t.Parallel()
	a, b := live("a", "u", -20, thisSP), live("b", "u", -10, thisSP, otherSP)
	c, d := live("c", "u", -5, otherSP), live("d", "u", 5, thisSP)
	pending := live("p", "u", -3, thisSP)
	pending.Pending = true
	carried := live("e", "u", 5, thisSP) // replaced a, with its index
	carried.Participants[0].SessionIndexes = []string{"i-a"}
	stepped := live("f", "u", 5, thisSP, otherSP)
	stepped.BegunAt = received.Add(-time.Minute)
	tie := live("g", "u", 0, thisSP)
	v := live("v", "v", -10, thisSP)
	all := []*idp.Session{a, b, c, d, pending}

	tests := []struct {
		name     string
		first    *idp.LogoutRequest
		sessions []*idp.Session
		own      *idp.Session
		front    idp.LogoutDecision
		remote   idp.LogoutDecision
	}{
		{"one index, own", message("u", "i-a"), all, a, decided(statusSuccess, "a"), decided(statusSuccess, "a")},
		{"one index, another of the user's", message("u", "i-b"), all, a, decided(statusPartial, "b"), decided(statusSuccess, "b")},
		{"one index, without a session", message("u", "i-a"), all, nil, decided(statusSuccess, "a"), decided(statusSuccess, "a")},
		{"one index, another user's browser", message("u", "i-a"), all, v, decided(statusUnknown), decided(statusSuccess, "a")},
		{"two indexes", message("u", "i-a", "i-b", "x"), all, c, decided(statusPartial, "a", "b"), decided(statusSuccess, "a", "b")},
		{"an index of another SP's", message("u", "i-c"), all, c, decided(statusUnknown), decided(statusSuccess)},
		{"an index that is not ours", message("u", "x"), all, a, decided(statusUnknown), decided(statusSuccess)},
		{"an index that is not ours, without a session", message("u", "x"), all, nil, decided(statusSuccess), decided(statusSuccess)},
		{"an index of a session that is newer, own", message("u", "i-d"), all, d, decided(statusSuccess), decided(statusSuccess)},
		{"an index of a session that is newer, not own", message("u", "i-d"), all, a, decided(statusUnknown), decided(statusSuccess)},
		{"an index that a newer session took over, own", message("u", "i-a"), []*idp.Session{carried}, carried, decided(statusSuccess), decided(statusSuccess)},
		{"an index of a pending session", message("u", "i-p"), all, nil, decided(statusSuccess), decided(statusSuccess)},

		{"no index, own", message("u"), all, a, decided(statusPartial, "a", "b"), decided(statusSuccess, "a", "b")},
		{"no index, own without the SP", message("u"), all, c, decided(statusPartial, "a", "b", "c"), decided(statusSuccess, "a", "b")},
		{"no index, own newer", message("u"), all, d, decided(statusPartial, "a", "b"), decided(statusSuccess, "a", "b")},
		{"no index, without a session", message("u"), all, nil, decided(statusPartial, "a", "b"), decided(statusSuccess, "a", "b")},
		{"no index, nothing left but newer, own", message("u"), []*idp.Session{d}, d, decided(statusSuccess), decided(statusSuccess)},
		{"no index, nothing left", message("u"), nil, nil, decided(statusSuccess), decided(statusSuccess)},
		{"no index, the SP in none", message("u"), []*idp.Session{c}, nil, decided(statusSuccess), decided(statusSuccess)},
		{"no index, own ended meanwhile", message("u"), nil, a, decided(statusSuccess), decided(statusSuccess)},
		{"no index, another user's browser", message("u"), all, v, decided(statusUnknown), decided(statusSuccess, "a", "b")},

		{"own stepped up", message("u", "i-f"), []*idp.Session{stepped}, stepped, decided(statusPartial, "f"), decided(statusSuccess, "f")},
		{"own stepped up meanwhile", message("u"), []*idp.Session{stepped}, &idp.Session{ID: "before", User: "u", CreatedAt: stepped.BegunAt}, decided(statusPartial, "f"), decided(statusSuccess, "f")},
		{"begun at the same instant", message("u"), []*idp.Session{tie}, nil, decided(statusSuccess, "g"), decided(statusSuccess, "g")},

		{"UUID", uuidOf("u", message("u", "uuid")), all, c, decided(statusPartial, "a", "b", "c"), decided(statusSuccess, "a", "b")},
		{"UUID beside an index", uuidOf("u", message("u", "uuid", "i-a")), all, nil, decided(statusPartial, "a", "b"), decided(statusSuccess, "a", "b")},
		{"another user's UUID", uuidOf("v", message("u", "uuid")), append([]*idp.Session{v}, all...), a, decided(statusUnknown), decided(statusSuccess, "v")},
		{"another user's UUID beside an index", uuidOf("v", message("u", "uuid", "i-a")), append([]*idp.Session{v}, all...), a, decided(statusSuccess, "a"), decided(statusSuccess, "a")},
		{"UUID and no known name", uuidOf("v", message("", "uuid")), []*idp.Session{v}, v, decided(statusUnknown), decided(statusSuccess, "v")},
		{"UUID and no known name, without a session", uuidOf("v", message("", "uuid")), []*idp.Session{v}, nil, decided(statusSuccess), decided(statusSuccess, "v")},

		{"unknown", message("", "i-v"), nil, v, decided(statusUnknown), decided(statusUnknown)},
		{"unknown, without a session", message(""), nil, nil, decided(statusSuccess), decided(statusUnknown)},

		{"again after a refusal", after(statusUnknown, message("u", "i-a")), all, a, decided(statusSuccess, "a"), decided(statusSuccess, "a")},
		{"again after Success, what is left", after(statusSuccess, message("u")), []*idp.Session{a, d}, d, decided(statusSuccess, "a"), decided(statusSuccess, "a")},
		{"again after Success, newer own", after(statusPartial, message("u", "i-d")), all, d, decided(statusPartial), decided(statusSuccess)},
		{"again after Success, not this one", after(statusSuccess, message("u", "x")), all, a, decided(statusSuccess), decided(statusSuccess)},
		{"again after Success, another user's browser", after(statusSuccess, message("u", "i-a")), all, v, decided(statusUnknown), decided(statusSuccess, "a")},
		{"again after a refusal, not this one", after(statusUnknown, message("u", "x")), all, a, decided(statusUnknown), decided(statusSuccess)},
		{"again after a refusal, without a session", after(statusUnknown, message("u", "x")), all, nil, decided(statusSuccess), decided(statusSuccess)},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.front, Judge(tt.first, tt.sessions, tt.own)); diff != "" {
			t.Errorf("%s, front channel (-want +got):\n%s", tt.name, diff)
		}
		if diff := cmp.Diff(tt.remote, JudgeRemote(tt.first, tt.sessions)); diff != "" {
			t.Errorf("%s, back channel (-want +got):\n%s", tt.name, diff)
		}
	}
}

func decided(status saml.Status, end ...idp.SessionID) idp.LogoutDecision {
	return idp.LogoutDecision{Status: status.Code, StatusDetail: status.Detail, SessionIDs: end}
}
