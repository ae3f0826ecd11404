package authn_test

import (
	"bytes"
	"net/http"
	"net/url"
	"strconv"
	"testing"

	"vernal/idp/account"
	"vernal/idp/idptest"
)

// crowd keeps the maximum number of attempts for an email address in progress, until all of
// them leave.
func crowd(t *testing.T, i *idptest.IdP, email string) (leave func()) {
	t.Helper()
	var all []func()
	for {
		l, err := i.Accounts.Hasher.Enter(t.Context(), account.Attempt{Account: email})
		if err != nil {
			break
		}
		all = append(all, l)
	}
	return func() {
		for _, l := range all {
			l()
		}
	}
}

// An attempt that finds no room gets a page with 503 and Retry-After that keeps the email
// address. The page is the same whether or not the email address has an account. The attempt
// is not a guess and is not counted.
func TestBusySignInAnswers503(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann := i.AddUser("ann@example.gov")
	_, last := recordsAfter(t, i, 0)
	limit := account.DefaultLimits().AccountNetwork.Max
	try := func(email string) *idptest.Page {
		t.Helper()
		leave := crowd(t, i, email)
		defer leave()
		var page *idptest.Page
		for range limit + 1 {
			page = i.Browser().Post("/sign-in", url.Values{"email": {email}, "password": {ann.Password}})
			seconds, err := strconv.Atoi(page.Header.Get("Retry-After"))
			if page.Status != http.StatusServiceUnavailable || err != nil || seconds < 1 {
				t.Fatalf("%s: %d, Retry-After %q; want 503 with seconds", email, page.Status, page.Header.Get("Retry-After"))
			}
		}
		if form := page.Form(); form.Action != "/sign-in" || form.Fields.Get("email") != email || form.Fields.Get("password") != "" {
			t.Errorf("%s: the form has %v", email, form)
		}
		return page
	}
	has, no := try(ann.Email), try("inven@example.gov")
	if same := bytes.ReplaceAll(no.Body, []byte("inven@"), []byte("ann@")); !bytes.Equal(dropNonce(has.Body), dropNonce(same)) {
		t.Error("the page discloses whether the account exists")
	}
	records, _ := recordsAfter(t, i, last)
	if n := countRecords(records, "refusal", "busy", ""); n != 2*(limit+1) || n != len(records) {
		t.Errorf("%d attempts left %+v", 2*(limit+1), records)
	}
	page := i.Browser().Post("/sign-in", url.Values{"email": {ann.Email}, "password": {ann.Password}})
	if page.Form().Action != "/sign-in/code" {
		t.Errorf("after the crowd: %d %s", page.Status, page.URL)
	}
}
