package authn_test

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/idptest"
	"vernal/idp/maillink"
	"vernal/idp/sharelink"
)

// typedFields are the fields that users fill in.
var typedFields = []string{"email", "password", "code", "remember"}

// outline returns the elements of a page's main part with their attributes, without texts and
// the users' input.
func outline(page *idptest.Page) (all []string) {
	for main := range page.Doc.Descendants() {
		if main.Data != "main" {
			continue
		}
		for n := range main.Descendants() {
			if n.Type != html.ElementNode {
				continue
			}
			one := n.Data
			for _, a := range n.Attr {
				input := a.Key == "value" || a.Key == "checked"
				if a.Key == "aria-label" {
					continue // a text
				}
				if input && slices.Contains(typedFields, attribute(n, "name")) {
					continue // checked apart
				}
				one += " " + a.Key + "=" + a.Val
			}
			all = append(all, one)
		}
	}
	return all
}

// switchTo sends the switcher of a page, with the page's own form if that carries it.
func switchTo(t *testing.T, b *idptest.Browser, page *idptest.Page, lang string, typed url.Values) *idptest.Page {
	t.Helper()
	form := idptest.Form{Fields: url.Values{}}
	for n := range page.Doc.Descendants() {
		if n.Data == "form" && attribute(n, "class") == "vernal-languages" {
			form.Action = attribute(n, "action")
			for input := range n.Descendants() {
				if input.Data == "input" {
					form.Fields.Set(attribute(input, "name"), attribute(input, "value"))
				}
			}
		}
		if n.Data == "button" && attribute(n, "name") == "language" && attribute(n, "form") != "" {
			form = page.Form()
			for name, values := range typed {
				form.Fields[name] = values
			}
		}
	}
	if form.Action == "" {
		t.Fatalf("%s has no switcher", page.URL)
	}
	form.Fields.Set("language", lang)
	return b.Post(form.Action, form.Fields)
}

// TestLanguageSwitchKeepsPage checks for every page with a form that the switch of the language
// changes nothing but the language: notices, errors, the input and ticked boxes stay.
func TestLanguageSwitchKeepsPage(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{Years: []idp.Year{"2090"}, HasMail: true, Users: account.Settings{
		SignUp: account.SignUpOpen, Rules: map[string]string{"en": "Be kind."},
	}})
	ann, provider := i.AddUser("ann@example.gov"), i.AddProvider("https://sp.example.gov")
	typed := url.Values{"email": {"half@typed"}, "remember": {"yes"}}
	signedIn := func() *idptest.Browser {
		b := i.Browser()
		b.SignIn(b.Get("/sign-in"), ann)
		return b
	}
	tests := []struct {
		name, template string
		open           func() (*idptest.Browser, *idptest.Page)
	}{
		{"sign-in", "signin", func() (*idptest.Browser, *idptest.Page) {
			b := i.Browser()
			return b, b.Get(provider.URL(&idptest.Request{}))
		}},
		{"sign-in again", "signin", func() (*idptest.Browser, *idptest.Page) {
			b := signedIn()
			return b, b.Get(provider.URL(&idptest.Request{ForceAuthn: true}))
		}},
		{"sign-in again, wrong password", "signin", func() (*idptest.Browser, *idptest.Page) {
			b := signedIn()
			form := b.Get(provider.URL(&idptest.Request{ForceAuthn: true})).Form()
			form.Fields.Set("email", "ann")
			form.Fields.Set("password", "any")
			return b, b.Post(form.Action, form.Fields)
		}},
		{"sign-in after the time is over", "signin", func() (*idptest.Browser, *idptest.Page) {
			b := i.Browser()
			b.GivePassword(b.Get(provider.URL(&idptest.Request{})), ann)
			i.Clock.Advance(11 * time.Minute)
			return b, b.Get("/sign-in/code")
		}},
		{"code", "code", func() (*idptest.Browser, *idptest.Page) {
			b := i.Browser()
			return b, b.GivePassword(b.Get(provider.URL(&idptest.Request{})), ann)
		}},
		{"code after more time", "code", func() (*idptest.Browser, *idptest.Page) {
			b := i.Browser()
			form := b.GivePassword(b.Get(provider.URL(&idptest.Request{})), ann).Form()
			form.Fields.Set("more", "yes")
			return b, b.Post(form.Action, form.Fields)
		}},
		{"wrong code", "code", func() (*idptest.Browser, *idptest.Page) {
			b := i.Browser()
			form := b.GivePassword(b.Get(provider.URL(&idptest.Request{})), ann).Form()
			form.Fields.Set("code", "12")
			return b, b.Post(form.Action, form.Fields)
		}},
		{"sign up", "signup", func() (*idptest.Browser, *idptest.Page) {
			b := i.Browser()
			return b, b.Post("/sign-up", url.Values{"email": {"half"}})
		}},
		{"sign up, mail sent", "signupsent", func() (*idptest.Browser, *idptest.Page) {
			b := i.Browser()
			return b, b.Post("/sign-up", url.Values{"email": {"eve@example.gov"}})
		}},
		{"sign up, password", "signupconfirm", func() (*idptest.Browser, *idptest.Page) {
			token, err := i.MailLinks.Issue(t.Context(), maillink.Link{Purpose: maillink.SignUp, Email: "eve@example.gov"})
			if err != nil {
				t.Fatal(err)
			}
			b := i.Browser()
			return b, b.Post("/sign-up/confirm", url.Values{"token": {token}, "password": {"short"}})
		}},
		{"set-up", "setup", func() (*idptest.Browser, *idptest.Page) {
			zoe, b := i.AddUser("zoe@example.gov"), i.Browser()
			if _, err := i.Accounts.ResetMFA(t.Context(), zoe.Email, "test"); err != nil {
				t.Fatal(err)
			}
			b.GivePassword(b.Get(provider.URL(&idptest.Request{})), zoe)
			return b, b.Post("/sign-in/set-up", url.Values{"code": {"12"}})
		}},
		{"recovery codes", "recoverycodes", func() (*idptest.Browser, *idptest.Page) {
			b := signedIn()
			return b, b.Get("/sign-in/recovery-codes")
		}},
		{"account", "account", func() (*idptest.Browser, *idptest.Page) {
			signedIn()
			b := signedIn()
			return b, b.Post("/account/sessions/end-others", url.Values{})
		}},
		{"stay", "stay", func() (*idptest.Browser, *idptest.Page) {
			b := signedIn()
			return b, b.Get("/account/stay")
		}},
		{"session ended", "sessionended", func() (*idptest.Browser, *idptest.Page) {
			b := signedIn()
			i.Clock.Advance(20 * time.Minute)
			return b, b.Get("/account")
		}},
		{"confirm", "confirm", func() (*idptest.Browser, *idptest.Page) {
			b := signedIn()
			return b, b.Get("/api/saml/logout" + string(i.Year()))
		}},
		{"preview", "preview", func() (*idptest.Browser, *idptest.Page) {
			_, token, err := i.Links.Create(t.Context(), sharelink.Link{
				Kind: sharelink.Preview, Year: "2090", SP: idp.EntityID(provider.EntityID), ExpiresAt: i.Clock.Now().Add(time.Hour),
			}, "test")
			if err != nil {
				t.Fatal(err)
			}
			b := i.Browser()
			return b, b.Get("/developers/preview?link=" + url.QueryEscape(token))
		}},
	}
	covered := map[string]bool{
		"layout": true, "parts": true, // of all pages
		"logout": true, "response": true, // without a switcher, because they post at once
		"board": true, "wall": true, // of the admin listener, whose switcher is links
		"demosignedin": true, // no page of ours
		"retired":      true, // answers a GET, whose URL is all of its state
	}
	for _, tt := range tests {
		covered[tt.template] = true
		t.Run(tt.name, func(t *testing.T) {
			b, page := tt.open()
			want := strings.Join(outline(page), "\n")
			after := switchTo(t, b, page, "es", typed)
			if got := after.Header.Get("Content-Language"); got != "es" || page.Header.Get("Content-Language") == got {
				t.Errorf("the language is %q, before %q", got, page.Header.Get("Content-Language"))
			}
			if got := strings.Join(outline(after), "\n"); got != want {
				t.Errorf("before:\n%s\nafter:\n%s", want, got)
			}
			now := after.Form().Fields
			for name, values := range typed {
				if offered := strings.Contains(want, "name="+name+" "); offered && now.Get(name) != values[0] {
					t.Errorf("the field %s is %q", name, now.Get(name))
				}
			}
		})
	}
	files, err := filepath.Glob("../../templates/pages/*.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if name := strings.TrimSuffix(filepath.Base(file), ".html"); strings.Contains(string(data), "<form") && !covered[name] {
			t.Errorf("%s has a form and is not in this test", name)
		}
	}
}
