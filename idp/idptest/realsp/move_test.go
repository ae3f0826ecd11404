//go:build realsp

package realsp

import (
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"vernal/idp/idptest/binary"
)

// movers are the service providers that are moved, in the order of their moves.
var movers = []string{"mellon", "shibboleth"}

// move is an installation of two years, and service providers on their way from
// the one to the other.
type move struct {
	*deployment
	old, new  string            // years
	certs     map[string]string // the certificate of each year, a file
	preferred string            // the year
	moved     map[string]bool   // the providers that have the new year's metadata
	residents map[string]*resident
	requests  map[string]map[string]int // by provider and year
}

// resident is a user who stays signed in with us throughout, and whose session at the
// service provider ends between two sign-ins.
type resident struct {
	tab    *tab
	person *binary.User
	nameID string
}

// TestProvidersMoveToNewYear moves mod_auth_mellon and Shibboleth from one year to the next
// by replacing their metadata file, one after the other, while both years are live. Both
// sign users in at every stage, and the migration board shows which one has moved.
func TestProvidersMoveToNewYear(t *testing.T) {
	m := newMove(t)
	m.round(t, "one year")
	half := m.begin(t, "mellon")
	m.publish(t)
	m.round(t, "both years live")
	m.idp.Run(t, "", "rotation", "prefer", m.new)
	m.preferred = m.new
	m.round(t, "the new year preferred")
	half()

	m.replaceMellon(t)
	m.round(t, "mellon moved")
	m.replaceShibboleth(t)
	m.round(t, "both moved")

	for _, key := range movers { // the new year's logout addresses work as well
		b := m.residents[key].tab
		b.open(m.sps[key].base + m.sps[key].logOut)
		b.expect(pageSignedOut)
		m.checkYear(t, key+" logs out", key, b.last(), logoutResponseName)
	}
}

// newMove starts the installation, with a key of the year after the preferred
// one, and the service providers with the preferred year's metadata.
func newMove(t *testing.T) *move {
	manual := binary.Build{Env: []string{"VERNAL_ROTATION_AUTOMATIC=false"}}
	w := newIdP(t, manual, "apache2", "shibd", "chromium", "xmlsec1", "xmllint")
	n, err := strconv.Atoi(w.year)
	if err != nil {
		t.Fatal(err)
	}
	m := &move{
		deployment: w, old: w.year, new: strconv.Itoa(n + 1), preferred: w.year,
		certs: map[string]string{w.year: w.cert}, moved: map[string]bool{},
		residents: map[string]*resident{}, requests: map[string]map[string]int{},
	}
	if m.status(t).state(m.new) == "planned" { // from January on the first start has made it
		m.idp.Run(t, "", "rotation", "create", m.new, "--yes", m.new)
	}
	m.metadataFiles = true
	m.startMellon(t)
	m.startShibboleth(t)
	m.startBrowser(t)
	for _, key := range movers {
		m.requests[key] = map[string]int{}
		m.residents[key] = &resident{tab: m.profile(t), person: m.idp.AddUser(t, "resident-"+key+"@example.org")}
	}
	return m
}

// publish opens the new year.
func (m *move) publish(t *testing.T) {
	t.Helper()
	if m.status(t).state(m.new) == "created" { // from February on the first start has opened it
		m.idp.Run(t, "", "rotation", "publish", m.new)
	}
	m.certs[m.new] = m.certificate(t, m.new)
}

// year returns the year whose metadata the service provider has.
func (m *move) year(key string) string {
	if m.moved[key] {
		return m.new
	}
	return m.old
}

// round signs users in at every service provider and checks the NameIDs, the key that
// signed, and the migration board.
func (m *move) round(t *testing.T, stage string) {
	t.Helper()
	for _, key := range movers {
		what, sp := stage+": "+key, m.sps[key]
		m.begin(t, key)()

		r := m.residents[key]
		before := len(r.tab.listPosted())
		if r.nameID == "" {
			r.nameID = r.tab.signIn(sp, "resident", r.person)
		} else {
			r.tab.forget(sp.base)
			if nameID := r.tab.passThrough(sp, "resident", r.person); nameID != r.nameID {
				t.Errorf("%s: the person is %s, was %s", what, nameID, r.nameID)
			}
		}
		m.requests[key][m.year(key)]++
		if n := len(r.tab.listPosted()) - before; n != 1 {
			t.Errorf("%s: %d Responses were posted, want 1", what, n)
		}
		m.checkYear(t, what, key, r.tab.last(), assertionName)
		m.checkBoard(t, what, key)
	}
}

// begin starts the sign-in of a new user. The returned function completes it.
func (m *move) begin(t *testing.T, key string) (end func()) {
	t.Helper()
	sp, b := m.sps[key], m.profile(t)
	person := m.idp.AddUser(t, "new-"+key+strconv.Itoa(m.requests[key][m.old]+m.requests[key][m.new])+"@example.org")
	b.open(sp.secret("new"))
	m.requests[key][m.year(key)]++
	b.givePassword(person)
	b.expect(pageCode)
	return func() {
		t.Helper()
		b.giveCode(person)
		b.arrived(sp, "new", person)
		m.checkYear(t, key+" signs a new user in", key, b.response(), assertionName)
	}
}

// replaceMellon replaces Mellon's metadata file. It reads it when Apache starts
// its processes.
func (m *move) replaceMellon(t *testing.T) {
	t.Helper()
	m.replace(t, "mellon", "apache/idp.xml", func() {
		conf := filepath.Join(m.dir, "apache/apache.conf")
		if out, err := exec.CommandContext(t.Context(), binary.Need(t, "apache2"), "-f", conf, "-k", "restart").CombinedOutput(); err != nil {
			t.Fatalf("apache2 -k restart: %v\n%s", err, out)
		}
	})
}

// replaceShibboleth replaces Shibboleth's metadata file, which it notices.
func (m *move) replaceShibboleth(t *testing.T) {
	t.Helper()
	m.replace(t, "shibboleth", "shibboleth/idp.xml", func() {})
}

// replace replaces a service provider's metadata of the old year with that of the new one,
// and waits until the service provider redirects there.
func (m *move) replace(t *testing.T, key, name string, reload func()) {
	t.Helper()
	if to := m.leadsTo(t, key); to != "/api/saml/auth"+m.old {
		t.Fatalf("%s leads to %s before its move", key, to)
	}
	fresh := m.write(t, name+".new", m.metadata(t, m.new))
	if err := os.Rename(fresh, filepath.Join(m.dir, name)); err != nil {
		t.Fatal(err)
	}
	reload()
	m.moved[key] = true
	want := "/api/saml/auth" + m.new
	binary.WaitUntil(t, startTime, key+" leads to "+want, func() error {
		return differs(want, m.leadsTo(t, key))
	})
}

// leadsTo returns the path of ours to which the service provider redirects users without a
// session. If it does not redirect, leadsTo returns the error text.
func (m *move) leadsTo(t *testing.T, key string) string {
	t.Helper()
	ours, err := url.Parse(m.idp.BaseURL)
	if err != nil {
		t.Fatal(err)
	}
	client, to := binary.Client(), "nowhere"
	client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Host != ours.Host {
			return nil
		}
		to = r.URL.Path
		return http.ErrUseLastResponse
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, m.sps[key].secret("anybody"), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return strings.TrimSpace(err.Error()) // Apache is restarting
	}
	_ = resp.Body.Close()
	return to
}
