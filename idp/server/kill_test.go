//go:build slow

package server_test

import (
	"encoding/base32"
	"errors"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/idptest"
)

const (
	killedEmail  = "ann@example.gov"
	oldPassword  = "quiet otter mends nine kettles" // of idptest.AddUser
	newPassword  = "violets under the heavy rain"
	secondEmail  = "ann@second.example"
	killedSP     = "https://sp.example"
	recentFactor = "/account/confirm"
)

// house is an identity provider that can be killed, and a user of it.
type house struct {
	*idptest.IdP
	t      *testing.T
	killer *idptest.Killer
	ann    *idptest.User
	sp     *idptest.Provider
	link   string           // a mailed link
	codes  []string         // recovery codes
	here   *idptest.Browser // where the user is signed in
	there  *idptest.Browser // another browser of the user, whose session a reset must end
	// states are those of the account after each step of a run that is not killed.
	states []accountState
}

// accountState is what a user can tell about an account.
type accountState struct {
	Exists                                  bool
	Password                                string // "old", "new" or ""
	Factors, Codes, Devices                 int
	Emails                                  string
	IsDeletionPlanned, IsPaused, HasConsent bool
	// HasOldSession reports whether the other browser is still signed in.
	HasOldSession bool
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, killer: idptest.NewKiller()}
	h.IdP = idptest.New(t, idptest.Options{
		Log: slog.DiscardHandler, HasMail: true, WrapStore: h.killer.Wrap, WrapsServices: true,
		Users: account.Settings{SignUp: account.SignUpOpen},
	})
	h.sp = h.AddProvider(killedSP, func(p *idp.ServiceProvider) { p.Consent = idp.ConsentAsk })
	h.Mails() // notices begin here
	return h
}

// addUser adds the user, who signs in in two browsers.
func (h *house) addUser() {
	h.t.Helper()
	h.ann = h.AddUser(killedEmail)
	for _, b := range []**idptest.Browser{&h.there, &h.here} {
		*b = h.Browser()
		(*b).SignIn((*b).Get("/sign-in"), h.ann)
	}
	codes, err := h.Accounts.ReplaceRecoveryCodes(h.t.Context(), h.ann.Record.ID, idp.AuditEvent{Actor: "test"})
	h.check(err)
	h.codes = codes
	h.Mails()
}

func (h *house) check(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// newestLink sends the waiting mails and returns the newest mailed link of a page.
func (h *house) newestLink(path string) string {
	h.t.Helper()
	mails := h.Mails()
	for _, m := range slices.Backward(mails) {
		if link := regexp.MustCompile(`\S+` + path + `\?token=\S+`).FindString(m.Text()); link != "" {
			return strings.TrimPrefix(link, h.URL)
		}
	}
	h.t.Fatalf("no mail with a link of %s in %d mails", path, len(mails))
	return ""
}

// read returns the state of the account.
func (h *house) read() (s accountState) {
	h.t.Helper()
	u, err := h.Store.UserByEmail(h.t.Context(), killedEmail)
	if errors.Is(err, idp.ErrNotFound) {
		return s
	}
	h.check(err)
	s = accountState{
		Exists: true, Factors: len(u.TOTPs), Codes: u.RecoveryCodeCount(), Devices: len(u.Devices),
		IsDeletionPlanned: !u.DeletionAt.IsZero(), IsPaused: !u.ProofingPausedAt.IsZero(),
	}
	for name, password := range map[string]string{"old": oldPassword, "new": newPassword} {
		if u.PasswordHash == "" {
			break
		}
		isRight, _, err := h.Accounts.Hasher.Verify(h.t.Context(), u.PasswordHash, password)
		h.check(err)
		if isRight {
			s.Password = name
		}
	}
	var emails []string
	for _, e := range u.Emails {
		emails = append(emails, e.Address)
	}
	s.Emails = strings.Join(emails, " ")
	if service := u.Service(killedSP); service != nil {
		s.HasConsent = service.HasConsent()
	}
	if h.there != nil && h.there.Session() != "" {
		sessions, err := h.Store.Sessions(h.t.Context(), idp.SessionQuery{User: u.ID})
		h.check(err)
		s.HasOldSession = slices.ContainsFunc(sessions, func(x *idp.Session) bool { return x.ID == idp.HashSessionToken(h.there.Session()) })
	}
	return s
}

// note adds the state after a step.
func (h *house) note() { h.states = append(h.states, h.read()) }

// confirm proves a factor in the browser if the page asks for one.
func (h *house) confirm(b *idptest.Browser, path string) *idptest.Page {
	h.t.Helper()
	page := b.Get(path)
	if page.URL.Path == recentFactor {
		page = b.GiveCode(page, h.ann)
	}
	return page
}

// decodeSecret returns the bytes of a secret in base32.
func decodeSecret(t *testing.T, text string) []byte {
	t.Helper()
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// killedJourney is a journey of a user. pursue continues it from wherever the account is, as a
// determined user would, to its end.
type killedJourney struct {
	name    string
	prepare func(h *house)
	pursue  func(h *house)
	end     func(s accountState) bool
}

var killedJourneys = []killedJourney{
	{"registration", func(h *house) {
		b := h.Browser()
		b.Post("/sign-up", url.Values{"email": {killedEmail}})
		h.link = h.newestLink("/sign-up/confirm")
	}, func(h *house) {
		b := h.Browser()
		form := b.Get(h.link).Form()
		page := b.Get("/sign-in")
		switch {
		case form.Fields.Has("password"):
			form.Fields.Set("password", newPassword)
			page = b.Post(form.Action, form.Fields)
			h.note()
		case !h.read().Exists: // the link is used up: ask for another one
			b.Post("/sign-up", url.Values{"email": {killedEmail}})
			h.link = h.newestLink("/sign-up/confirm")
			form = b.Get(h.link).Form()
			form.Fields.Set("password", newPassword)
			page = b.Post(form.Action, form.Fields)
		}
		if page.URL.Path != "/sign-in/set-up" {
			page = b.Post("/sign-in", url.Values{"email": {killedEmail}, "password": {newPassword}})
		}
		if page.URL.Path != "/sign-in/set-up" { // the factor was set up before
			return
		}
		form = page.Form()
		secret := regexp.MustCompile(`secret=([A-Z2-7]+)`).FindStringSubmatch(string(page.Body))
		if secret == nil {
			return // the process is dead
		}
		h.Clock.Advance(30 * time.Second)
		code, err := account.ComputeCode(idp.TOTP{Secret: decodeSecret(h.t, secret[1]), Period: 30}, h.Clock.Now())
		h.check(err)
		form.Fields.Set("code", code)
		b.Post("/sign-in/set-up", form.Fields)
		h.note()
	}, func(s accountState) bool { return s.Password == "new" && s.Factors == 1 }},

	{"reset of the password", func(h *house) {
		h.addUser()
		h.Browser().Post("/sign-in/forgot", url.Values{"email": {killedEmail}})
		h.link = h.newestLink("/sign-in/reset")
	}, func(h *house) {
		b := h.Browser()
		form := b.Get(h.link).Form()
		if !form.Fields.Has("password") && h.read().Password == "old" {
			h.Clock.Advance(time.Minute)
			b.Post("/sign-in/forgot", url.Values{"email": {killedEmail}})
			form = b.Get(h.newestLink("/sign-in/reset")).Form()
		}
		if form.Fields.Has("password") {
			form.Fields.Set("password", newPassword)
			b.Post(form.Action, form.Fields)
			h.note()
		}
	}, func(s accountState) bool { return s.Password == "new" && !s.HasOldSession && s.Factors == 1 }},

	{"change of the password", func(h *house) { h.addUser() }, func(h *house) {
		if h.read().Password == "new" {
			return
		}
		h.confirm(h.here, "/account/password")
		h.here.Post("/account/password", url.Values{"password": {oldPassword}, "new_password": {newPassword}})
		h.note()
	}, func(s accountState) bool { return s.Password == "new" && !s.HasOldSession }},

	{"planned deletion", func(h *house) { h.addUser() }, func(h *house) {
		if s := h.read(); s.IsDeletionPlanned || !s.Exists {
			return
		}
		h.confirm(h.here, "/account/delete")
		h.here.Post("/account/delete", url.Values{"email": {killedEmail}})
		h.note()
	}, func(s accountState) bool { return s.IsDeletionPlanned && s.HasOldSession }},

	{"canceled deletion", func(h *house) {
		h.addUser()
		h.confirm(h.here, "/account/delete")
		h.here.Post("/account/delete", url.Values{"email": {killedEmail}})
	}, func(h *house) {
		h.here.Post("/account/delete/keep", nil)
		h.note()
	}, func(s accountState) bool { return s.Exists && !s.IsDeletionPlanned }},

	{"due deletion", func(h *house) {
		h.addUser()
		h.confirm(h.here, "/account/delete")
		h.here.Post("/account/delete", url.Values{"email": {killedEmail}})
		h.Clock.Advance(15 * 24 * time.Hour)
	}, func(h *house) {
		u, err := h.Store.UserByEmail(h.t.Context(), killedEmail)
		if errors.Is(err, idp.ErrNotFound) {
			return
		}
		h.check(err)
		_, err = h.Accounts.DeleteDue(h.t.Context(), u.ID, func(*idp.User) error { return nil })
		if !errors.Is(err, idptest.ErrKilled) {
			h.check(err)
		}
		h.note()
	}, func(s accountState) bool { return !s.Exists }},

	{"due reset of the factors", func(h *house) {
		h.addUser()
		_, err := h.Accounts.PlanFactorReset(h.t.Context(), killedEmail, h.Clock.Now().Add(time.Minute), "test")
		h.check(err)
		h.Clock.Advance(2 * time.Minute)
	}, func(h *house) {
		if _, err := h.Accounts.ApplyDueResets(h.t.Context()); !errors.Is(err, idptest.ErrKilled) {
			h.check(err)
		}
		h.note()
	}, func(s accountState) bool { return s.Factors == 0 && s.Codes == 0 && !s.HasOldSession }},

	{"recovery code", func(h *house) { h.addUser() }, func(h *house) {
		b := h.Browser()
		code := h.codes[0]
		if h.read().Codes < len(h.codes) {
			code = h.codes[1] // the first one was used up
		}
		b.Post("/sign-in", url.Values{"email": {killedEmail}, "password": {oldPassword}})
		b.Post("/sign-in/recovery-code", url.Values{"code": {code}})
		h.note()
	}, func(s accountState) bool { return s.Codes < account.RecoveryCodeCount && s.Factors == 1 }},

	{"another email address", func(h *house) {
		h.addUser()
		h.confirm(h.here, "/account/emails")
		h.here.Post("/account/emails", url.Values{"email": {secondEmail}})
		h.link = h.newestLink("/account/emails/confirm")
	}, func(h *house) {
		b := h.Browser()
		form := b.Get(h.link).Form()
		if !form.Fields.Has("token") && !strings.Contains(h.read().Emails, secondEmail) {
			h.Clock.Advance(time.Minute)
			h.confirm(h.here, "/account/emails")
			h.here.Post("/account/emails", url.Values{"email": {secondEmail}})
			form = b.Get(h.newestLink("/account/emails/confirm")).Form()
		}
		if form.Fields.Has("token") {
			b.Post(form.Action, form.Fields)
			h.note()
		}
	}, func(s accountState) bool { return strings.Contains(s.Emails, secondEmail) }},

	{"consent", func(h *house) { h.addUser() }, func(h *house) {
		if h.read().HasConsent {
			return
		}
		page := h.here.Get(h.sp.URL(&idptest.Request{}))
		if form := page.Form(); form.Fields.Has("shown") {
			h.here.Post(form.Action, form.Fields)
		}
		h.note()
	}, func(s accountState) bool { return s.HasConsent }},

	{"withdrawal", func(h *house) {
		h.addUser()
		form := h.here.Get(h.sp.URL(&idptest.Request{})).Form()
		if page := h.here.Post(form.Action, form.Fields); page.Response() == nil {
			h.t.Fatalf("no Response: %d %s", page.Status, page.URL)
		}
	}, func(h *house) {
		if !h.read().HasConsent {
			return
		}
		h.here.Post("/account/services/withdraw", url.Values{"service": {killedSP}, "sure": {"yes"}})
		h.note()
	}, func(s accountState) bool { return !s.HasConsent }},
}

// TestKilledJourneyIsWholeOrAbsent kills the server at every write of each journey, before and after
// the write is durable, and starts it again. The account is as it was before a step or after it, and
// the user can complete the journey.
func TestKilledJourneyIsWholeOrAbsent(t *testing.T) {
	t.Parallel()
	for _, tt := range killedJourneys {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			tt.prepare(h)
			h.note()
			tt.pursue(h)
			h.note()
			states := h.states
			if last := states[len(states)-1]; !tt.end(last) || states[0] == last {
				t.Fatalf("the journey does not end: %+v", states)
			}
			for writes := 0; ; writes++ {
				for _, isAfter := range []bool{false, true} {
					h := newHouse(t)
					tt.prepare(h)
					h.killer.Arm(writes, isAfter)
					tt.pursue(h)
					if !h.killer.Disarm() {
						if writes == 0 {
							t.Error("the journey writes nothing")
						}
						return
					}
					h.Stop()
					h.Start()
					if killed := h.read(); !slices.Contains(states, killed) {
						t.Errorf("write %d, after it: %t: the account is neither before nor after a step: %+v, not one of %+v", writes, isAfter, killed, states)
					}
					h.Clock.Advance(time.Second)
					tt.pursue(h)
					if got := h.read(); !tt.end(got) {
						t.Errorf("write %d, after it: %t: the user cannot go on: %+v", writes, isAfter, got)
					}
					h.Stop()
				}
			}
		})
	}
}
