package authn_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/idptest"
)

// rememberBrowser returns a browser in which the user has signed in and asked to be remembered.
func rememberBrowser(t *testing.T, i *idptest.IdP, p *idptest.User) *idptest.Browser {
	t.Helper()
	b := i.Browser()
	checkPage(t, b.GiveCode(b.GivePassword(b.Get("/sign-in"), p), p, "remember"), http.StatusOK, text("account.sign_out"))
	return b
}

// asksForCode reports whether the next sign-in in the browser asks for a code.
func asksForCode(t *testing.T, b *idptest.Browser, p *idptest.User) bool {
	t.Helper()
	b.Post("/account/sign-out", nil)
	page := b.GivePassword(b.Get("/sign-in"), p)
	_, code := page.Form().Fields["code"]
	if !code {
		checkPage(t, page, http.StatusOK, text("account.sign_out"))
	}
	return code
}

// devices returns the IDs of the devices in the page's forms.
func devices(page *idptest.Page) (all []string) {
	for _, m := range regexp.MustCompile(`name="device" value="([0-9a-f]+)"`).FindAllSubmatch(page.Body, -1) {
		all = append(all, string(m[1]))
	}
	return all
}

func TestForgetDevices(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann, bob := i.AddUser("ann@example.gov"), i.AddUser("bob@example.gov")
	one := rememberBrowser(t, i, ann)
	i.Clock.Advance(time.Minute)
	two := rememberBrowser(t, i, ann)
	bobs := rememberBrowser(t, i, bob)
	third, _ := signIn(t, i, ann)

	checkPage(t, third.Get("/account/sessions"), http.StatusOK, text("account.remembered"), text("account.remembered_unused"))
	names := devices(third.Get("/account/sessions"))
	bobsNames := devices(bobs.Get("/account/sessions"))
	if len(names) != 2 || len(bobsNames) != 1 {
		t.Fatalf("listed: %v, and bob's %v", names, bobsNames)
	}
	if body := string(two.Get("/account/sessions").Body); strings.Count(body, "vernal-this") != 2 || !strings.Contains(body, `id="remembered-`+names[0]) {
		t.Error("the page does not mark which device is this one")
	}
	if strings.Contains(string(third.Get("/account/sessions").Body), bobsNames[0]) {
		t.Error("the page lists another user's device")
	}

	// Another user's devices stay, and so does everything if another site sends the form.
	form := func(name string) url.Values { return url.Values{"device": {name}} }
	checkPage(t, one.Post("/account/devices/forget", form(bobsNames[0])), http.StatusOK, text("notice.device_forgotten"))
	checkPage(t, one.Post("/account/devices/forget", nil), http.StatusBadRequest)
	checkPage(t, one.CrossSitePost("/account/devices/forget-all", nil), http.StatusForbidden)
	checkPage(t, i.Browser().Post("/account/devices/forget-all", nil), http.StatusOK, "Password")
	if asksForCode(t, bobs, bob) || asksForCode(t, one, ann) {
		t.Error("a device was forgotten by a user who may not")
	}
	if n := strings.Count(one.Get("/account/sessions").Text(), "\n"+text("account.remembered_unused")+"\n"); n != 1 {
		t.Errorf("%d devices were not used yet, want the other one alone", n)
	}

	// Forget the newer device from another browser. No session ends.
	checkPage(t, one.Post("/account/devices/forget", form(names[0])), http.StatusOK, text("notice.device_forgotten"))
	checkPage(t, two.Get("/account"), http.StatusOK, text("account.sign_out"), ann.Email)
	if !asksForCode(t, two, ann) || asksForCode(t, one, ann) {
		t.Error("not the device that was named was forgotten")
	}
	checkPage(t, one.Post("/account/devices/forget-all", nil), http.StatusOK, text("notice.devices_forgotten"), text("account.remembered_none"))
	checkPage(t, third.Get("/account"), http.StatusOK, ann.Email)
	if !asksForCode(t, one, ann) || asksForCode(t, bobs, bob) {
		t.Error("the wrong devices were forgotten")
	}

	records, err := audit.Records(t.Context(), i.Store, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var forgotten []string
	for _, r := range records {
		if r.Kind == "user.forget_device" && r.User == ann.Record.ID && r.Actor == "user:"+string(ann.Record.ID) {
			forgotten = append(forgotten, r.Detail["device"])
		}
	}
	if len(forgotten) != 2 || forgotten[0] != names[0] || forgotten[1] != names[1] {
		t.Errorf("recorded: %v, want %v", forgotten, names)
	}
}

// A browser that is remembered again is one device, and after 30 days it is none.
func TestRememberedDeviceExpiresAfter30Days(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann := i.AddUser("ann@example.gov")
	b := rememberBrowser(t, i, ann)
	i.Clock.Advance(29 * 24 * time.Hour)
	if asksForCode(t, b, ann) {
		t.Fatal("asked for a code after 29 days")
	}
	first := devices(b.Get("/account/sessions"))
	i.Clock.Advance(24 * time.Hour)
	b.Post("/account/sign-out", nil)
	checkPage(t, b.GiveCode(b.GivePassword(b.Get("/sign-in"), ann), ann, "remember"), http.StatusOK, text("account.sign_out"))
	if now := devices(b.Get("/account/sessions")); len(now) != 1 || len(first) != 1 || now[0] == first[0] {
		t.Errorf("listed first %v, then %v", first, now)
	}
	if u, err := i.Store.User(t.Context(), ann.Record.ID); err != nil || len(u.Devices) != 1 {
		t.Errorf("kept: %d devices, %v", len(u.Devices), err)
	}
	i.Clock.Advance(30 * 24 * time.Hour)
	other, _ := signIn(t, i, ann)
	checkPage(t, other.Get("/account/sessions"), http.StatusOK, text("account.remembered_none"))
}

// Changes to how a user signs in remove their remembered devices, as seen from a browser.
func TestChangesForgetDevices(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(i *idptest.IdP, p *idptest.User) error
	}{
		{"password", func(i *idptest.IdP, p *idptest.User) error {
			p.Password = "another otter mends ten kettles"
			_, err := i.Accounts.SetPassword(t.Context(), p.Email, p.Password, "test")
			return err
		}},
		{"lock", func(i *idptest.IdP, p *idptest.User) error {
			if _, err := i.Accounts.Lock(t.Context(), p.Email, "test", "test"); err != nil {
				return err
			}
			return i.Accounts.Unlock(t.Context(), p.Email, "test")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i := idptest.New(t, idptest.Options{})
			ann := i.AddUser("ann@example.gov")
			b := rememberBrowser(t, i, ann)
			if err := tt.change(i, ann); err != nil {
				t.Fatal(err)
			}
			if !asksForCode(t, b, ann) {
				t.Error("the device is remembered")
			}
			other, _ := signIn(t, i, ann)
			checkPage(t, other.Get("/account/sessions"), http.StatusOK, text("account.remembered_none"))
		})
	}
	t.Run("reset-mfa", func(t *testing.T) {
		t.Parallel()
		i := idptest.New(t, idptest.Options{})
		ann := i.AddUser("ann@example.gov")
		b := rememberBrowser(t, i, ann)
		if _, err := i.Accounts.ResetMFA(t.Context(), ann.Email, "test"); err != nil {
			t.Fatal(err)
		}
		b.Post("/account/sign-out", nil)
		page := b.GivePassword(b.Get("/sign-in"), ann)
		if b.Session() != "" || strings.Contains(page.Text(), text("account.sign_out")) {
			t.Errorf("the device replaces a factor that was removed:\n%s", page.Text())
		}
		if u, err := i.Store.User(t.Context(), ann.Record.ID); err != nil || len(u.Devices) != 0 {
			t.Errorf("kept: %v, %v", u.Devices, err)
		}
	})
}

// A user who forgets a device while it is being used is asked for a code, or was signed in
// before. The device is never remembered afterwards.
func TestForgottenDeviceStaysForgotten(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann := i.AddUser("ann@example.gov")
	b := rememberBrowser(t, i, ann)
	other, _ := signIn(t, i, ann)
	b.Post("/account/sign-out", nil)
	page := b.Get("/sign-in")
	done := make(chan struct{})
	go func() {
		defer close(done)
		other.Post("/account/devices/forget-all", nil)
	}()
	b.GivePassword(page, ann)
	<-done
	if !asksForCode(t, b, ann) {
		t.Error("the device is remembered")
	}
	if _, err := i.Accounts.UseDevice(t.Context(), ann.Record.ID, []byte("no such"), account.SignIn{EmailMark: ""}); err == nil {
		t.Error("a device was used that is not there")
	}
}
