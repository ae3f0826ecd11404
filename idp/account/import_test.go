package account

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/audit"
)

// audit returns the whole trail.
func (h *house) audit() []idp.AuditRecord {
	h.t.Helper()
	list, err := audit.Records(h.t.Context(), h.store, 0, 100_000)
	if err != nil {
		h.t.Fatal(err)
	}
	return list
}

// provider registers a service provider, with an agency or without.
func (h *house) provider(id idp.EntityID, scope idp.NameIDScope) {
	h.t.Helper()
	if err := h.store.CreateProvider(h.t.Context(), &idp.ServiceProvider{EntityID: id, NameIDScope: scope}, ""); err != nil {
		h.t.Fatal(err)
	}
}

// fataler is a test, or one of many runs of it.
type fataler interface{ Fatal(...any) }

// lines reads a file as the command does, and sends it to the server.
func (h *house) lines(t fataler, text string) (lines []ImportLine) {
	r, err := NewRecordReader(strings.NewReader(text), "")
	if err != nil {
		t.Fatal(err)
	}
	for {
		l, err := r.Next()
		if errors.Is(err, io.EOF) {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(l.Problems) > 0 {
			t.Fatal(l.Problems)
		}
		if l.Record != nil {
			lines = append(lines, sendLine(t, ImportLine{l.Number, *l.Record}))
		}
	}
}

// take imports a file.
func (h *house) take(text string, o ImportOptions) *ImportResult {
	h.t.Helper()
	result, err := h.Import(h.t.Context(), h.lines(h.t, text), o, actor)
	if err != nil {
		h.t.Fatal(err)
	}
	return result
}

// checkResult checks a result: counts, and for each problem its line and some words.
func checkResult(t *testing.T, got *ImportResult, added, extended int, present []int, problems ...string) {
	t.Helper()
	if got.AddedCount != added || got.ExtendedCount != extended {
		t.Errorf("%d added, %d extended; want %d, %d", got.AddedCount, got.ExtendedCount, added, extended)
	}
	if diff := cmp.Diff(present, got.PresentLines); diff != "" {
		t.Errorf("present (-want +got):\n%s", diff)
	}
	for i := range max(len(problems), len(got.Problems)) {
		switch {
		case i >= len(problems):
			t.Errorf("problem: %s", got.Problems[i])
		case i >= len(got.Problems) || !strings.Contains(got.Problems[i].String(), problems[i]):
			t.Errorf("got %v, want %q", got.Problems, problems[i])
		}
	}
}

const person1 = `{"emails":["Ann@Example.gov","ann@home.example"],"totp_secret":"JBSWY3DPEHPK3PXP","totp_period":60,"locked":true,"lock_reason":"left",
 "password_hash":"$pbkdf2-sha256$i=1000$c2FsdHNhbHRzYWx0c2FsdA$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI",
 "profile":{"level":"facial-match","first_name":"Ann","last_name":"Lee","phone":"+12025550123"},"role":"staff",
 "name_ids":{"Parks":"p-1","https://sp.example/":"s-1"},"created_at":"2020-02-03T04:05:06Z"}`

// Import stores the values of a line unchanged, and the NameIDs as if issued here.
func TestImportKeepsRecordAndNameIDs(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.provider("https://sp.example/", "sp:https://sp.example/#2")
	h.provider("https://parks.example/", "agency:Parks")
	dry := h.take(person1, ImportOptions{DryRun: true})
	checkResult(t, dry, 1, 0, nil)
	if len(h.audit()) != 0 {
		t.Fatal("a dry run is recorded")
	}
	checkResult(t, h.take(person1, ImportOptions{}), 1, 0, nil)
	u, err := h.store.UserByEmail(t.Context(), "ann@home.example")
	if err != nil {
		t.Fatal(err)
	}
	made := time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)
	want := &idp.User{
		ID: u.ID, Emails: []idp.Email{{Address: "Ann@example.gov", ConfirmedAt: made}, {Address: "ann@home.example", ConfirmedAt: made}},
		PasswordHash:      "$pbkdf2-sha256$i=1000$c2FsdHNhbHRzYWx0c2FsdA$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI",
		PasswordChangedAt: made, TOTPs: []idp.TOTP{{Secret: []byte("Hello!\xde\xad\xbe\xef"), Period: 60, AddedAt: made}},
		Proofing: &idp.Proofing{Level: idp.IALFacialMatch}, Role: "staff",
		LockedAt: h.now, LockReason: "left", CreatedAt: made, UpdatedAt: h.now,
	}
	if diff := cmp.Diff(want, u); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	profile := &idp.Profile{Level: idp.IALFacialMatch, FirstName: "Ann", LastName: "Lee", Phone: "+12025550123"}
	if diff := cmp.Diff(profile, h.profile(u.ID)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for scope, name := range map[idp.NameIDScope]idp.NameID{"agency:Parks": "p-1", "sp:https://sp.example/#2": "s-1"} {
		if got, err := h.store.NameID(t.Context(), scope, u.ID); got != name || err != nil {
			t.Errorf("%s: %q, %v; want %q", scope, got, err, name)
		}
	}
	trail := h.audit()
	if len(trail) != 1 || trail[0].Kind != "user.import" || trail[0].User != u.ID || trail[0].Detail["name_ids"] != "2" {
		t.Errorf("audit: %+v", trail)
	}

	// The second import finds the user present.
	checkResult(t, h.take(person1, ImportOptions{}), 0, 0, []int{1})
}

// Lines that match existing users.
func TestImportComparesWithExistingUsers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.provider("urn:a", "sp:urn:a")
	h.provider("urn:b", "sp:urn:b")
	h.provider("urn:c", "agency:C")
	hash, err := h.Hasher.Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	cheapest := "$pbkdf2-sha256$i=1000$c2FsdHNhbHRzYWx0c2FsdA$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI"
	checkResult(t, h.take(fmt.Sprintf(`{"email":"a@x.gov","password_hash":%q,"name_ids":{"urn:a":"a1"},"profile":{"level":"verified","first_name":"A","last_name":"B","ssn":"123456789"}}
{"emails":[{"address":"b@x.gov","confirmed":true,"disclosed_to":["urn:a"]}],"password_hash":%q,"name_ids":{"urn:a":"b1"}}
{"email":"gone@x.gov","name_ids":{"urn:a":"g1","C":"g2"}}`, hash, cheapest), ImportOptions{}), 3, 0, nil)
	if err := h.Delete(t.Context(), "gone@x.gov", actor); err != nil {
		t.Fatal(err)
	}
	b, err := h.store.UserByEmail(t.Context(), "b@x.gov")
	if err != nil {
		t.Fatal(err)
	}
	// A sign-in replaced the cheap hash.
	if err := h.store.UpdateUser(t.Context(), b.ID, func(u *idp.User) error { u.PasswordHash = hash; return nil }); err != nil {
		t.Fatal(err)
	}
	another := strings.Replace(hash, hash[len(hash)-4:], "AAAA", 1)
	tests := []struct {
		name, line string
		extended   int
		present    bool
		problem    string
	}{
		{name: "less is said", line: `{"email":"A@X.gov"}`, present: true},
		{name: "a profile without what was left out of an export", line: `{"email":"a@x.gov","profile":{"level":"verified","first_name":"A","last_name":"B"}}`, present: true},
		{name: "another profile", line: `{"email":"a@x.gov","profile":{"level":"verified","first_name":"A","last_name":"C"}}`, problem: "profile: the existing user"},
		{name: "another address", line: `{"emails":["a@x.gov","new@x.gov"]}`, problem: "emails: the existing user"},
		{name: "addresses of two people", line: `{"emails":["a@x.gov","b@x.gov"]}`, problem: "different users"},
		{name: "another password", line: fmt.Sprintf(`{"email":"a@x.gov","password_hash":%q}`, another), problem: "password_hash: the existing user"},
		{name: "a hash that was renewed", line: fmt.Sprintf(`{"email":"b@x.gov","password_hash":%q}`, cheapest), present: true},
		{name: "an authenticator more", line: `{"email":"b@x.gov","totp_secret":"JBSWY3DPEHPK3PXP"}`, problem: "totps: the existing user"},
		{name: "locked", line: `{"email":"b@x.gov","locked":true}`, problem: "locked: the existing user"},
		{name: "more than one", line: `{"email":"b@x.gov","locked":true,"role":"staff"}`, problem: "locked, role: the existing user"},
		{name: "another NameID", line: `{"email":"b@x.gov","name_ids":{"urn:a":"b2"}}`, problem: "name_ids: the existing user"},
		{name: "another person's NameID", line: `{"email":"new@x.gov","name_ids":{"urn:a":"b1"}}`, problem: "name_ids.urn:a: is the NameID of another user"},
		{name: "another user's NameID for an existing user", line: `{"email":"b@x.gov","name_ids":{"C":"g2"}}`, problem: "name_ids: the existing user"},
		{name: "a deleted person's NameID", line: `{"email":"new@x.gov","name_ids":{"C":"g2"}}`, problem: "name_ids.C: belonged to a user who was deleted"},
		{name: "the deleted person", line: `{"deleted":true,"name_ids":{"urn:a":"g1","urn:c":"g2"}}`, present: true},
		{name: "half of the deleted person", line: `{"deleted":true,"name_ids":{"urn:a":"g1","urn:b":"g3"}}`, problem: "others did not"},
		{name: "a living person as deleted", line: `{"deleted":true,"name_ids":{"urn:a":"a1"}}`, problem: "is the NameID of another user"},
		{name: "disclosed to the same provider", line: `{"emails":[{"address":"B@x.gov","confirmed":true,"disclosed_to":["urn:a"]}]}`, present: true},
		{name: "disclosed to another provider as well", line: `{"emails":[{"address":"B@x.gov","confirmed":true,"disclosed_to":["urn:c","urn:a"]}]}`, extended: 1},
		{name: "disclosed to both by now", line: `{"emails":[{"address":"b@x.gov","confirmed":true,"disclosed_to":["urn:c"]}]}`, present: true},
		{name: "the same value in another scope", line: `{"email":"b@x.gov","name_ids":{"urn:a":"b1","urn:b":"a1"}}`, extended: 1},
	}
	for _, tt := range tests { // sequential, because they share the house
		var present []int
		if tt.present {
			present = []int{1}
		}
		var problems []string
		if tt.problem != "" {
			problems = []string{tt.problem}
		}
		before := len(h.audit())
		t.Log(tt.name)
		checkResult(t, h.take(tt.line, ImportOptions{DryRun: true}), 0, tt.extended, present, problems...)
		checkResult(t, h.take(tt.line, ImportOptions{}), 0, tt.extended, present, problems...)
		if n := len(h.audit()) - before; n != tt.extended {
			t.Errorf("%d events, want %d", n, tt.extended)
		}
	}
	if got := h.user(b.ID).Emails[0].DisclosedTo; !slices.Equal(got, []idp.EntityID{"urn:a", "urn:c"}) {
		t.Errorf("disclosed to %q", got)
	}
	if got, err := h.store.NameID(t.Context(), "sp:urn:b", b.ID); got != "a1" || err != nil {
		t.Errorf("NameID %q, %v", got, err)
	}
}

// Invalid values of a line. Every problem of a line is reported.
func TestImportNamesEveryProblem(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.provider("urn:a", "sp:urn:a")
	h.provider("Parks", "sp:Parks") // an entity ID that is also the name of an agency
	h.provider("urn:p", "agency:Parks")
	tests := []struct {
		name, line string
		want       []string
	}{
		{"unknown user", `{}`, []string{"emails: is missing"}},
		{"no address", `{"email":"Ann <a@x.gov>"}`, []string{"emails: not an email address"}},
		{"an address twice", `{"emails":["a@x.gov","A@X.gov"]}`, []string{"emails: has an email address twice"}},
		{"the first address not confirmed", `{"emails":[{"address":"a@x.gov"},"b@x.gov"]}`, []string{"emails: the first email address must be confirmed"}},
		{"bcrypt", `{"email":"a@x.gov","password_hash":"$2b$12$abcdefghijklmnopqrstuv"}`, []string{"password_hash: bcrypt is not supported"}},
		{"a cheap argon2", `{"email":"a@x.gov","password_hash":"$argon2id$v=19$m=4,t=1,p=1$c2FsdHNhbHQ$MTIzNDU2Nzg5MDEyMzQ1Ng"}`, []string{"password_hash: m= must be"}},
		{"a password in the clear", `{"email":"a@x.gov","password_hash":"hunter2"}`, []string{"password_hash: not in PHC form"}},
		{"no base32", `{"email":"a@x.gov","totp_secret":"1!"}`, []string{"totp_secret: not base32"}},
		{"a step that is to come", `{"email":"a@x.gov","totps":[{"secret":"JBSWY3DPEHPK3PXP","last_step":99999999999}]}`, []string{"totps.last_step: "}},
		{"a name with a control character", `{"email":"a@x.gov","totps":[{"name":"a\u0000","secret":"JBSWY3DPEHPK3PXP"}]}`, []string{"totp_name: "}},
		{"disclosed twice", `{"emails":[{"address":"a@x.gov","confirmed":true,"disclosed_to":["urn:a","urn:a"]}]}`, []string{"emails.disclosed_to: "}},
		{"disclosed to no one", `{"emails":[{"address":"a@x.gov","confirmed":true,"disclosed_to":[""]}]}`, []string{"emails.disclosed_to: "}},
		{"another period", `{"email":"a@x.gov","totp_secret":"JBSWY3DPEHPK3PXP","totp_period":45}`, []string{"totp_period: must be 30 or 60"}},
		{"three authenticators", `{"email":"a@x.gov","totps":[{"secret":"JBSWY3DPEHPK3PXP"},{"secret":"JBSWY3DPEHPK3PXP"},{"secret":"JBSWY3DPEHPK3PXP"}]}`, []string{"totps: has more than 2"}},
		{"a reason and not locked", `{"email":"a@x.gov","lock_reason":"x"}`, []string{"locked: must be true"}},
		{"from the future", `{"email":"a@x.gov","created_at":"2999-01-01"}`, []string{"created_at: is in the future"}},
		{"a role", `{"email":"a@x.gov","role":"Big Boss"}`, []string{"role: "}},
		{"all of it", `{"email":"x","profile":{"level":"high","ssn":"1"},"name_ids":{"urn:a":""}}`,
			[]string{"emails: ", "profile.level: ", "profile.first_name: ", "profile.last_name: ", "profile.ssn: ", "name_ids.urn:a: is empty"}},
		{"a NameID of spaces", `{"email":"a@x.gov","name_ids":{"urn:a":" x"}}`, []string{"name_ids.urn:a: must be text"}},
		{"a long NameID", fmt.Sprintf(`{"email":"a@x.gov","name_ids":{"urn:a":%q}}`, strings.Repeat("x", 257)), []string{"name_ids.urn:a: is longer"}},
		{"unknown agency", `{"email":"a@x.gov","name_ids":{"Prks":"1"}}`, []string{"name_ids.Prks: no service provider is registered under this name"}},
		{"two meanings", `{"email":"a@x.gov","name_ids":{"Parks":"1"}}`, []string{"name_ids.Parks: is an agency and an entity ID"}},
		{"one scope, two NameIDs", `{"email":"a@x.gov","name_ids":{"urn:p":"1","agency:Parks":"2"}}`, []string{"name_ids.urn:p: is the same agency"}},
		{"alone, and in an agency", `{"email":"a@x.gov","name_ids":{"sp:urn:p":"1"}}`, []string{`belongs to the agency "Parks"`}},
		{"deleted with an address", `{"deleted":true,"email":"a@x.gov","name_ids":{"urn:a":"1"}}`, []string{"deleted: "}},
		{"deleted and nothing", `{"deleted":true}`, []string{"name_ids: is missing"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			checkResult(t, h.take(tt.line, ImportOptions{}), 0, 0, nil, tt.want...)
		})
	}
	t.Cleanup(func() {
		if users, err := h.store.Users(context.Background(), idp.UserQuery{Limit: 1}); len(users) != 0 || err != nil {
			t.Errorf("a user was imported, or %v", err)
		}
	})
}

// Two lines of one batch may clash. The first one wins, in the store as well.
func TestImportWithinABatch(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.provider("urn:p", "agency:Parks")
	lines := []ImportLine{}
	for i, text := range []string{
		`{"email":"a@x.gov","name_ids":{"Parks":"1"}}`, `{"email":"A@x.gov"}`, `{"email":"b@x.gov","name_ids":{"urn:p":"1"}}`, `{"email":"c@x.gov","name_ids":{"urn:p":"2"}}`,
	} {
		rec, err := ParseRecord([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, ImportLine{i + 1, *rec})
	}
	result, err := h.Import(t.Context(), lines, ImportOptions{}, actor)
	if err != nil {
		t.Fatal(err)
	}
	checkResult(t, result, 2, 0, nil, "line 2: emails", "line 3: name_ids")
}

// Unregistered agencies and providers, where they are allowed.
func TestImportAllowsUnregisteredProviders(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	line := `{"email":"a@x.gov","name_ids":{"Parks":"1","https://a.example/#x":"2","agency:Roads":"3","sp:b":"4"}}`
	checkResult(t, h.take(line, ImportOptions{}), 0, 0, nil, "name_ids.Parks", "name_ids.https://a.example/#x")
	result := h.take(line, ImportOptions{Unregistered: true})
	checkResult(t, result, 1, 0, nil)
	if diff := cmp.Diff([]string{"Parks", "https://a.example/#x"}, sortedKeys(map[string]bool{result.UnregisteredKeys[0]: true, result.UnregisteredKeys[1]: true})); diff != "" {
		t.Errorf("unregistered (-want +got):\n%s", diff)
	}
	scopes, err := h.store.NameIDScopes(t.Context())
	if diff := cmp.Diff([]idp.NameIDScope{"agency:Parks", "agency:Roads", "sp:b", "sp:https://a.example/##x"}, scopes); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// mustJSON returns v as a JSON line.
func mustJSON(t fataler, v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
