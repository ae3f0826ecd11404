package rotationsim

import (
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	crewjam "github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"

	"vernal/idp"
	"vernal/idp/idptest"
)

// partner is a service provider as its administrator keeps it: with the
// metadata that was saved when it moved, until it moves again.
type partner struct {
	*idptest.Provider
	name     string
	unsigned bool
	// lenient software does not look at the dates of our certificate.
	lenient bool
	// moves reports whether the partner moves today, and to which year.
	moves func(*partner, *deployment) (idp.Year, bool)
	// follows is set for software that reloads the stable metadata.
	follows bool

	year   idp.Year // year of the endpoint URL of its requests
	saved  *crewjam.EntityDescriptor
	loaded time.Time
	last   map[idp.Year]time.Time // successful visits
}

// unmoved reports whether the partner must still move from the year: the year is older than
// the target, and the partner uses no newer one, or used this one within two weeks.
func (p *partner) unmoved(y idp.Year, now time.Time) bool {
	if p.last[y].IsZero() || y >= target(now) {
		return false
	}
	for newer := range p.last {
		if newer > y && !state(newer, now).IsOver() {
			return now.Sub(p.last[y]) <= 14*24*time.Hour
		}
	}
	return true
}

// partners returns the partners, each with its own way of moving.
func partners() []*partner {
	return []*partner{
		{name: "on-publish", moves: onPublish},
		{name: "on-prefer", moves: onPrefer},
		{name: "unsigned", moves: onPrefer, unsigned: true},
		{name: "last-day", moves: onLastDay},
		{name: "in-grace", moves: inGrace, lenient: true},
		{name: "never", moves: never, lenient: true},
		{name: "follower", moves: reload, lenient: true, follows: true},
	}
}

// next returns the year after the partner's.
func (p *partner) next() idp.Year { return idp.Year(certEnd(p.year).Format("2006")) }

// onPublish looks for next year's metadata every day.
func onPublish(p *partner, w *deployment) (idp.Year, bool) {
	return p.next(), w.status("/api/saml/metadata"+string(p.next())) == http.StatusOK
}

// onPrefer moves to what the stable metadata names, but never back.
func onPrefer(p *partner, w *deployment) (idp.Year, bool) {
	y := ssoYear(w.stable())
	return y, y > p.year
}

// onLastDay moves a day before the certificate ends.
func onLastDay(p *partner, w *deployment) (idp.Year, bool) {
	return toNewer(p, w, !w.now().Before(w.certEnd(certificates(p.saved)[0]).AddDate(0, 0, -1)))
}

// inGrace moves on 16 June, long after the certificate has ended. In 2035 it
// heeds the notice of a downtime.
func inGrace(p *partner, w *deployment) (idp.Year, bool) {
	day := time.Date(w.certEnd(certificates(p.saved)[0]).Year(), time.June, 16, 0, 0, 0, 0, time.UTC)
	if day.Year() == 2035 {
		day = at("2035-04-10")
	}
	return toNewer(p, w, !w.now().Before(day))
}

// toNewer moves to what the stable metadata names or, where that is not newer,
// to the year after its own.
func toNewer(p *partner, w *deployment, today bool) (idp.Year, bool) {
	if !today {
		return "", false
	}
	y := ssoYear(w.stable())
	if y <= p.year {
		y = p.next()
	}
	return y, true
}

// never moves.
func never(*partner, *deployment) (idp.Year, bool) { return "", false }

// reload follows the stable metadata, up to a week behind.
func reload(p *partner, w *deployment) (idp.Year, bool) {
	return "", w.now().Sub(p.loaded) >= 7*24*time.Hour
}

// move saves the metadata of a year; of a follower, the stable one.
func (p *partner) move(w *deployment, y idp.Year) {
	p.year, p.loaded = y, w.now()
	if p.follows {
		p.saved = w.stable()
		p.year = ssoYear(p.saved)
		return
	}
	p.saved = w.metadata(string(y))
}

// visits reports whether a user visits the partner today: on each day with an event, and
// otherwise about every sixth time.
func (p *partner) visits(w *deployment, random *rand.Rand) bool {
	busy := random.IntN(6) == 0 || w.changes[w.day()]
	if p.name != "never" {
		return busy
	}
	// It is used every few days, but when it falls silent.
	for _, s := range silences {
		if w.day() >= s.from && w.day() < s.until {
			return false
		}
		if at(s.from).AddDate(0, 0, -1).Format(time.DateOnly) == w.day() {
			return true // its last use
		}
	}
	return true
}

// errGone is a request that ended at the page of a year that is over.
type errGone struct{ page *idptest.Page }

func (e *errGone) Error() string { return "410: " + e.page.Text() }

// visit is a sign-in, or a visit within the day's session, at the partner.
func (p *partner) visit(w *deployment) error {
	r := &idptest.Request{Year: p.year, Unsigned: p.unsigned}
	page := w.browser.Get(p.URL(r))
	if page.Response() == nil && page.Status == http.StatusOK && !w.signedIn {
		page = w.browser.SignIn(page, w.person)
		w.signedIn = page.Response() != nil
	}
	switch {
	case page.Status == http.StatusGone:
		return &errGone{page}
	case page.Response() == nil:
		return fmt.Errorf("no Response but %d:\n%s", page.Status, page.Text())
	}
	p.last[p.year] = w.now()
	return p.check(w, r, page.Response())
}

// check verifies a Response as the partner's software does, with a third-party library, and
// checks that the certificate in it is that of the year.
func (p *partner) check(w *deployment, r *idptest.Request, response []byte) error {
	if until := p.saved.ValidUntil; !until.IsZero() && w.now().After(until) {
		return fmt.Errorf("the metadata loaded on %s was valid until %s", p.loaded, until)
	}
	entity, _ := url.Parse(p.EntityID)
	acs, _ := url.Parse(p.ACS)
	provider := crewjam.ServiceProvider{
		EntityID: p.EntityID, Key: p.Key, Certificate: p.Cert, MetadataURL: *entity, AcsURL: *acs, IDPMetadata: p.saved,
		Clock: dsig.NewFakeClockAt(w.now()), IgnoreCertificateExpiry: p.lenient,
	}
	if _, err := provider.ParseXMLResponse(response, []string{r.ID}, *acs); err != nil {
		var invalid *crewjam.InvalidResponseError
		if errors.As(err, &invalid) {
			err = invalid.PrivateErr
		}
		return fmt.Errorf("the Response is refused: %w", err)
	}
	m := signedWith.FindSubmatch(response)
	if m == nil || string(m[1]) != w.certificate(p.year) {
		return fmt.Errorf("the Response is not signed with our signing certificate (%s)", p.year)
	}
	return nil
}

var signedWith = regexp.MustCompile(`X509Certificate[^>]*>([^<]+)<`)

// certificates returns the certificates in a document, in its order, as base64.
func certificates(md *crewjam.EntityDescriptor) (all []string) {
	for _, d := range md.IDPSSODescriptors {
		for _, k := range d.KeyDescriptors {
			for _, c := range k.KeyInfo.X509Data.X509Certificates {
				all = append(all, strings.Join(strings.Fields(c.Data), ""))
			}
		}
	}
	return all
}

// ssoYear returns the year of the endpoint URL for AuthnRequests.
func ssoYear(md *crewjam.EntityDescriptor) idp.Year {
	location := md.IDPSSODescriptors[0].SingleSignOnServices[0].Location
	_, y, _ := strings.Cut(location, "/api/saml/auth")
	return idp.Year(y)
}

func parseMetadata(doc []byte) (*crewjam.EntityDescriptor, error) {
	md := &crewjam.EntityDescriptor{}
	if err := xml.Unmarshal(doc, md); err != nil {
		return nil, err
	}
	if len(md.IDPSSODescriptors) != 1 || len(certificates(md)) == 0 {
		return nil, fmt.Errorf("no metadata of an identity provider: %s", doc)
	}
	return md, nil
}

func decode64(text string) []byte {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return b
}
