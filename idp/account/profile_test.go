package account

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vernal/idp"
)

func proofedProfile() *idp.Profile {
	return &idp.Profile{
		Level: idp.IALVerified, VerifiedAt: time.Date(2026, 4, 1, 9, 0, 0, 0, time.UTC), FirstName: "Ana", MiddleName: "M", LastName: "Ruiz",
		Address1: "1 First St", Address2: "Door 2", City: "Townsville", State: "NY", Zipcode: "12345",
		DOB: "1990-02-28", SSN: "900-11-2222", Phone: "+12025550123",
	}
}

// The forms of the values, one at a time.
func TestCheckProfile(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	tests := []struct {
		name   string
		change func(*idp.Profile)
		wrong  string             // the field; "" if the profile is good
		kept   func(*idp.Profile) // the stored form, if it differs from the input
	}{
		{name: "all of it"},
		{name: "space around", change: func(p *idp.Profile) { p.City = " Townsville\t" }, kept: func(p *idp.Profile) { p.City = "Townsville" }},
		{name: "composed", change: func(p *idp.Profile) { p.City = "Zu\u0308rich" }, kept: func(p *idp.Profile) { p.City = "Zürich" }},
		{name: "only the names", change: func(p *idp.Profile) { *p = idp.Profile{Level: idp.IALFacialMatch, FirstName: "A", LastName: "B"} },
			kept: func(p *idp.Profile) { *p = idp.Profile{Level: idp.IALFacialMatch, FirstName: "A", LastName: "B"} }},
		{name: "no first name", change: func(p *idp.Profile) { p.FirstName = "  " }, wrong: "first_name"},
		{name: "no level", change: func(p *idp.Profile) { p.Level = "" }, wrong: "level"},
		{name: "another level", change: func(p *idp.Profile) { p.Level = "auth-only" }, wrong: "level"},
		{name: "ZIP+4", change: func(p *idp.Profile) { p.Zipcode = "12345-6789" }, kept: func(p *idp.Profile) { p.Zipcode = "12345" }},
		{name: "four digits", change: func(p *idp.Profile) { p.Zipcode = "1234" }, wrong: "zipcode"},
		{name: "other digits", change: func(p *idp.Profile) { p.Zipcode = "１２３４５" }, wrong: "zipcode"},
		{name: "ssn without dashes", change: func(p *idp.Profile) { p.SSN = "900112222" }, kept: func(p *idp.Profile) { p.SSN = "900112222" }},
		{name: "ssn of eight", change: func(p *idp.Profile) { p.SSN = "90011222" }, wrong: "ssn"},
		{name: "ssn with one dash", change: func(p *idp.Profile) { p.SSN = "900-112222" }, wrong: "ssn"},
		{name: "phone with spaces", change: func(p *idp.Profile) { p.Phone = "+1 202 555 0123" }, wrong: "phone"},
		{name: "phone without country", change: func(p *idp.Profile) { p.Phone = "2025550123" }, wrong: "phone"},
		{name: "phone of 16 digits", change: func(p *idp.Profile) { p.Phone = "+1234567890123456" }, wrong: "phone"},
		{name: "no such day", change: func(p *idp.Profile) { p.DOB = "1990-02-30" }, wrong: "dob"},
		{name: "another order", change: func(p *idp.Profile) { p.DOB = "02/28/1990" }, wrong: "dob"},
		{name: "born tomorrow", change: func(p *idp.Profile) { p.DOB = "2026-11-24" }, wrong: "dob"},
		{name: "born too long ago", change: func(p *idp.Profile) { p.DOB = "1899-12-31" }, wrong: "dob"},
		{name: "control character", change: func(p *idp.Profile) { p.LastName = "a\x00b" }, wrong: "last_name"},
		{name: "line break", change: func(p *idp.Profile) { p.Address1 = "a\nb" }, wrong: "address1"},
		{name: "not UTF-8", change: func(p *idp.Profile) { p.LastName = "a\xff" }, wrong: "last_name"},
		{name: "U+FFFF, which XML cannot carry", change: func(p *idp.Profile) { p.LastName = "a\uffff" }, wrong: "last_name"},
		{name: "what names are written with", change: func(p *idp.Profile) { p.LastName = "حسین\u200cزاده\u200f <&\"'>]]> 𠮷😀" },
			kept: func(p *idp.Profile) { p.LastName = "حسین\u200cزاده\u200f <&\"'>]]> 𠮷😀" }},
		{name: "direction override", change: func(p *idp.Profile) { p.LastName = "a\u202eb" }, wrong: "last_name"},
		{name: "direction isolate", change: func(p *idp.Profile) { p.City = "a\u2066b" }, wrong: "city"},
		{name: "a name that is invisible", change: func(p *idp.Profile) { p.FirstName = "\u200b\u3164\ufeff" }, wrong: "first_name"},
		{name: "too long", change: func(p *idp.Profile) { p.LastName = strings.Repeat("a", 256) }, wrong: "last_name"},
		{name: "proofed tomorrow", change: func(p *idp.Profile) { p.VerifiedAt = now.Add(time.Hour) }, wrong: "verified_at"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			given, want := proofedProfile(), proofedProfile()
			if tt.change != nil {
				tt.change(given)
			}
			if tt.kept != nil {
				tt.kept(want)
			}
			got, err := CheckProfile(given, now)
			var wrong InputErrors
			if tt.wrong == "" {
				if diff := cmp.Diff(want, got); err != nil || diff != "" {
					t.Errorf("%v (-want +got):\n%s", err, diff)
				}
			} else if !errors.As(err, &wrong) || len(wrong) != 1 || wrong[0].Field != tt.wrong {
				t.Errorf("%v, want an error of %s", err, tt.wrong)
			}
		})
	}
}

// All problems are reported at once, and no value is quoted, because errors reach logs.
func TestCheckProfileSaysAll(t *testing.T) {
	t.Parallel()
	p := &idp.Profile{Level: idp.IALVerified, Zipcode: "secret-zip", SSN: "secret-ssn", Phone: "secret-phone", DOB: "secret-dob"}
	_, err := CheckProfile(p, time.Now())
	for _, field := range []string{"first_name: ", "last_name: ", "zipcode: ", "dob: ", "ssn: ", "phone: "} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%v does not name %s", err, field)
		}
	}
	if err != nil && strings.Contains(err.Error(), "secret") {
		t.Errorf("a value is quoted: %v", err)
	}
}

func TestParseProfile(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, wrong string }{
		{"strings", `{"first_name":"A","verified_at":"2026-04-01","middle_name":null}`, ""},
		{"a slip of the pen", `{"firstname":"A"}`, "firstname: no such field; did you mean first_name?"},
		{"twice", `{"ssn":"1","ssn":"2"}`, "ssn: is here twice"},
		{"a number", `{"zipcode":12345}`, "zipcode: must be a string"},
		{"no time", `{"verified_at":"soon"}`, "verified_at: must be a time"},
		{"cut off", `{"ssn":"1"`, "ends too early"},
		{"followed", `{} {}`, "something follows"},
		{"a list", `[]`, "must be a JSON object"},
		{"nothing", ``, "ends too early"},
		{"not UTF-8", "{\"ssn\":\"\xff\"}", "not valid UTF-8"},
	}
	for _, tt := range tests {
		p, err := ParseProfile([]byte(tt.text))
		switch {
		case tt.wrong == "" && (err != nil || p.FirstName != "A" || p.VerifiedAt.IsZero()):
			t.Errorf("%s: %v, %v", tt.name, p, err)
		case tt.wrong != "" && (err == nil || !strings.Contains(err.Error(), tt.wrong)):
			t.Errorf("%s: %v, want %q", tt.name, err, tt.wrong)
		}
	}
}

func TestVerifyStoresProfileAndAuditsFieldNames(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.create()
	h.session(u.ID, "s1")
	before := len(h.audit())
	dry, err := h.Verify(t.Context(), alice, proofedProfile(), true, actor)
	if err != nil || dry.Before != LevelNone || dry.After != idp.IALVerified || len(dry.ChangedFields) != 13 {
		t.Fatalf("dry run: %+v, %v", dry, err)
	}
	if h.profile(u.ID) != nil || len(h.audit()) != before {
		t.Fatal("a dry run changed something")
	}
	if _, err := h.Verify(t.Context(), alice, proofedProfile(), false, actor); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(proofedProfile(), h.profile(u.ID)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// The trail names the changed fields and contains no personal data.
	e := h.audit()[before]
	if e.Kind != "user.verify" || e.User != u.ID || e.Detail["level"] != "verified" || !strings.Contains(e.Detail["fields"], "ssn") {
		t.Errorf("audit: %+v", e.AuditEvent)
	}
	for _, v := range e.Detail {
		for _, f := range profileFields {
			if value := *f.locate(proofedProfile()); len(value) > 2 && strings.Contains(v, value) {
				t.Errorf("the audit trail says %q", value)
			}
		}
	}
	// The same profile changes nothing, another one replaces it, and nil removes it.
	if v, err := h.Verify(t.Context(), alice, proofedProfile(), false, actor); err != nil || len(v.ChangedFields) != 0 || len(h.audit()) != before+1 {
		t.Errorf("the same again: %+v, %v", v, err)
	}
	now := h.now
	v, err := h.Verify(t.Context(), alice, &idp.Profile{Level: idp.IALFacialMatch, FirstName: "A", LastName: "B"}, false, actor)
	want := &idp.Profile{Level: idp.IALFacialMatch, FirstName: "A", LastName: "B", VerifiedAt: now}
	if diff := cmp.Diff(want, h.profile(u.ID)); err != nil || v.Before != idp.IALVerified || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if v, err := h.Verify(t.Context(), alice, nil, false, actor); err != nil || v.After != LevelNone || h.profile(u.ID) != nil {
		t.Errorf("taken away: %+v, %v", v, err)
	}
	if list, err := h.store.Sessions(t.Context(), idp.SessionQuery{User: u.ID}); err != nil || len(list) != 1 {
		t.Errorf("%d sessions left, want the one; %v", len(list), err)
	}
	if _, err := h.Verify(t.Context(), "nobody@example.gov", proofedProfile(), false, actor); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("unknown user: %v", err)
	}
	if _, err := h.Verify(t.Context(), alice, &idp.Profile{}, false, actor); !errors.As(err, new(InputErrors)) {
		t.Errorf("an empty profile: %v", err)
	}
}

// All missing values are named, except those that many users do not have.
func TestMissingFields(t *testing.T) {
	t.Parallel()
	got := MissingFields(&idp.Profile{FirstName: "A", LastName: "B", SSN: "1"})
	if diff := cmp.Diff([]string{"address1", "city", "state", "zipcode", "dob"}, got, cmpopts.SortSlices(strings.Compare)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
