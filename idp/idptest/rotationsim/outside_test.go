package rotationsim

import (
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	crewjam "github.com/crewjam/saml"
	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/rotation"
)

// get requests a URL as software does, which accepts no pages.
func (w *deployment) get(path string) (status int, body []byte) {
	w.t.Helper()
	resp, err := w.i.Client.Get(w.i.URL + path)
	if err != nil {
		w.t.Fatalf("%s: %v", w.stamp(), err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		w.t.Fatalf("%s: GET %s: %v", w.stamp(), path, err)
	}
	return resp.StatusCode, body
}

// status returns the HTTP status of a path.
func (w *deployment) status(path string) int {
	status, _ := w.get(path)
	return status
}

// document returns the body of a path, which must answer 200.
func (w *deployment) document(path string) []byte {
	w.t.Helper()
	status, body := w.get(path)
	if status != http.StatusOK {
		w.t.Fatalf("%s: GET %s: %d\n%s", w.stamp(), path, status, body)
	}
	return body
}

// metadata returns the metadata of a year, the stable one for "".
func (w *deployment) metadata(year string) *crewjam.EntityDescriptor {
	md, err := parseMetadata(w.document("/api/saml/metadata" + year))
	if err != nil {
		w.t.Fatalf("%s: metadata%s: %v", w.day(), year, err)
	}
	return md
}

// stable returns today's stable metadata.
func (w *deployment) stable() *crewjam.EntityDescriptor {
	if key := w.stamp(); w.stableAt != key {
		w.stableAt, w.stableDoc = key, w.metadata("")
	}
	return w.stableDoc
}

// certificate returns the content of /certificate{year}.pem as base64. It never changes.
func (w *deployment) certificate(y idp.Year) string {
	if c := w.pems[y]; c != "" {
		return c
	}
	text := w.document("/api/saml/certificate" + string(y) + ".pem")
	block, _ := pem.Decode(text)
	if block == nil {
		w.t.Fatalf("%s: certificate%s.pem is none:\n%s", w.day(), y, text)
	}
	lines := strings.Fields(string(text[len("-----BEGIN CERTIFICATE-----"):]))
	w.pems[y] = strings.Join(lines[:len(lines)-2], "")
	return w.pems[y]
}

// certEnd returns the end of a certificate.
func (w *deployment) certEnd(c string) time.Time {
	if w.ends[c].IsZero() {
		w.ends[c] = parseCert(c).NotAfter
	}
	return w.ends[c]
}

func parseCert(c string) *x509.Certificate {
	cert, err := x509.ParseCertificate(decode64(c))
	if err != nil {
		panic(err)
	}
	return cert
}

// compare holds what anyone can see with the expected dates: the URLs of the
// years around today's, the stable metadata.
func (w *deployment) compare() {
	w.t.Helper()
	now := w.now()
	for _, l := range lives {
		past, future := certEnd(l.year).Before(now.AddDate(-1, 0, 0)), at(l.created).After(now.AddDate(0, 1, 0))
		if !past && !future || now.YearDay() <= 3 {
			w.compareYear(l.year, state(l.year, now))
		}
	}
	want := live(now)
	md := w.stable()
	if y := ssoYear(md); y != want[0] {
		w.t.Errorf("%s: the stable metadata has the addresses of %s, want %s", w.stamp(), y, want[0])
	}
	var wantCerts []string
	for _, y := range want {
		wantCerts = append(wantCerts, w.certificate(y))
	}
	if got := certificates(md); !slices.Equal(got, wantCerts) {
		w.t.Errorf("%s: the stable metadata has %d certificates (%s), want those of %v", w.stamp(), len(got), w.yearsOf(got), want)
	}
	if until := md.ValidUntil; until.Sub(now) < 14*24*time.Hour || until.Sub(now) > 21*24*time.Hour {
		w.t.Errorf("%s: the stable metadata is valid until %s", w.stamp(), until)
	}
	if !at(begin).Equal(now) && !w.changes[w.day()] {
		return
	}
	if got := w.status("/readyz"); got != http.StatusOK {
		w.t.Errorf("%s: /readyz answers %d", w.stamp(), got)
	}
}

// yearsOf returns the years that the certificates belong to.
func (w *deployment) yearsOf(list []string) (years []idp.Year) {
	for _, c := range list {
		y := idp.Year("?")
		for of, pem := range w.pems {
			if pem == c {
				y = of
			}
		}
		years = append(years, y)
	}
	return years
}

// compareYear asks for a year's addresses.
func (w *deployment) compareYear(y idp.Year, s rotation.State) {
	w.t.Helper()
	want := http.StatusNotFound
	switch {
	case s.IsLive():
		want = http.StatusOK
	case s.IsOver():
		want = http.StatusGone
	}
	if got := w.status("/api/saml/metadata" + string(y)); got != want {
		w.t.Errorf("%s: metadata%s answers %d, want %d: it is %s", w.stamp(), y, got, want, s)
	}
	if !w.changes[w.day()] {
		return
	}
	wantAuth := want
	if s.IsLive() {
		wantAuth = http.StatusBadRequest // without an AuthnRequest
	}
	if got := w.status("/api/saml/auth" + string(y)); got != wantAuth {
		w.t.Errorf("%s: auth%s answers %d, want %d: it is %s", w.stamp(), y, got, wantAuth, s)
	}
	wantPEM := http.StatusOK // permanently, once it is published
	if !s.IsLive() && !s.IsOver() {
		wantPEM = http.StatusNotFound
	}
	if got := w.status("/api/saml/certificate" + string(y) + ".pem"); got != wantPEM {
		w.t.Errorf("%s: certificate%s.pem answers %d, want %d: it is %s", w.stamp(), y, got, wantPEM, s)
	}
}

// compareAttention checks that a retirement that is due and held is reported, and no other.
func (w *deployment) compareAttention() {
	w.t.Helper()
	st, err := w.i.Rotation.Status(w.t.Context(), nil)
	if err != nil {
		w.t.Fatalf("%s: status: %v", w.stamp(), err)
	}
	for _, y := range live(w.now())[1:] {
		due := y < preferred(w.now()) && !w.now().Before(certEnd(y).AddDate(0, 3, 0)) // 1 July
		reported := slices.ContainsFunc(st.Attention, func(a rotation.Attention) bool { return a.Code == rotation.StepHeld && a.Year == y })
		if y < preferred(w.now()) && reported != due {
			w.t.Errorf("%s: the retirement of %s is due and held: %v, reported: %v", w.stamp(), y, due, reported)
		}
	}
}

// compareBoard compares the service providers that have not moved, by the migration board,
// with the partners.
func (w *deployment) compareBoard() {
	w.t.Helper()
	board, err := w.i.Board.Board(w.t.Context())
	if err != nil {
		w.t.Fatalf("%s: board: %v", w.stamp(), err)
	}
	for _, y := range live(w.now()) {
		var want, got []string
		for _, p := range w.partners {
			if p.unmoved(y, w.now()) {
				want = append(want, p.EntityID)
			}
		}
		for _, l := range board.SPs {
			if slices.Contains(l.YearsToLeave, y) {
				got = append(got, string(l.SP))
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			w.t.Errorf("%s: not moved on from %s by the board (-want +got):\n%s", w.stamp(), y, diff)
		}
	}
}

// entry is a step in the audit trail.
type entry struct {
	At   string
	Kind string
	Year idp.Year
}

// compareTrail compares the whole audit trail with the expected dates.
func (w *deployment) compareTrail() {
	w.t.Helper()
	var want []entry
	expect := func(text, kind string, y idp.Year) {
		if text != "" && !at(text).After(w.now()) {
			want = append(want, entry{at(text).Format("2006-01-02 15:04"), kind, y})
		}
	}
	for _, l := range lives {
		expect(l.created, "rotation.create", l.year)
		if l.year != "2031b" { // published and preferred by the revocation
			expect(l.published, "rotation.publish", l.year)
		}
		expect(l.retired, "rotation."+string(l.end), l.year)
		expect(l.destroyed, "rotation.destroy", l.year)
	}
	for _, p := range preference {
		if p.by != "" {
			expect(p.from, "rotation."+string(p.by), p.year)
		}
	}
	expect("2035-07-08 12:10", "rotation.confirm-clock", "")

	var got []entry
	signIns := 0
	for seq, more := uint64(0), true; more; {
		records, err := audit.Records(w.t.Context(), w.i.Store, seq, 1000)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, r := range records {
			if strings.HasPrefix(string(r.Kind), "rotation.") {
				got = append(got, entry{r.At.Format("2006-01-02 15:04"), string(r.Kind), r.Year})
			} else if r.SP != "" {
				signIns++
			}
			seq = r.Seq
		}
		more = len(records) > 0
	}
	p, err := w.i.Trail.Verify(w.t.Context(), audit.Progress{}, nil, time.Hour)
	if err != nil || p.Broken != nil {
		w.t.Errorf("the audit trail: %+v, %v", p.Broken, err)
	}
	order := func(a, b entry) int {
		return strings.Compare(a.At+a.Kind+string(a.Year), b.At+b.Kind+string(b.Year))
	}
	slices.SortFunc(want, order)
	slices.SortFunc(got, order)
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("steps in the audit trail (-want +got):\n%s", diff)
	}
	if signIns < w.signIns {
		w.t.Errorf("the audit trail has %d sign-ins, there were %d", signIns, w.signIns)
	}
}
