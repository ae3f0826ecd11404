package adminhttp_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
	"pgregory.net/rapid"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/adminhttp"
	"vernal/idp/idptest"
	"vernal/idp/keyring"
	"vernal/idp/notify"
	"vernal/idp/rotation"
	"vernal/idp/sharelink"
	"vernal/idp/sp"
	"vernal/metadata"
)

// months is an installation over several months, and a model of which service providers have
// moved. The model implements only the documented rule: SPs move to the newest published
// year or, while a rollback holds, to the preferred one.
type months struct {
	t        fataler
	i        *idptest.IdP
	notices  *notify.Service
	notified []notify.Notice // by the webhook, since the last look
	wall     string
	calendar string

	sps    []idp.EntityID
	active map[idp.EntityID]bool
	signed map[idp.EntityID]bool
	uses   map[idp.EntityID]map[idp.Year]time.Time // the latest of each year
}

// fataler is a test or one check of a property.
type fataler interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// newMonths starts on 10 January 2027: 2026 is the only year.
func newMonths(tb testing.TB, t fataler) *months {
	i := idptest.New(tb, idptest.Options{
		Now: time.Date(2027, 1, 10, 12, 0, 0, 0, time.UTC), FirstStart: true, Log: slog.DiscardHandler,
	})
	m := &months{t: t, i: i, active: map[idp.EntityID]bool{}, signed: map[idp.EntityID]bool{}, uses: map[idp.EntityID]map[idp.Year]time.Time{}}
	hook := httptest.NewServer(http.HandlerFunc(m.receive))
	tb.Cleanup(hook.Close)
	m.notices = &notify.Service{
		Store: i.Store, Board: i.Board, Rotation: i.Rotation, Years: i.Years, IdP: metadata.IdP{BaseURL: i.URL},
		Name: "test", Clock: i.Clock.Now, Log: slog.New(slog.DiscardHandler),
		Webhook: &notify.Webhook{URL: hook.URL, Secret: []byte("a secret of some length"), Clock: i.Clock.Now},
	}
	for kind, path := range map[sharelink.Kind]*string{sharelink.Wallboard: &m.wall, sharelink.Calendar: &m.calendar} {
		l, token, err := i.Links.Create(tb.Context(), sharelink.Link{Kind: kind}, "test")
		m.ok(err)
		*path = adminhttp.Path(l.Kind, token)
	}
	return m
}

// receive keeps the notice sent to the webhook.
func (m *months) receive(w http.ResponseWriter, r *http.Request) {
	var n notify.Notice
	if err := json.NewDecoder(r.Body).Decode(&n); err != nil {
		m.t.Errorf("notice: %v", err)
	}
	m.notified = append(m.notified, n)
	w.WriteHeader(http.StatusNoContent)
}

func (m *months) ok(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatalf("%s: %v", m.i.Clock.Now().Format(time.DateOnly), err)
	}
}

// add registers a service provider.
func (m *months) add(tb testing.TB, active, signed bool) idp.EntityID {
	id := idp.EntityID(fmt.Sprintf("https://sp%d.example", len(m.sps)))
	p := sp.Defaults()
	p.EntityID, p.Name, p.Active, p.ACSURLs = id, "SP "+strconv.Itoa(len(m.sps)), active, []string{string(id) + "/acs"}
	p.SignRequests, p.Contacts = idp.SignRequestsOptional, []string{"ops@sp.example"}
	_, err := m.i.Registry.Add(tb.Context(), p, sp.Options{}, "test")
	m.ok(err)
	m.sps = append(m.sps, id)
	m.active[id], m.signed[id], m.uses[id] = active, signed, map[idp.Year]time.Time{}
	return id
}

// use has a service provider use a year now.
func (m *months) use(id idp.EntityID, y idp.Year) {
	now := m.i.Clock.Now()
	u := idp.Use{SP: id, Year: y, At: now, IssuedAt: now}
	if m.signed[id] {
		u.CertSHA256 = strings.Repeat("a", 64)
	}
	m.i.Usage.Use(u)
	m.uses[id][y] = now
}

// run lets the server run for some days.
func (m *months) run(tb testing.TB, days int) {
	for days > 0 {
		n := min(days, 10)
		days -= n
		ran := time.Duration(n) * 24 * time.Hour
		m.i.Clock.Advance(ran)
		m.ok(m.i.Rotation.Tick(tb.Context(), ran))
		_, err := m.i.Rotation.TakeDueSteps(tb.Context())
		m.ok(err)
	}
	m.ok(m.i.Usage.Flush(tb.Context()))
}

// until lets it run until noon of a day.
func (m *months) until(tb testing.TB, date string) {
	tb.Helper()
	to, err := time.Parse(time.DateOnly, date)
	m.ok(err)
	m.run(tb, int(to.Add(12*time.Hour).Sub(m.i.Clock.Now()).Hours()/24))
}

// take takes a step by hand, unless it is refused.
func (m *months) take(tb testing.TB, s rotation.Step) {
	var err error
	switch s.Reason = "test"; s.Kind {
	case rotation.StepRetire:
		_, err = m.i.Rotation.Retire(tb.Context(), s, "test", false)
	default:
		_, err = m.i.Rotation.Take(tb.Context(), s, "test", false)
	}
	var refused *rotation.RefusedError
	if !errors.As(err, &refused) {
		m.ok(err)
	}
}

// boardData is rotation.json, as far as it is compared.
type boardData struct {
	Status struct {
		At        time.Time     `json:"at"`
		Preferred idp.Year      `json:"preferred"`
		Hold      rotation.Hold `json:"hold"`
		Years     []struct {
			Year  idp.Year       `json:"year"`
			State rotation.State `json:"state"`
			Live  bool           `json:"live"`

			CertExpired bool `json:"certificate_expired"`
		} `json:"years"`
	} `json:"status"`
	Board struct {
		Years []struct {
			Year    idp.Year `json:"year"`
			Unmoved int      `json:"unmoved"`
		} `json:"years"`
		SPs []struct {
			SP          idp.EntityID `json:"entity_id"`
			Name        string       `json:"name"`
			Active      bool         `json:"active"`
			Move        string       `json:"move"`
			UnmovedFrom []idp.Year   `json:"unmoved_from"`
		} `json:"sps"`
	} `json:"board"`
}

// truth is what the model says of one moment.
type truth struct {
	target  idp.Year
	live    []idp.Year // whose URLs answer, oldest first
	over    []idp.Year
	move    map[idp.EntityID]string
	from    map[idp.EntityID][]idp.Year // of active SPs
	unmoved map[idp.Year][]idp.EntityID
	moves   map[string][]idp.EntityID // active SPs by move
	recent  map[idp.Year]bool         // the board shows a year that is over for 30 days after its last use
}

// leaves reports whether users of a live year have somewhere to move to.
func (tr *truth) leaves(y idp.Year) bool { return tr.target != "" && y < tr.target }

// model reads the states of the years from the status, and the rest from its own
// list of uses.
func (m *months) model(d *boardData) *truth {
	tr := &truth{move: map[idp.EntityID]string{}, from: map[idp.EntityID][]idp.Year{}, unmoved: map[idp.Year][]idp.EntityID{}, moves: map[string][]idp.EntityID{}, recent: map[idp.Year]bool{}}
	over := map[idp.Year]bool{}
	for _, y := range d.Status.Years {
		if y.Live {
			tr.live = append(tr.live, y.Year)
			tr.target = max(tr.target, y.Year)
		}
		if y.State == rotation.Retired || y.State == rotation.Revoked {
			tr.over, over[y.Year] = append(tr.over, y.Year), true
		}
	}
	if h := d.Status.Hold; !h.BeganAt.IsZero() && (h.EndAt.IsZero() || d.Status.At.Before(h.EndAt)) {
		tr.target = d.Status.Preferred
	}
	const fortnight = 14 * 24 * time.Hour
	for _, id := range m.sps {
		uses := m.uses[id]
		// since reports whether a year that works, and that the filter wants, was used
		// after a moment.
		since := func(t time.Time, filter func(idp.Year) bool) bool {
			for y, at := range uses {
				if !over[y] && at.After(t) && filter(y) {
					return true
				}
			}
			return false
		}
		good := func(y idp.Year) bool { return y >= tr.target } // of those that work
		arrived, failing, recent := since(time.Time{}, good), false, false
		for y, at := range uses {
			if !over[y] && good(y) {
				continue
			}
			within := d.Status.At.Sub(at) <= fortnight
			cutOff := over[y] && !since(at, func(idp.Year) bool { return true })
			last := !over[y] && !since(time.Time{}, func(o idp.Year) bool { return o > y })
			if failing, recent = failing || cutOff, recent || within; within || cutOff || last {
				tr.from[id] = append(tr.from[id], y)
			}
		}
		slices.Sort(tr.from[id])
		switch {
		case len(uses) == 0:
			tr.move[id] = "unseen"
		case !arrived || failing:
			tr.move[id] = "unmoved"
		case recent:
			tr.move[id] = "both"
		default:
			tr.move[id] = "moved"
		}
		for y, at := range uses {
			tr.recent[y] = tr.recent[y] || d.Status.At.Sub(at) <= 30*24*time.Hour
		}
		if !m.active[id] {
			tr.from[id] = nil
			continue
		}
		tr.moves[tr.move[id]] = append(tr.moves[tr.move[id]], id)
		for _, y := range tr.from[id] {
			tr.unmoved[y] = append(tr.unmoved[y], id)
		}
	}
	return tr
}

// compare checks every place that shows which service providers have moved, and returns the
// differences from the model, by place.
func (m *months) compare(tb testing.TB) (wrong []string) {
	report := func(place string, want, got any) {
		if diff := cmp.Diff(want, got); diff != "" {
			wrong = append(wrong, fmt.Sprintf("%s: %s (-rule +shown):\n%s", m.i.Clock.Now().Format(time.DateOnly), place, diff))
		}
	}
	m.i.Clock.Advance(time.Minute) // metrics are read again after ten seconds
	var d boardData
	m.ok(json.Unmarshal(m.get("/rotation.json"), &d))
	tr := m.model(&d)
	m.compareData(&d, tr, report)
	m.compareBoard(tr, report)
	m.compareWall(&d, tr, report)
	m.compareMetrics(tr, report)
	m.compareNotices(tb, tr, report)
	m.compareGone(&d, tr, report)
	m.compareCalendar(&d, tr, report)
	return wrong
}

type report func(place string, want, got any)

func (m *months) compareData(d *boardData, tr *truth, report report) {
	for _, l := range d.Board.SPs {
		report("rotation.json: move of "+string(l.SP), tr.move[l.SP], l.Move)
		report("rotation.json: unmoved_from of "+string(l.SP), append([]idp.Year{}, tr.from[l.SP]...), l.UnmovedFrom)
	}
	for _, y := range d.Board.Years {
		report("rotation.json: unmoved of "+string(y.Year), len(tr.unmoved[y.Year]), y.Unmoved)
	}
}

// compareBoard follows every link that counts.
func (m *months) compareBoard(tr *truth, report report) {
	page := m.page("/rotation")
	counted := map[string]string{}
	for _, a := range elements(page, "data-move", "href") {
		move := strings.TrimPrefix(attr(a, "data-move"), "move.")
		counted[move] = attr(a, "data-count")
		rows := m.rows(attr(a, "href"))
		report("board: rows of the link "+move, attr(a, "data-count"), strconv.Itoa(len(rows)))
		for id, label := range rows {
			if slices.Contains(theMoves, move) {
				report("board: label of "+id+" under the link "+move, move, label)
			}
		}
	}
	for _, move := range theMoves {
		report("board: count of the link "+move, strconv.Itoa(len(tr.moves[move])), counted[move])
	}
	for _, a := range elements(page, "data-used", "href") {
		report("board: rows of the link that lists users of "+attr(a, "data-used"), attr(a, "data-count"), strconv.Itoa(len(m.rows(attr(a, "href")))))
	}
	for _, card := range elements(page, "data-year") {
		y := idp.Year(attr(card, "data-year"))
		links := elements(card, "data-unmoved")
		if !tr.leaves(y) {
			report("board: card of "+string(y)+" says how many have still to move", 0, len(links))
			continue
		}
		if len(links) != 1 {
			report("board: card of "+string(y)+" says how many have still to move", 1, len(links))
			continue
		}
		rows := m.rows(attr(links[0], "href"))
		report("board: still to move from "+string(y), strconv.Itoa(len(tr.unmoved[y])), attr(links[0], "data-unmoved"))
		report("board: rows of the link of "+string(y), sorted(tr.unmoved[y]), sorted(slices.Collect(maps.Keys(rows))))
		for id, label := range rows {
			if label != "unmoved" && label != "both" {
				report("board: label of "+id+" under the link of those who have still to move from "+string(y), "unmoved or both", label)
			}
		}
	}
}

var theMoves = []string{"unmoved", "both", "moved", "unseen"}

// rows returns the service providers of a list, with the label of how far each has moved. An
// inactive one has no label.
func (m *months) rows(href string) map[string]string {
	rows := map[string]string{}
	for _, li := range elements(m.page(href), "data-sp") {
		rows[attr(li, "data-sp")] = strings.TrimPrefix(attr(li, "data-move"), "move.")
	}
	return rows
}

// compareWall checks the migration at the top, the ones below it, and the counts.
func (m *months) compareWall(d *boardData, tr *truth, report report) {
	page := m.page(m.wall)
	head := elements(page, "data-from", "data-to")[0]
	from, to := idp.Year(attr(head, "data-from")), idp.Year(attr(head, "data-to"))
	expired := map[idp.Year]bool{} // also of a year that is preferred for too long
	for _, y := range d.Status.Years {
		expired[y.Year] = y.CertExpired
	}
	// The years in order are those whose certificate ends in order.
	var open, late, calm []idp.Year
	for _, y := range tr.live {
		switch {
		case !tr.leaves(y):
		case len(tr.unmoved[y]) == 0:
			calm = append(calm, y)
		case expired[y]:
			late = append(late, y)
		default:
			open = append(open, y)
		}
	}
	for _, y := range tr.over {
		if tr.recent[y] && len(tr.unmoved[y]) > 0 {
			late = append(late, y)
		}
	}
	slices.Sort(late)
	if want := slices.Concat(open, late); len(want) > 0 {
		report("wall: moves from", want[0], from)
	} else if want := append([]idp.Year{""}, calm...); len(want) > 0 {
		report("wall: moves from", want[len(want)-1], from)
	}
	if from != "" {
		report("wall: moves to", tr.target, to)
	}
	for _, n := range elements(page, "data-move") {
		move := strings.TrimPrefix(attr(n, "data-move"), "move.")
		report("wall: count of "+move, strconv.Itoa(len(tr.moves[move])), attr(n, "data-count"))
	}
	shown := map[idp.Year][]string{}
	for _, list := range elements(page, "data-more") {
		report("wall: count of those still on "+attr(list, "data-from"), strconv.Itoa(len(tr.unmoved[idp.Year(attr(list, "data-from"))])), attr(list, "data-count"))
		for _, b := range elements(list, "", "b") {
			shown[idp.Year(attr(list, "data-from"))] = append(shown[idp.Year(attr(list, "data-from"))], text(b))
		}
	}
	for _, y := range slices.Concat(open, late) {
		want := []string{}
		for _, id := range tr.unmoved[y] {
			want = append(want, "SP "+strings.TrimSuffix(strings.TrimPrefix(string(id), "https://sp"), ".example"))
		}
		report("wall: names of "+string(y), sorted(want), sorted(shown[y]))
	}
}

func (m *months) compareMetrics(tr *truth, report report) {
	got := map[string]string{}
	for line := range strings.Lines(string(m.get("/metrics"))) {
		if series, value, ok := strings.Cut(strings.TrimSpace(line), "} "); ok {
			got[series+"}"] = value
		}
	}
	for _, move := range theMoves {
		report("metrics: SPs by move "+move, strconv.Itoa(len(tr.moves[move])), got[fmt.Sprintf("vernal_sps{move=%q}", move)])
	}
	for _, y := range tr.live {
		want := ""
		if tr.leaves(y) {
			want = strconv.Itoa(len(tr.unmoved[y]))
		}
		report("metrics: unmoved SPs of "+string(y), want, got[fmt.Sprintf("vernal_year_unmoved_sps{year=%q}", y)])
	}
}

// compareNotices checks the letters to service providers, and how many a notice
// to operators says have not moved.
func (m *months) compareNotices(tb testing.TB, tr *truth, report report) {
	letters, err := m.notices.Letters(tb.Context(), "")
	m.ok(err)
	written := map[idp.EntityID][]idp.Year{}
	for _, l := range letters {
		if len(l.FromYears) == 0 {
			continue
		}
		written[l.SP] = l.FromYears
		report("letter to "+string(l.SP)+": to", tr.target, l.ToYear)
	}
	for _, id := range m.sps {
		if tr.target != "" {
			report("letter to "+string(id)+": from", tr.from[id], written[id])
		}
	}
	now := m.i.Clock.Now()
	m.ok(m.notices.Tick(tb.Context()))
	for _, n := range m.notified {
		if (n.Kind == notify.CertEnds || n.Kind == notify.Retirement) && n.At.Equal(now) {
			report("notice "+n.ID, sorted(tr.unmoved[n.Year]), sorted(n.SPs))
		}
	}
	m.notified = nil
}

// compareGone reads the page of each year that is over, in both forms.
func (m *months) compareGone(d *boardData, tr *truth, report report) {
	for _, y := range tr.over {
		for _, accept := range []string{"text/html", "*/*"} {
			r := httptest.NewRequest(http.MethodGet, m.i.URL+"/api/saml/metadata"+string(y), nil)
			r.Header.Set("Accept", accept)
			w := httptest.NewRecorder()
			m.i.Handler.ServeHTTP(w, r)
			report("page of "+string(y)+": status", http.StatusGone, w.Code)
			got := idp.Year("")
			for _, found := range metadataYear.FindAllStringSubmatch(w.Body.String(), -1) {
				if found[1] != string(y) {
					got = idp.Year(found[1])
				}
			}
			report("page of "+string(y)+" ("+accept+"): moves to", tr.target, got)
			e, _ := m.i.Years.Lookup(tr.target, d.Status.At)
			if tr.target != "" {
				print := strings.ToUpper(certs.CertSHA256(e.Key.Cert))
				report("page of "+string(y)+" ("+accept+"): has the certificate of "+string(tr.target), true,
					strings.Contains(strings.ReplaceAll(w.Body.String(), ":", ""), print))
			}
		}
	}
}

var metadataYear = regexp.MustCompile(`/api/saml/metadata(\d{4}[a-z]?)`)

// compareCalendar checks that the latest year whose publishing is in the past
// is the one to move to. During a hold it is not.
func (m *months) compareCalendar(d *boardData, tr *truth, report report) {
	newest := idp.Year("")
	for _, e := range calendarPublished.FindAllStringSubmatch(strings.ReplaceAll(string(m.get(m.calendar)), "\r", ""), -1) {
		if day, err := time.Parse("20060102", e[2]); err == nil && !day.After(d.Status.At) && slices.Contains(tr.live, idp.Year(e[1])) {
			newest = max(newest, idp.Year(e[1]))
		}
	}
	if newest != "" && d.Status.Hold.BeganAt.IsZero() {
		report("calendar: newest year that was published", tr.target, newest)
	}
}

var calendarPublished = regexp.MustCompile(`UID:(\d{4}[a-z]?)-publish@[^\n]*\n(?:[A-Z-]+[^\n]*\n)*?DTSTART;VALUE=DATE:(\d{8})`)

func sorted[T ~string](list []T) []string {
	out := []string{}
	for _, s := range list {
		out = append(out, string(s))
	}
	slices.Sort(out)
	return out
}

func (m *months) get(path string) []byte {
	m.t.Helper()
	w := httptest.NewRecorder()
	m.i.AdminHandler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://127.0.0.1:9090"+path, nil))
	if w.Code != http.StatusOK {
		m.t.Fatalf("%s: %d", path, w.Code)
	}
	body, err := io.ReadAll(w.Body)
	m.ok(err)
	return body
}

func (m *months) page(path string) *html.Node {
	m.t.Helper()
	u, err := url.Parse(path)
	m.ok(err)
	doc, err := html.Parse(bytes.NewReader(m.get(u.String())))
	m.ok(err)
	return doc
}

// elements returns the elements that have all the attributes. If the first is "", it returns
// those with the name that follows.
func elements(root *html.Node, attrs ...string) (found []*html.Node) {
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if attrs[0] == "" && n.Data == attrs[1] || attrs[0] != "" && !slices.ContainsFunc(attrs, func(a string) bool {
			return !slices.ContainsFunc(n.Attr, func(at html.Attribute) bool { return at.Key == a })
		}) {
			found = append(found, n)
		}
	}
	return found
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func text(n *html.Node) string {
	var out strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			out.WriteString(d.Data)
		}
	}
	return strings.TrimSpace(out.String())
}

// TestMovedMeansTheSameEverywhere runs through histories of years and of service providers
// that move, and compares all places that show which ones have moved. The build tag slow
// adds many more runs.
func TestMovedMeansTheSameEverywhere(t *testing.T) {
	t.Parallel()
	checkAgreement(t, 15)
}

func checkAgreement(t *testing.T, histories int) {
	if err := flag.Set("rapid.checks", strconv.Itoa(histories)); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		m := newMonths(t, rt)
		defer m.i.Stop()
		for n := range rapid.IntRange(1, 3).Draw(rt, "SPs") {
			m.add(t, n == 0 || rapid.IntRange(0, 4).Draw(rt, "active") > 0, rapid.Bool().Draw(rt, "signed"))
		}
		months := rapid.IntRange(1, 5)
		if rapid.Bool().Draw(rt, "into the second spring") {
			months = rapid.IntRange(12, 14)
		}
		for range months.Draw(rt, "months") {
			for range 2 {
				m.someUses(rt)
				days := 13
				if rapid.Bool().Draw(rt, "more than a fortnight") {
					days = 16
				}
				m.run(t, days)
			}
			if oneInFour(rt, "by hand") {
				m.someStep(t, rt)
				m.mustAgree(t)
			}
		}
		m.someUses(rt)
		m.mustAgree(t)
	})
}

// oneInFour draws two booleans instead of a number from a range, whose ends rapid prefers.
func oneInFour(rt *rapid.T, label string) bool {
	half := rapid.Bool().Draw(rt, label)
	return half && rapid.Bool().Draw(rt, label+", really")
}

func (m *months) mustAgree(tb testing.TB) {
	if wrong := m.compare(tb); len(wrong) > 0 {
		m.t.Fatalf("%d differences\n%s", len(wrong), strings.Join(wrong[:min(len(wrong), 12)], "\n"))
	}
}

// someUses has each service provider use one of the live years, or none.
func (m *months) someUses(rt *rapid.T) {
	live := m.i.Years.Live(m.i.Clock.Now())
	slices.SortFunc(live, func(a, b keyring.Entry) int { return strings.Compare(string(a.Year()), string(b.Year())) })
	for _, id := range m.sps {
		n := 0
		for rapid.Bool().Draw(rt, "a newer year, or none") && n < len(live) {
			n++
		}
		// An inactive one used a year before it was deactivated.
		if n < len(live) && (m.active[id] || len(m.uses[id]) == 0) {
			m.use(id, live[n].Year())
		}
		if n > 0 && m.active[id] && oneInFour(rt, "and an older year") {
			m.use(id, live[n-1].Year())
		}
	}
}

// someStep takes a random step by hand.
func (m *months) someStep(tb testing.TB, rt *rapid.T) {
	all := m.i.Years.All(m.i.Clock.Now())
	newest := all[len(all)-1].Year()
	s := rotation.Step{Kind: rapid.SampledFrom([]rotation.StepKind{
		rotation.StepRollback, rotation.StepPrefer, rotation.StepRevoke, rotation.StepRetire, rotation.StepPublish, rotation.StepResume,
	}).Draw(rt, "step")}
	switch s.Kind {
	case rotation.StepPublish, rotation.StepPrefer:
		s.Year = newest
	case rotation.StepRollback:
		// Most of the time there is nothing to roll back before this.
		m.take(tb, rotation.Step{Kind: rotation.StepPublish, Year: newest})
		m.take(tb, rotation.Step{Kind: rotation.StepPrefer, Year: newest})
		s.Year = newest // if it is no older one, the step is refused
		for _, e := range all {
			if e.State.IsLive() && e.Year() < newest {
				s.Year = e.Year()
			}
		}
		if rapid.Bool().Draw(rt, "until") {
			s.HoldEndAt = m.i.Clock.Now().AddDate(0, 1, 0)
		}
	case rotation.StepRevoke, rotation.StepRetire:
		s.Year, s.Force = rapid.SampledFrom(all).Draw(rt, "year").Year(), s.Kind == rotation.StepRetire
	}
	m.take(tb, s)
}

// TestYearLinkListsNoOneWhoHasMoved checks the list behind "have still to move from 2026" in
// February, when the new year is published and not preferred. No service provider in it may
// be labeled as moved.
func TestYearLinkListsNoOneWhoHasMoved(t *testing.T) {
	t.Parallel()
	m := newMonths(t, t)
	late, early := m.add(t, true, true), m.add(t, true, true)
	m.until(t, "2027-02-10")
	m.use(late, "2026")
	m.use(early, "2027")
	m.until(t, "2027-02-24")
	links := elements(m.page("/rotation"), "data-unmoved")
	if len(links) != 1 {
		t.Fatalf("%d years have a link", len(links))
	}
	rows := m.rows(attr(links[0], "href"))
	if diff := cmp.Diff(map[string]string{string(late): "unmoved"}, rows); diff != "" {
		t.Errorf("link that counts %s (-want +rows):\n%s", attr(links[0], "data-unmoved"), diff)
	}
}

// TestWallIsNotHeldByStragglers checks that the wallboard shows the migration that can still
// be made in time, even if service providers are late for the one before.
func TestWallIsNotHeldByStragglers(t *testing.T) {
	t.Parallel()
	m := newMonths(t, t)
	straggler, late, early := m.add(t, true, true), m.add(t, true, true), m.add(t, true, true)
	m.until(t, "2027-02-10")
	for m.i.Clock.Now().Before(time.Date(2028, 2, 20, 0, 0, 0, 0, time.UTC)) {
		m.use(straggler, "2026") // still used, so not retired
		m.use(late, "2027")
		if m.i.Clock.Now().After(time.Date(2028, 2, 2, 0, 0, 0, 0, time.UTC)) {
			m.use(early, "2028")
		}
		m.run(t, 5)
	}
	page := m.page(m.wall)
	head := elements(page, "data-from", "data-to")[0]
	shown := map[string]int{}
	for _, list := range elements(page, "data-more") {
		shown[attr(list, "data-from")] = len(elements(list, "", "b"))
	}
	got := []any{attr(head, "data-from"), attr(head, "data-to"), shown}
	if diff := cmp.Diff([]any{"2027", "2028", map[string]int{"2027": 1, "2026": 1}}, got); diff != "" {
		t.Errorf("from, to, names by year (-want +got):\n%s", diff)
	}
}

// TestRetiredPageNamesTheYearOfTheLetters checks that the page of a retired year and the
// letters name the same year to move to, one that does not expire next month.
func TestRetiredPageNamesTheYearOfTheLetters(t *testing.T) {
	t.Parallel()
	m := newMonths(t, t)
	id := m.add(t, true, true)
	m.until(t, "2027-03-10")
	m.use(id, "2027")
	m.until(t, "2028-02-24")
	letters, err := m.notices.Letters(t.Context(), "")
	m.ok(err)
	if len(letters) != 1 || letters[0].ToYear != "2028" {
		t.Fatalf("letters: %+v", letters)
	}
	for _, accept := range []string{"text/html", "*/*"} {
		r := httptest.NewRequest(http.MethodGet, m.i.URL+"/api/saml/metadata2026", nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		m.i.Handler.ServeHTTP(w, r)
		for _, named := range metadataYear.FindAllStringSubmatch(w.Body.String(), -1) {
			if named[1] != "2026" && named[1] != "2028" {
				t.Errorf("%s names %s", accept, named[1])
			}
		}
	}
}
