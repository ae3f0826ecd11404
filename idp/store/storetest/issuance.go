package storetest

import (
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
)

func testIssuance(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	sess := newSession("s1", "u1")
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: sess}))
	i := newIssuance("s1", "u1", "m1")
	request := *i.Request
	name, err := getNameID(s.RecordIssuance(ctx, i))
	checkSame(t, "name-u1", name, err)
	if diff := cmp.Diff(&request, i.Request); diff != "" {
		t.Errorf("the caller's request was changed:\n%s", diff)
	}

	// The request is stored, as answered.
	want := request
	want.AnsweredAt, want.AnsweringSession = i.At, "s1"
	got, err := s.LoginRequest(ctx, idp.RequestKey{Handle: request.Handle})
	checkSame(t, &want, got, err)
	got, err = s.LoginRequest(ctx, idp.RequestKey{SP: request.SP, MessageID: "m1"})
	checkSame(t, &want, got, err)

	// The session contains the provider.
	sess.SeenAt = i.At
	sess.Participants = []idp.Participant{{SP: request.SP, NameID: name, SessionIndexes: []string{"index-m1"}, Year: "2031", At: i.At}}
	storedRequest, err := s.Session(ctx, "s1")
	checkSame(t, sess, storedRequest, err)
	checkKinds(t, s, 0, "sign_in")

	// A year and a minute later, the session still has one participant with the same index.
	i = newIssuance("s1", "u1", "m2")
	i.Request.Year, i.At = "2032", startTime.Add(2*time.Minute)
	_, err = s.RecordIssuance(ctx, i)
	requireNoError(t, err)
	sess.SeenAt = i.At
	sess.Participants[0] = idp.Participant{SP: request.SP, NameID: name, SessionIndexes: []string{"index-m1"}, Year: "2032", At: i.At}
	storedRequest, err = s.Session(ctx, "s1")
	checkSame(t, sess, storedRequest, err)
}

// testIssuanceDisclosed checks that the email address disclosed to a service provider is recorded
// once, in the same transaction as the issuance, and that another user's email address is not.
func testIssuanceDisclosed(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	u := newUser("u1", "ann@example.org", "ann@home.example")
	requireNoError(t, addUser(ctx, s, u))
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s1", "u1")}))
	for n, email := range []string{"ann@home.example", "ann@home.example", "", "bob@example.org"} {
		i := newIssuance("s1", "u1", "m"+strconv.Itoa(n))
		i.EmailAddress = email
		_, err := s.RecordIssuance(ctx, i)
		requireNoError(t, err)
	}
	u.Emails[1].DisclosedTo = []idp.EntityID{"https://sp.example"}
	u.Services = []idp.ConnectedService{{SP: "https://sp.example", FirstAt: startTime.Add(time.Minute), LastAt: startTime.Add(time.Minute)}}
	got, err := s.User(ctx, "u1")
	checkSame(t, u, got, err)

	i := newIssuance("s1", "u1", "m0") // seen
	i.Request.Handle, i.EmailAddress = "other", "ann@example.org"
	_, err = s.RecordIssuance(ctx, i)
	checkError(t, err, idp.ErrReplayed)
	got, err = s.User(ctx, "u1")
	checkSame(t, u, got, err)

	i = newIssuance("s2", "rehearsal", "m9") // a user without a record
	i.EmailAddress = "ann@example.org"
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s2", "rehearsal")}))
	_, err = s.RecordIssuance(ctx, i)
	requireNoError(t, err)
}

// testIssuanceVisits checks that the sign-ins at a service provider are recorded with the user, exact
// to a day, and the consents that the user gave in them.
func testIssuanceVisits(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	u := newUser("u1", "ann@example.org")
	requireNoError(t, addUser(ctx, s, u))
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s1", "u1")}))
	const a, b = "https://a.example", "https://b.example"
	at := func(hours int) time.Time { return startTime.Add(time.Duration(hours) * time.Hour) }
	withdraw := func(u *idp.User) error {
		u.Services[0].Attributes, u.Services[0].WithdrawnAt, u.Services[0].Email = nil, at(49), "ann@example.org"
		return nil
	}
	steps := []struct {
		sp      idp.EntityID
		hours   int
		consent *idp.Consent
		change  func(*idp.User) error // before
		want    []idp.ConnectedService
	}{
		{a, 1, nil, nil, []idp.ConnectedService{{SP: a, FirstAt: at(1), LastAt: at(1)}}},
		{a, 24, nil, nil, []idp.ConnectedService{{SP: a, FirstAt: at(1), LastAt: at(1)}}}, // within a day
		{a, 25, nil, nil, []idp.ConnectedService{{SP: a, FirstAt: at(1), LastAt: at(25)}}},
		{a, 26, &idp.Consent{Attributes: []string{"email", "dob"}, At: at(26)}, nil,
			[]idp.ConnectedService{{SP: a, FirstAt: at(1), LastAt: at(26), Attributes: []string{"email", "dob"}, ConsentAt: at(26)}}},
		{a, 27, &idp.Consent{Attributes: []string{"ssn", "email"}, At: at(27)}, nil,
			[]idp.ConnectedService{{SP: a, FirstAt: at(1), LastAt: at(27), Attributes: []string{"email", "dob", "ssn"}, ConsentAt: at(27)}}},
		{b, 28, &idp.Consent{At: at(28)}, nil, []idp.ConnectedService{
			{SP: a, FirstAt: at(1), LastAt: at(27), Attributes: []string{"email", "dob", "ssn"}, ConsentAt: at(27)}, {SP: b, FirstAt: at(28), LastAt: at(28), ConsentAt: at(28)}}},
		{a, 50, &idp.Consent{Attributes: []string{"email"}, At: at(50)}, withdraw, []idp.ConnectedService{
			{SP: a, FirstAt: at(1), LastAt: at(50), Attributes: []string{"email"}, ConsentAt: at(50), Email: "ann@example.org"}, {SP: b, FirstAt: at(28), LastAt: at(28), ConsentAt: at(28)}}},
	}
	for n, step := range steps {
		if step.change != nil {
			requireNoError(t, s.UpdateUser(ctx, "u1", step.change))
		}
		i := newIssuance("s1", "u1", "m"+strconv.Itoa(n))
		i.Request.SP, i.At, i.Consent = step.sp, at(step.hours), step.consent
		_, err := s.RecordIssuance(ctx, i)
		requireNoError(t, err)
		u.Services = step.want
		got, err := s.User(ctx, "u1")
		checkSame(t, u, got, err)
	}
}

// testIssuanceUserChecked checks that an issuance decides again about the user's record as it is in
// the write, and that a refused one changes nothing.
func testIssuanceUserChecked(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	u := newUser("u1", "ann@example.org")
	requireNoError(t, addUser(ctx, s, u))
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s1", "u1")}))
	before, err := s.Session(ctx, "s1")
	requireNoError(t, err)
	refused := errors.New("refused")
	i := newIssuance("s1", "u1", "m1")
	i.EmailAddress, i.Consent = "ann@example.org", &idp.Consent{Attributes: []string{"email"}, At: i.At}
	i.CheckUser = func(got *idp.User) error {
		checkSame(t, u, got, nil)
		return refused
	}
	_, err = s.RecordIssuance(ctx, i)
	checkError(t, err, refused)
	got, err := s.User(ctx, "u1")
	checkSame(t, u, got, err)
	session, err := s.Session(ctx, "s1")
	checkSame(t, before, session, err)
	_, err = s.LoginRequest(ctx, idp.RequestKey{Handle: i.Request.Handle})
	checkError(t, err, idp.ErrNotFound)
	_, err = s.NameID(ctx, i.Scope, "u1")
	checkError(t, err, idp.ErrNotFound)
	checkKinds(t, s, 0)

	// A user without a record is not checked.
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s2", "rehearsal")}))
	i = newIssuance("s2", "rehearsal", "m2")
	i.CheckUser = func(*idp.User) error { return refused }
	_, err = s.RecordIssuance(ctx, i)
	requireNoError(t, err)
}

func testIssuanceStored(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s1", "u1")}))
	r := newRequest("h-m1", "https://sp.example", "m1")
	requireNoError(t, s.CreateLoginRequest(ctx, r))
	i := newIssuance("s1", "u1", "m1")
	i.Request.RelayState = "what is stored counts"
	_, err := s.RecordIssuance(ctx, i)
	requireNoError(t, err)
	r.AnsweredAt, r.AnsweringSession = i.At, "s1"
	got, err := s.LoginRequest(ctx, idp.RequestKey{Handle: "h-m1"})
	checkSame(t, r, got, err)

	// The handle of another message is refused.
	requireNoError(t, s.CreateLoginRequest(ctx, newRequest("h-m2", "https://sp.example", "m2")))
	i = newIssuance("s1", "u1", "m2")
	i.Request.MessageID = "m3"
	_, err = s.RecordIssuance(ctx, i)
	checkError(t, err, idp.ErrExists)
	got, err = s.LoginRequest(ctx, idp.RequestKey{Handle: "h-m2"})
	checkSame(t, false, got.IsAnswered(), err)
}

func testIssuanceRefused(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	pendingSession := newSession("pending", "u1")
	pendingSession.Pending = true
	for _, x := range []*idp.Session{newSession("s1", "u1"), pendingSession} {
		requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: x}))
	}
	answeredRequest := newRequest("h-answered", "https://sp.example", "answered")
	answeredRequest.AnsweredAt = startTime
	requireNoError(t, s.CreateLoginRequest(ctx, answeredRequest))
	requireNoError(t, s.CreateLoginRequest(ctx, newRequest("h-other", "https://sp.example", "seen")))
	before, err := s.Session(ctx, "s1")
	requireNoError(t, err)

	tests := []struct {
		name string
		with func(i *idp.Issuance)
		want error // nil: any
	}{
		{"no session", func(i *idp.Issuance) { i.Session = "s9" }, idp.ErrSessionEnded},
		{"pending session", func(i *idp.Issuance) { i.Session = "pending" }, idp.ErrSessionEnded},
		{"another person's session", func(i *idp.Issuance) { i.User = "u2" }, idp.ErrSessionUser},
		{"request answered", func(i *idp.Issuance) { i.Request = answeredRequest }, idp.ErrAnswered},
		{"message seen", func(i *idp.Issuance) { i.Request.MessageID = "seen" }, idp.ErrReplayed},
		{"no NameID proposed", func(i *idp.Issuance) { i.ProposedNameID = "" }, nil},
		{"no request", func(i *idp.Issuance) { i.Request = nil }, nil},
		{"zero time", func(i *idp.Issuance) { i.At = time.Time{} }, nil},
	}
	for _, tt := range tests {
		i := newIssuance("s1", "u1", "m-new")
		tt.with(i)
		name, err := getNameID(s.RecordIssuance(ctx, i))
		if err == nil || name != "" || (tt.want != nil && !errors.Is(err, tt.want)) {
			t.Errorf("%s: RecordIssuance = %q, %v; want error %v", tt.name, name, err, tt.want)
		}
	}
	after, err := s.Session(ctx, "s1")
	checkSame(t, before, after, err)
	_, err = s.LoginRequest(ctx, idp.RequestKey{Handle: "h-m-new"})
	checkError(t, err, idp.ErrNotFound)
	_, err = s.LoginRequest(ctx, idp.RequestKey{SP: "https://sp.example", MessageID: "m-new"})
	checkError(t, err, idp.ErrNotFound)
	_, err = s.NameID(ctx, "agency:A", "u1")
	checkError(t, err, idp.ErrNotFound)
	checkKinds(t, s, 0)
}

func testIssuanceNameIDs(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s1", "u1")}))
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s2", "u2")}))
	issue := func(sess, user, message string, scope idp.NameIDScope, proposed, want idp.NameID) {
		t.Helper()
		i := newIssuance(sess, user, message)
		i.Scope, i.ProposedNameID = scope, proposed
		got, err := getNameID(s.RecordIssuance(ctx, i))
		checkSame(t, want, got, err)
		got, err = s.NameID(ctx, scope, idp.UserID(user))
		checkSame(t, want, got, err)
		userID, err := s.UserByNameID(ctx, scope, want)
		checkSame(t, idp.UserID(user), userID, err)
	}
	issue("s1", "u1", "m1", "agency:A", "n1", "n1")
	issue("s1", "u1", "m2", "agency:A", "n2", "n1") // permanent
	issue("s1", "u1", "m3", "agency:A", "", "n1")
	issue("s1", "u1", "m4", "sp:A", "n1", "n1") // scopes are separate
	issue("s2", "u2", "m5", "sp:A", "n2", "n2")
	issue("s2", "u2", "m6", "agency:A", "n3", "n3")

	for _, query := range []struct {
		scope idp.NameIDScope
		name  idp.NameID
	}{{"agency:A", "n2"}, {"agency:B", "n1"}, {"agency:", "An1"}} {
		_, err := s.UserByNameID(ctx, query.scope, query.name)
		checkError(t, err, idp.ErrNotFound)
	}
	_, err := s.NameID(ctx, "agency:B", "u1")
	checkError(t, err, idp.ErrNotFound)

	// The NameID of another user is refused.
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s3", "u3")}))
	i := newIssuance("s3", "u3", "m7")
	i.ProposedNameID = "n1"
	_, err = s.RecordIssuance(ctx, i)
	checkError(t, err, idp.ErrExists)
	_, err = s.NameID(ctx, "agency:A", "u3")
	checkError(t, err, idp.ErrNotFound)
}

// testIssuanceRace creates the NameID of one user in fifty concurrent sign-ins.
func testIssuanceRace(t *testing.T, s idp.OwnedStore) {
	const n = 50
	requireNoError(t, s.StartSession(t.Context(), idp.SessionStart{Session: newSession("s1", "u1")}))
	var names [n]idp.NameID
	var wg sync.WaitGroup
	for k := range n {
		wg.Go(func() {
			i := newIssuance("s1", "u1", numberedName("m", k))
			i.ProposedNameID = idp.NameID(numberedName("proposed", k))
			var err error
			if names[k], err = getNameID(s.RecordIssuance(t.Context(), i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, name := range names {
		if name != names[0] || name == "" {
			t.Fatalf("the user has the NameIDs %q and %q", names[0], name)
		}
	}
	user, err := s.UserByNameID(t.Context(), "agency:A", names[0])
	checkSame(t, "u1", user, err)
	for k := range n {
		if name := idp.NameID(numberedName("proposed", k)); name != names[0] {
			_, err := s.UserByNameID(t.Context(), "agency:A", name)
			checkError(t, err, idp.ErrNotFound)
		}
	}
	if got := len(readTrail(t, s)); got != n {
		t.Errorf("%d events, want %d", got, n)
	}
}

// testIssuanceOnce answers a stored message, and one that is not stored, many times at once. Each
// gets exactly one answer.
func testIssuanceOnce(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s1", "u1")}))
	requireNoError(t, s.CreateLoginRequest(ctx, newRequest("h-stored", "https://sp.example", "stored")))
	for _, tt := range []struct {
		message string
		handle  func(k int) string
		want    error
	}{
		{"stored", func(int) string { return "h-stored" }, idp.ErrAnswered},
		{"live", func(k int) string { return numberedName("h-live", k) }, idp.ErrReplayed},
	} {
		var mu sync.Mutex
		answers := 0
		var wg sync.WaitGroup
		for k := range 20 {
			wg.Go(func() {
				i := newIssuance("s1", "u1", tt.message)
				i.Request.Handle = idp.RequestHandle(tt.handle(k))
				_, err := s.RecordIssuance(ctx, i)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					answers++
				} else if !errors.Is(err, tt.want) {
					t.Errorf("%s: %v, want %v", tt.message, err, tt.want)
				}
			})
		}
		wg.Wait()
		if answers != 1 {
			t.Errorf("%s: answered %d times", tt.message, answers)
		}
	}
	checkKinds(t, s, 0, "sign_in", "sign_in")
}
