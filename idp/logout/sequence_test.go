package logout_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"vernal/idp"
	"vernal/idp/idptest"
)

// These types are the model of TestEveryLogoutSequenceMatchesModel: the facts that service
// providers and users know, independent of the server's records. Time in the model is a count
// of steps.
type (
	model struct {
		*modelDeployment
		browsers []*modelBrowser
		sessions []*modelSession // alive
		messages []*modelMessage
		seen     map[string]int // issued SessionIndexes and when
		step     int
	}
	modelUser struct {
		*idptest.User
		names []string // UUID by SP
	}
	modelBrowser struct {
		*idptest.Browser
		session *modelSession
	}
	modelSession struct {
		user    *modelUser
		began   int
		id      idp.SessionID
		indexes map[int]string // by SP that takes part
	}
	modelMessage struct {
		idptest.LogoutRequest
		sp int
		// user is the user that the NameID names, indexUser the one that a lone UUID names.
		// Both are nil for none. every is set if all sessions at the SP are named.
		user, indexUser *modelUser
		every           bool
		received        int // 0 if never
		answered        bool
		success         bool          // as recorded
		waits           *modelBrowser // browser that posted it last
		to              string        // URL of that browser's redirect
	}
)

// modelDeployment is shared by all sequences: a server with three SPs, two users whose NameIDs
// there are known, and a browser that is remembered for the first user, whose sign-ins there
// can be stepped up.
type modelDeployment struct {
	*idptest.IdP
	sps        []*idptest.Provider
	users      []*modelUser
	remembered *idptest.Browser
	counts     map[string]int
}

func newModelDeployment(t *testing.T) *modelDeployment {
	i := idptest.New(t, idptest.Options{Log: slog.DiscardHandler})
	w := &modelDeployment{IdP: i, counts: map[string]int{}, remembered: i.Browser()}
	for _, id := range []string{spA, spB, "https://c.example"} {
		w.sps = append(w.sps, i.AddProvider(id))
	}
	for _, email := range []string{"ada@example.gov", "bob@example.gov"} {
		u := &modelUser{User: i.AddUser(email)}
		names := map[idp.NameIDScope]idp.NameID{}
		for _, p := range w.sps {
			record, err := i.Registry.Lookup(t.Context(), idp.EntityID(p.EntityID))
			if err != nil {
				t.Fatal(err)
			}
			u.names = append(u.names, uuid.NewString())
			names[record.NameIDScope] = idp.NameID(u.names[len(u.names)-1])
		}
		errs, err := i.Store.ImportUsers(t.Context(), []idp.ImportedUser{{User: u.Record, AlreadyExists: true, NameIDs: names, Event: idp.AuditEvent{Kind: idp.AuditUserImport}}})
		if err != nil || errs[0] != nil {
			t.Fatal(err, errs)
		}
		w.users = append(w.users, u)
	}
	b, u := w.remembered, w.users[0]
	b.GiveCode(b.GivePassword(b.Get("/sign-in"), u.User), u.User, "remember")
	return w
}

// begin returns a model in which no user is signed in.
func (w *modelDeployment) begin(t *rapid.T) *model {
	m := &model{modelDeployment: w, seen: map[string]int{}}
	for _, u := range w.users {
		if _, err := w.Store.EndSessions(t.Context(), idp.SessionEnd{User: u.Record.ID}); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range []*idptest.Browser{w.remembered, w.Browser(), w.Browser()} {
		m.browsers = append(m.browsers, &modelBrowser{Browser: b})
	}
	return m
}

var indexOf = regexp.MustCompile(` SessionIndex="([^"]+)"`)

// signIn answers a request of the SP in the browser: from the session there if that is
// sufficient, or by completing the pages.
func (m *model) signIn(t *rapid.T, b *modelBrowser, u *modelUser, sp int, r idptest.Request) {
	if b.session != nil {
		u = b.session.user
	}
	before := b.Session()
	page := b.Get(m.sps[sp].URL(&r))
	asked := false
	if _, ok := page.Form().Fields["password"]; ok {
		page, asked = b.GivePassword(page, u.User), true
	}
	if _, ok := page.Form().Fields["code"]; ok {
		page = b.GiveCode(page, u.User)
	}
	found := indexOf.FindSubmatch(page.Response())
	if found == nil {
		t.Fatalf("no assertion, but %d %s:\n%s", page.Status, page.URL, page.Text())
	}
	index, after := string(found[1]), b.Session()
	switch old := b.session; {
	case asked: // a new session, which replaces the browser's
		m.remove(old)
		b.session = &modelSession{user: u, began: m.step, indexes: map[int]string{}}
		m.sessions = append(m.sessions, b.session)
		if old != nil {
			for sp, i := range old.indexes {
				b.session.indexes[sp] = i
			}
			m.counts["signed in again"]++
		}
	case before != after:
		m.counts["stepped up"]++
	default:
		m.counts["silent"]++
	}
	s := b.session
	s.id = idp.HashSessionToken(after)
	if had, ok := s.indexes[sp]; ok && had != index || !ok && m.seen[index] != 0 {
		t.Fatalf("SessionIndex %q, want %q in the same session and a new one in another", index, had)
	}
	s.indexes[sp] = index
	if m.seen[index] == 0 {
		m.seen[index] = len(m.seen) + 1
	}
}

func (m *model) remove(gone ...*modelSession) {
	m.sessions = slices.DeleteFunc(m.sessions, func(s *modelSession) bool { return slices.Contains(gone, s) })
	for _, b := range m.browsers {
		if slices.Contains(gone, b.session) {
			b.session = nil
		}
	}
}

// draw returns a random message of an SP.
func (m *model) draw(t *rapid.T) *modelMessage {
	x := &modelMessage{sp: rapid.IntRange(0, len(m.sps)-1).Draw(t, "SP")}
	x.ID, x.Destination, x.IssuedAt, x.Year = "_"+uuid.NewString(), "-", m.Clock.Now(), m.Year()
	m.fill(t, x)
	return x
}

// fill draws the user and the sessions that the message names: mostly a live session, as in
// real messages, or a similar name.
func (m *model) fill(t *rapid.T, x *modelMessage) {
	x.user, x.NameID, x.SessionIndexes = nil, "nobody", nil
	ours := []string{"_never"}
	for _, s := range m.sessions {
		if index, ok := s.indexes[x.sp]; ok {
			ours = append(ours, index)
		}
	}
	var seen []string // from any SP, also of ended sessions
	for index := range m.seen {
		seen = append(seen, index)
	}
	slices.SortFunc(seen, func(a, b string) int { return m.seen[a] - m.seen[b] })
	kind := rapid.SampledFrom([]string{"session", "session", "session", "all", "UUID", "any", "any"}).Draw(t, "kind")
	if len(m.sessions) > 0 && kind != "any" {
		s := rapid.SampledFrom(m.sessions).Draw(t, "session")
		x.user = s.user
		switch index, ok := s.indexes[x.sp]; {
		case kind == "session" && ok:
			x.SessionIndexes = []string{index}
		case kind == "UUID":
			x.SessionIndexes = []string{s.user.names[x.sp]}
		}
	} else {
		if n := rapid.IntRange(-1, len(m.users)-1).Draw(t, "user"); n >= 0 {
			x.user = m.users[n]
		}
		for range rapid.IntRange(0, 3).Draw(t, "indexes") {
			index := ""
			switch rapid.IntRange(0, 3).Draw(t, "index") {
			case 0:
				index = rapid.SampledFrom(ours).Draw(t, "of ours")
			case 1:
				index = rapid.SampledFrom(append(seen, "_never")).Draw(t, "of all")
			case 2:
				index = rapid.SampledFrom(m.users).Draw(t, "of").names[x.sp]
			default:
				index = rapid.SampledFrom(m.users).Draw(t, "of").names[(x.sp+1)%len(m.sps)]
			}
			if !slices.Contains(x.SessionIndexes, index) {
				x.SessionIndexes = append(x.SessionIndexes, index)
			}
		}
	}
	if x.user != nil {
		x.NameID = x.user.names[x.sp]
	}
	x.every, x.indexUser = len(x.SessionIndexes) == 0, nil
	for _, u := range m.users {
		if slices.Contains(x.SessionIndexes, u.names[x.sp]) {
			x.every = x.every || u == x.user
			if len(x.SessionIndexes) == 1 {
				x.indexUser = u
			}
		}
	}
}

// listNamed returns the live sessions that the message names when the browser brings it. b is nil
// for the back channel.
func (m *model) listNamed(x *modelMessage, b *modelBrowser) (all []*modelSession) {
	user, every := x.user, x.every
	if b == nil && x.indexUser != nil {
		user, every = x.indexUser, true
	}
	for _, s := range m.sessions {
		if user == nil || s.user != user || s.began > x.received {
			continue
		}
		index, takesPart := s.indexes[x.sp]
		if every && (takesPart || b != nil && b.session == s) || !every && takesPart && slices.Contains(x.SessionIndexes, index) {
			all = append(all, s)
		}
	}
	return all
}

// expect returns the sessions that the message must end and whether the answer must be
// Success.
func (m *model) expect(x *modelMessage, b *modelBrowser) (end []*modelSession, success bool) {
	if b == nil {
		known := x.user != nil || x.indexUser != nil
		return m.listNamed(x, nil), known
	}
	own := b.session
	if own != nil && own.user != x.user {
		return nil, false
	}
	if end = m.listNamed(x, b); len(end) > 0 || own == nil || x.success {
		return end, true
	}
	index, takesPart := own.indexes[x.sp]
	return nil, own.began > x.received && (x.every || takesPart && slices.Contains(x.SessionIndexes, index))
}

// checkAnswer checks an answer against the model. got is "" if there was no answer.
func (m *model) checkAnswer(t *rapid.T, x *modelMessage, b *modelBrowser, got, detail, text string) {
	end, success := m.expect(x, b)
	var left []*modelSession
	partial := false
	for _, s := range m.sessions {
		if !slices.Contains(end, s) {
			left = append(left, s)
			continue
		}
		for sp := range s.indexes {
			partial = partial || sp != x.sp
		}
	}
	m.checkStored(t, left)
	ownEnded := b != nil && slices.Contains(end, b.session)
	if want := map[bool]string{true: ok, false: requester}[success]; got != want {
		t.Fatalf("answered %q, want %q: ends %d sessions, message %+v\n%s", got, want, len(end), x, text)
	}
	if want := b != nil && partial; len(end) > 0 && (detail == partialLogout) != want || b == nil && success && detail != "" {
		t.Fatalf("detail %q, partial %v", detail, want)
	}
	for sp, p := range m.sps {
		if sp != x.sp && strings.Contains(text, "Test "+p.EntityID) && !ownEnded {
			t.Fatalf("a browser whose session did not end learns of %s:\n%s", p.EntityID, text)
		}
	}
	if b != nil && ownEnded != (b.session != nil && b.Session() == "") {
		t.Fatalf("own session ended: %v, cookie %q", ownEnded, b.Session())
	}
	if len(end) > 0 {
		m.counts["ended"] += len(end)
		if x.answered {
			m.counts["ended by a replay"]++
		}
		for _, s := range end {
			if b != nil && s != b.session {
				m.counts["ended from another browser"]++
			}
		}
	}
	m.counts[fmt.Sprintf("success=%v", success)]++
	if !x.answered || len(end) > 0 {
		x.answered, x.success = true, success
	}
	m.remove(end...)
}

// checkStored checks that the server has these sessions and no others.
func (m *model) checkStored(t *rapid.T, want []*modelSession) {
	var got, ids []string
	for _, u := range m.users {
		all, err := m.Store.Sessions(t.Context(), idp.SessionQuery{User: u.Record.ID})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			got = append(got, string(s.ID))
		}
	}
	for _, s := range want {
		ids = append(ids, string(s.id))
	}
	slices.Sort(got)
	slices.Sort(ids)
	if !slices.Equal(got, ids) {
		t.Fatalf("%d sessions are alive, want %d", len(got), len(ids))
	}
}

// deliver sends the message, which may have been sent before, and checks the result.
func (m *model) deliver(t *rapid.T, x *modelMessage) {
	p := m.sps[x.sp]
	if age := m.Clock.Now().Sub(x.IssuedAt); age > 5*time.Minute {
		return // TestUnverifiedLogoutIsRefused covers late messages
	}
	r := x.LogoutRequest
	if x.received != 0 && rapid.IntRange(0, 3).Draw(t, "other content") == 0 {
		other := *x
		m.fill(t, &other)
		r = other.LogoutRequest
		m.counts["other content"]++
	}
	how := rapid.SampledFrom([]string{"GET", "GET", "POST", "POST only", "remote", "SOAP", "HEAD"}).Draw(t, "how")
	receive := func() {
		if x.received == 0 {
			x.received = m.step
		}
	}
	if how == "remote" || how == "SOAP" {
		receive()
		send := p.SendRemoteLogout
		if how == "SOAP" {
			send = p.SendSOAPLogout
		}
		got, detail := "", ""
		answer := send(&r)
		if answer.Response != nil {
			got = answer.Response.Status.StatusCode.Value
			if c := answer.Response.Status.StatusCode.StatusCode; c != nil {
				detail = c.Value
			}
			if code := map[bool]int{true: 200, false: 400}[how == "SOAP" || got == ok]; answer.Status != code {
				t.Fatalf("%s: %d", how, answer.Status)
			}
		}
		m.checkAnswer(t, x, nil, got, detail, "")
		return
	}
	b := rapid.SampledFrom(m.browsers).Draw(t, "browser")
	if how == "HEAD" {
		if page := b.Head(p.LogoutURL(&r)); page.Status != http.StatusOK {
			t.Fatalf("HEAD: %d", page.Status)
		}
		m.checkStored(t, m.sessions)
		return
	}
	receive()
	if how == "GET" {
		m.page(t, x, b, b.Get(p.LogoutURL(&r)))
		return
	}
	resp, to := b.CrossSitePostOnly(p.LogoutEndpoint(&r), p.LogoutForm(&r))
	resp.Body.Close()
	if x.to != "" && x.to != to {
		t.Fatalf("posted again it leads to %q, not to %q", to, x.to)
	}
	x.waits, x.to = b, to
	m.checkStored(t, m.sessions)
	if how == "POST" {
		m.page(t, x, b, b.Get(to))
	}
}

func (m *model) page(t *rapid.T, x *modelMessage, b *modelBrowser, page *idptest.Page) {
	got, detail := "", ""
	if r := page.LogoutResponse(); r != nil {
		got = r.Status.StatusCode.Value
		if c := r.Status.StatusCode.StatusCode; c != nil {
			detail = c.Value
		}
		if r.InResponseTo != x.ID {
			t.Fatalf("InResponseTo %q, want %q", r.InResponseTo, x.ID)
		}
	}
	m.checkAnswer(t, x, b, got, detail, page.Text())
}

// TestEveryLogoutSequenceMatchesModel has users and service providers act in any order. Every
// Success must be true, and a message must end the sessions that it names and no others. The
// build tag slow adds a run with more sequences.
func TestEveryLogoutSequenceMatchesModel(t *testing.T) {
	t.Parallel()
	t.Log(checkSequences(t))
}

// checkSequences returns how often each outcome was seen.
func checkSequences(t *testing.T) map[string]int {
	t.Helper()
	w := newModelDeployment(t)
	rapid.Check(t, func(t *rapid.T) {
		m := w.begin(t)
		signIn := func(r idptest.Request) func(*rapid.T) {
			return func(t *rapid.T) {
				m.signIn(t, rapid.SampledFrom(m.browsers).Draw(t, "browser"), rapid.SampledFrom(m.users).Draw(t, "user"),
					rapid.IntRange(0, len(m.sps)-1).Draw(t, "SP"), r)
			}
		}
		actions := []func(*rapid.T){
			signIn(idptest.Request{}),
			func(t *rapid.T) {
				sp := rapid.IntRange(0, len(m.sps)-1).Draw(t, "SP")
				if m.browsers[0].session == nil {
					m.signIn(t, m.browsers[0], m.users[0], sp, idptest.Request{})
				}
				m.signIn(t, m.browsers[0], m.users[0], sp, idptest.Request{ClassRefs: []string{"http://idmanagement.gov/ns/assurance/aal/2"}})
			},
			signIn(idptest.Request{ForceAuthn: true}),
			func(t *rapid.T) {
				x := m.draw(t)
				m.messages = append(m.messages, x)
				m.deliver(t, x)
			},
			func(t *rapid.T) {
				from := m.messages
				if refused := slices.DeleteFunc(slices.Clone(from), func(x *modelMessage) bool { return !x.answered || x.success }); len(refused) > 0 && rapid.Bool().Draw(t, "refused") {
					from = refused // these may still end a session
				}
				if len(from) > 0 {
					m.deliver(t, rapid.SampledFrom(from).Draw(t, "message"))
				}
			},
			func(t *rapid.T) { // the browser, or another one, follows the redirect of a POST
				i := slices.IndexFunc(m.messages, func(x *modelMessage) bool { return x.waits != nil })
				if i < 0 {
					return
				}
				x, b := m.messages[i], rapid.SampledFrom(m.browsers).Draw(t, "browser")
				page := b.Get(x.to)
				if b != x.waits {
					if page.Status != http.StatusBadRequest || page.Response() != nil {
						t.Fatalf("another browser's message: %d\n%s", page.Status, page.Text())
					}
					m.checkStored(t, m.sessions)
					return
				}
				m.page(t, x, b, page)
			},
		}
		for n := range rapid.IntRange(5, 9).Draw(t, "steps") {
			m.step++
			w.Clock.Advance(time.Second)
			action := signIn(idptest.Request{})
			if n > 0 { // the first action is a sign-in
				action = actions[rapid.SampledFrom([]int{0, 0, 1, 2, 3, 3, 3, 4, 4, 4, 4, 5}).Draw(t, "action")]
			}
			action(t)
		}
	})
	return w.counts
}
