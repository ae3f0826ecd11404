package migration_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/migration"
	"vernal/idp/rotation"
)

// TestMoveFollowsRecentUses says for uses so many days ago how far a provider has come, where
// 2026 is expiring, 2027 preferred, 2025 retired.
func TestMoveFollowsRecentUses(t *testing.T) {
	t.Parallel()
	type days map[idp.Year]int
	tests := []struct {
		name    string
		used    days
		want    migration.Move
		unmoved []idp.Year
	}{
		{"never seen", days{}, migration.Unseen, nil},
		{"the preferred year alone", days{"2027": 1}, migration.Moved, nil},
		{"the preferred year, long ago", days{"2027": 200}, migration.Moved, nil},
		{"the old year alone", days{"2026": 1}, migration.Unmoved, []idp.Year{"2026"}},
		{"the old year alone, a while ago", days{"2026": 90}, migration.Unmoved, []idp.Year{"2026"}},
		{"both today", days{"2026": 0, "2027": 0}, migration.Both, []idp.Year{"2026"}},
		{"the old one 14 days ago", days{"2026": 14, "2027": 1}, migration.Both, []idp.Year{"2026"}},
		{"the old one 15 days ago", days{"2026": 15, "2027": 1}, migration.Moved, nil},
		{"back on the old one", days{"2026": 1, "2027": 60}, migration.Both, []idp.Year{"2026"}},
		{"retired years alone", days{"2024": 300, "2025": 100}, migration.Unmoved, []idp.Year{"2024", "2025"}},
		{"retired, then old", days{"2025": 100, "2026": 3}, migration.Unmoved, []idp.Year{"2026"}},
	}
	now := at(2027, 3, 20)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newDeployment(t, at(2026, 2, 1))
			w.add(spA)
			for _, y := range []idp.Year{"2024", "2025"} {
				w.step(rotation.StepRevoke, y)
			}
			w.Clock.Set(at(2027, 3, 1))
			w.step(rotation.StepPublish, "2027")
			w.step(rotation.StepPrefer, "2027")
			s := w.server()
			for y, ago := range tt.used {
				w.Clock.Set(now.AddDate(0, 0, -ago))
				w.use(s, spA, y)
			}
			w.Clock.Set(now)
			b := w.show(s)
			l := line(t, b, spA)
			if l.Move != tt.want {
				t.Errorf("move is %s, want %s", l.Move, tt.want)
			}
			if diff := cmp.Diff(append([]idp.Year{}, tt.unmoved...), l.YearsToLeave); diff != "" {
				t.Errorf("unmoved from (-want +got):\n%s", diff)
			}
			for _, y := range b.Years {
				ago, used := tt.used[y.Year]
				if recent := used && ago <= 30; (y.SPs == 1) != recent {
					t.Errorf("%s counts %d, used %v days ago", y.Year, y.SPs, ago)
				}
				if !y.State.IsLive() && y.SPs == 0 {
					t.Errorf("%s is shown, and is %s and unused", y.Year, y.State)
				}
			}
		})
	}
}

// TestMoveIsRelativeToTargetYear has the cases that need another target than the
// preferred year.
func TestMoveIsRelativeToTargetYear(t *testing.T) {
	t.Parallel()
	now := at(2028, 3, 20)
	states := func(pairs ...any) map[idp.Year]rotation.State {
		m := map[idp.Year]rotation.State{}
		for i := 0; i < len(pairs); i += 2 {
			m[idp.Year(pairs[i].(string))] = pairs[i+1].(rotation.State)
		}
		return m
	}
	one := states("2027", rotation.Preferred)
	february := states("2026", rotation.Grace, "2027", rotation.Preferred, "2028", rotation.Published)
	revoked := states("2027", rotation.Preferred, "2028", rotation.Revoked)
	letter := states("2027", rotation.Revoked, "2027b", rotation.Preferred)
	type use struct {
		year idp.Year
		days int
	}
	tests := []struct {
		name   string
		states map[idp.Year]rotation.State
		target idp.Year
		used   []use
		want   migration.Move
		from   []idp.Year
	}{
		{"one year", one, "2027", []use{{"2027", 1}}, migration.Moved, nil},
		{"one year, and one that was retired before", one, "2027", []use{{"2025", 400}, {"2027", 1}}, migration.Moved, nil},
		{"published, still on the preferred year", february, "2028", []use{{"2027", 1}}, migration.Unmoved, []idp.Year{"2027"}},
		{"published, two years late", february, "2028", []use{{"2026", 1}}, migration.Unmoved, []idp.Year{"2026"}},
		{"published, left the oldest long ago", february, "2028", []use{{"2026", 90}, {"2027", 1}}, migration.Unmoved, []idp.Year{"2027"}},
		{"published, on all three", february, "2028", []use{{"2026", 1}, {"2027", 1}, {"2028", 1}}, migration.Both, []idp.Year{"2026", "2027"}},
		{"rollback, on the newer year", february, "2027", []use{{"2028", 1}}, migration.Moved, nil},
		{"rollback, on the newer year and the target", february, "2027", []use{{"2027", 1}, {"2028", 1}}, migration.Moved, nil},
		{"rollback, on the newer year and the oldest", february, "2027", []use{{"2026", 1}, {"2028", 1}}, migration.Both, []idp.Year{"2026"}},
		{"newest revoked, still on it", revoked, "2027", []use{{"2028", 40}}, migration.Unmoved, []idp.Year{"2028"}},
		{"newest revoked, still on it and before on the target", revoked, "2027", []use{{"2027", 60}, {"2028", 40}}, migration.Unmoved, []idp.Year{"2028"}},
		{"newest revoked, back", revoked, "2027", []use{{"2027", 1}, {"2028", 2}}, migration.Both, []idp.Year{"2028"}},
		{"newest revoked, back for a fortnight", revoked, "2027", []use{{"2027", 1}, {"2028", 15}}, migration.Moved, nil},
		{"a letter, still on the number", letter, "2027b", []use{{"2027", 20}}, migration.Unmoved, []idp.Year{"2027"}},
		{"a letter", letter, "2027b", []use{{"2027", 20}, {"2027b", 1}}, migration.Moved, nil},
		{"no target, a live year", one, "", []use{{"2027", 1}}, migration.Moved, nil},
		{"a year that was never made", one, "2027", []use{{"2031", 1}}, migration.Unseen, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			all := tt.states
			state := func(y idp.Year) rotation.State {
				if y == "2025" {
					return rotation.Retired
				}
				return all[y]
			}
			var seen []migration.YearUse
			for _, u := range tt.used {
				seen = append(seen, migration.YearUse{Year: u.year, LastAt: now.AddDate(0, 0, -u.days)})
			}
			move, from := migration.Judge(seen, state, tt.target, now)
			if diff := cmp.Diff(tt.from, from); diff != "" || move != tt.want {
				t.Errorf("%s, want %s; from (-want +got):\n%s", move, tt.want, diff)
			}
		})
	}
}

// TestMovedToARevokedYear checks that a service provider cannot have moved to a year that is
// over.
func TestMovedToARevokedYear(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, at(2026, 2, 1))
	w.add(spA)
	s := w.server()
	w.use(s, spA, "2026")
	w.Clock.Set(at(2026, 3, 1))
	w.step(rotation.StepPublish, "2027")
	w.use(s, spA, "2027")
	if l := line(t, w.show(s), spA); l.Move != migration.Moved {
		t.Errorf("before: %s", l.Move)
	}
	w.step(rotation.StepRevoke, "2027")
	l := line(t, w.show(s), spA)
	if diff := cmp.Diff([]idp.Year{"2027"}, l.YearsToLeave); diff != "" || l.Move != migration.Unmoved {
		t.Errorf("after: %s %s", l.Move, diff)
	}
	for _, tt := range []struct {
		days int
		want migration.Move
	}{{1, migration.Both}, {15, migration.Moved}} {
		w.Clock.Set(at(2026, 3, 1).AddDate(0, 0, tt.days))
		w.use(s, spA, "2026")
		if l := line(t, w.show(s), spA); l.Move != tt.want {
			t.Errorf("back on 2026, %d days after: %s %s", tt.days, l.Move, l.YearsToLeave)
		}
	}
	w.add(spB)
	w.use(s, spB, "2027")
	if l := line(t, w.show(s), spB); l.Move != migration.Unmoved {
		t.Errorf("one that used the revoked year alone: %s", l.Move)
	}
}

// TestBoardShowsDatesAndUses checks that the board's columns contain the dates, and its
// lines the uses.
func TestBoardShowsDatesAndUses(t *testing.T) {
	t.Parallel()
	now := at(2026, 6, 30)
	w := newDeployment(t, now)
	cert, old := requestCert(at(2027, 6, 1)), requestCert(at(2026, 6, 1))
	w.add(spA, func(p *idp.ServiceProvider) {
		p.Name, p.Certs, p.Contacts = "Alpha", []string{cert.pem, old.pem}, []string{"ops@a.example"}
	})
	w.add(spB, func(p *idp.ServiceProvider) { p.Name = "Beta" })
	s := w.server()
	for _, use := range []struct {
		ago  int
		cert testCert
	}{{40, old}, {20, old}, {6, cert}} {
		w.Clock.Set(now.AddDate(0, 0, -use.ago))
		s.Usage.Use(idp.Use{SP: spA, Year: "2026", At: w.Clock.Now(), CertSHA256: use.cert.sha256, IssuedAt: w.Clock.Now()})
		ok(t, s.Usage.Flush(t.Context()))
	}
	w.Clock.Set(now)
	want := &migration.Board{
		At: now, Preferred: "2026", Target: "2026",
		Years: []migration.Year{{
			Year: "2026", State: rotation.Preferred, CertEndAt: time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC),
			RetireAt: time.Date(2027, 7, 1, 0, 0, 0, 0, time.UTC), SPs: 1,
		}},
		SPs: []migration.Line{{
			SP: spA, Name: "Alpha", Active: true, Move: migration.Moved, YearsToLeave: []idp.Year{}, Contacts: []string{"ops@a.example"},
			Years: []migration.YearUse{{
				Year: "2026", FirstAt: now.AddDate(0, 0, -40), LastAt: now.AddDate(0, 0, -6),
				Days7: 1, Days30: 2, Signed: true, CertSHA256: cert.sha256,
			}},
			Certs: []migration.RequestCert{
				{SHA256: old.sha256, EndAt: at(2026, 6, 1), Ended: true, LastAt: now.AddDate(0, 0, -20)},
				{SHA256: cert.sha256, EndAt: at(2027, 6, 1), LastAt: now.AddDate(0, 0, -6)},
			},
			Fetches:  []migration.Fetches{},
			Warnings: []rotation.Reason{{Code: migration.WarnRequestCertEnded, Args: rotation.Args{SHA256: old.sha256[:16], At: at(2026, 6, 1)}}},
		}, {
			SP: spB, Name: "Beta", Active: true, Move: migration.Unseen, YearsToLeave: []idp.Year{}, Contacts: []string{}, Years: []migration.YearUse{},
			Certs:   []migration.RequestCert{{SHA256: requestCert(at(2036, 1, 1)).sha256, EndAt: at(2036, 1, 1)}},
			Fetches: []migration.Fetches{}, Warnings: []rotation.Reason{},
		}},
		Fetches: []migration.Fetches{},
	}
	if diff := cmp.Diff(want, w.show(s)); diff != "" {
		t.Errorf("board (-want +got):\n%s", diff)
	}
}

func TestBoardListsUnmovedFirst(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, at(2026, 6, 1))
	s := w.server()
	w.step(rotation.StepPublish, "2027")
	w.step(rotation.StepPrefer, "2027")
	name := func(n string) func(*idp.ServiceProvider) { return func(p *idp.ServiceProvider) { p.Name = n } }
	w.add("urn:unseen", name("A"))
	w.add("urn:moved", name("B"))
	w.add("urn:both", name("C"))
	w.add("urn:late", name("E"))
	w.add("urn:late-too", name("D"))
	w.add("urn:closed", name("0"), func(p *idp.ServiceProvider) { p.Active = false })
	for _, id := range []idp.EntityID{"urn:both", "urn:late", "urn:late-too", "urn:closed"} {
		w.use(s, id, "2026")
	}
	w.use(s, "urn:both", "2027")
	w.use(s, "urn:moved", "2027")
	var got []idp.EntityID
	for _, l := range w.show(s).SPs {
		got = append(got, l.SP)
	}
	want := []idp.EntityID{"urn:late-too", "urn:late", "urn:both", "urn:moved", "urn:unseen", "urn:closed"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestBoardWarnsOfClockAndRelayState(t *testing.T) {
	t.Parallel()
	now := at(2026, 6, 30)
	sha := requestCert(at(2036, 1, 1)).sha256
	signed := func(change func(*idp.Use)) idp.Use {
		u := idp.Use{SP: spA, Year: "2026", At: now, CertSHA256: sha, IssuedAt: now}
		change(&u)
		return u
	}
	issued := func(d time.Duration) idp.Use { return signed(func(u *idp.Use) { u.IssuedAt = now.Add(d) }) }
	relay := func(n int, ago int) idp.Use {
		return signed(func(u *idp.Use) { u.RelayStateLength, u.At, u.IssuedAt = n, now.AddDate(0, 0, -ago), time.Time{} })
	}
	ending := requestCert(now.AddDate(0, 0, 60))
	warn := func(code rotation.ReasonCode, date time.Time, count int) rotation.Reason {
		return rotation.Reason{Code: code, Args: rotation.Args{At: date, Count: count}}
	}
	tests := []struct {
		name string
		cert testCert // the default one if empty
		uses []idp.Use
		want []rotation.Reason
	}{
		{name: "nothing", uses: []idp.Use{issued(0)}},
		{name: "RelayState at the bound", uses: []idp.Use{relay(80, 0)}},
		{name: "RelayState over it", uses: []idp.Use{relay(200, 3), relay(81, 2), relay(10, 0)},
			want: []rotation.Reason{warn(migration.WarnRelayStateLong, at(2026, 6, 27), 200)}},
		{name: "RelayState, the largest was longer ago", uses: []idp.Use{relay(200, 31), relay(81, 2)},
			want: []rotation.Reason{warn(migration.WarnRelayStateLong, at(2026, 5, 30), 200)}},
		{name: "RelayState, the largest was too long ago", uses: []idp.Use{relay(200, 33), relay(81, 2)},
			want: []rotation.Reason{warn(migration.WarnRelayStateLong, at(2026, 6, 28), 81)}},
		{name: "RelayState long ago", uses: []idp.Use{relay(200, 31), relay(10, 2)}},
		{name: "clock 30 s behind", uses: []idp.Use{issued(-30 * time.Second)}},
		{name: "clock behind", uses: []idp.Use{issued(-45 * time.Second)}, want: []rotation.Reason{warn(migration.WarnClockBehind, time.Date(2026, 6, 30, 0, 0, 0, 0, time.UTC), 45)}},
		{name: "clock ahead", uses: []idp.Use{issued(50 * time.Second), issued(45 * time.Second)}, want: []rotation.Reason{warn(migration.WarnClockAhead, time.Date(2026, 6, 30, 0, 0, 0, 0, time.UTC), 50)}},
		{name: "one request was late", uses: []idp.Use{issued(-4 * time.Minute), issued(-time.Second)}},
		{name: "the clock was put right", uses: []idp.Use{
			signed(func(u *idp.Use) { u.At, u.IssuedAt = now.AddDate(0, 0, -1), now.AddDate(0, 0, -1).Add(time.Minute) }), issued(0)}},
		{name: "the sign-in took long, not the request", uses: []idp.Use{
			signed(func(u *idp.Use) {
				u.CertSHA256, u.IssuedAt, u.ReceivedAt = "", now.Add(-time.Hour), now.Add(-time.Hour)
			})},
			want: []rotation.Reason{warn(migration.WarnUnsigned, at(2026, 6, 30), 0)}},
		{name: "unsigned long ago", uses: []idp.Use{
			signed(func(u *idp.Use) { u.CertSHA256, u.At, u.IssuedAt = "", now.AddDate(0, 0, -31), time.Time{} }), issued(0)}},
		{name: "certificate ends in 60 days", cert: ending, want: []rotation.Reason{{Code: migration.WarnRequestCertEnds, Args: rotation.Args{SHA256: ending.sha256[:16], At: at(2026, 8, 29)}}}},
		{name: "certificate ends in 61 days", cert: requestCert(now.AddDate(0, 0, 61))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newDeployment(t, now)
			w.add(spA, func(p *idp.ServiceProvider) {
				if tt.cert.pem != "" {
					p.Certs = []string{tt.cert.pem}
				}
			})
			atOnce, apart := w.server(), w.server()
			for _, u := range tt.uses {
				atOnce.Usage.Use(u)
			}
			if diff := cmp.Diff(append([]rotation.Reason{}, tt.want...), line(t, w.show(atOnce), spA).Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			for _, u := range tt.uses {
				apart.Usage.Use(u)
				ok(t, apart.Usage.Flush(t.Context()))
			}
			if diff := cmp.Diff(append([]rotation.Reason{}, tt.want...), line(t, w.show(apart), spA).Warnings); diff != "" {
				t.Errorf("warnings, flushed one by one (-want +got):\n%s", diff)
			}
		})
	}
}
