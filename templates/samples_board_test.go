package templates

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/rotation"
)

// boardSamples returns the pages of the admin listener, with no service provider, with five in
// every possible state, and with many: as many as a page has for pictures, fewer for the
// checks, which are slow on a long page.
func boardSamples(lang Lang, branding Branding) (all []sample) {
	base := Base{Lang: lang, Branding: branding, Nonce: "bm9uY2U"}
	for _, l := range []Lang{"en", "es", "fr"} {
		base.Languages.Links = append(base.Languages.Links, LanguageLink{l, "?locale=" + string(l)})
	}
	many := 30
	if os.Getenv("VERNAL_SHOTS") != "" {
		many = 200
	}
	sizes := []int{0, 5, many}
	if lang != fallback {
		sizes = sizes[:2] // a longer page has no other words
	}
	for _, n := range sizes {
		b, w := boardSample(n), wallSample(n)
		b.Base, w.Base, w.SwitchURL = base, base, "?refresh=off"
		all = append(all,
			sample{fmt.Sprintf("board-%d", n), false, func(s *Set, out io.Writer) error { return s.WriteHTML(out, b) }},
			sample{fmt.Sprintf("wall-%d", n), false, func(s *Set, out io.Writer) error { return s.WriteHTML(out, w) }})
	}
	return all
}

var boardAt = time.Date(2027, 3, 9, 14, 5, 0, 0, time.UTC)

func boardYears() []BoardYear {
	retire := BoardStep{Year: "2026", Text: StepKey(""), At: boardAt.AddDate(0, 0, 23)}
	next := BoardStep{Year: "2028", Text: StepKey(rotation.StepCreate), At: boardAt.AddDate(0, 10, 6)}
	return []BoardYear{
		{Year: "2025", State: YearKey("grace"), IsLive: true, CertEndAt: boardAt.AddDate(-1, 0, 23), HasCertEnded: true,
			RetireAt: boardAt.AddDate(0, -8, 0), SPCount: 1, MustBeLeft: true, UnmovedCount: 1, UnmovedURL: "/rotation?show=unmoved&year=2025",
			Next: &BoardStep{Year: "2025", Text: StepKey(rotation.StepRetire), At: boardAt, IsStuck: true, Waits: []rotation.Reason{{Code: rotation.WaitsUsed, Args: rotation.Args{At: boardAt.AddDate(0, 0, -1), Days: 14, DaysLeft: 13, SPs: []idp.EntityID{"urn:a", "urn:b"}}}}}},
		{Year: "2026", State: YearKey("expiring"), IsLive: true, CertEndAt: boardAt.AddDate(0, 0, 23), RetireAt: boardAt.AddDate(0, 3, 22),
			SPCount: 118, MustBeLeft: true, UnmovedCount: 42, UnmovedURL: "/rotation?show=unmoved&year=2026", Next: &retire},
		{Year: "2027", State: YearKey("preferred"), IsLive: true, IsPreferred: true, CertEndAt: boardAt.AddDate(1, 0, 23),
			RetireAt: boardAt.AddDate(1, 3, 22), SPCount: 140},
		{Year: "2028", State: YearKey("planned"), Next: &next},
	}
}

func boardSample(n int) BoardPage {
	p := BoardPage{
		At: boardAt, DataURL: "/rotation.json", Years: boardYears(), Preferred: "2027", Target: "2027", MovedCount: n / 3, ActiveCount: n - 1,
		Attention: []BoardAttention{
			{rotation.Attention{Code: rotation.CertEnded, Year: "2025", Args: rotation.Args{At: boardAt.AddDate(-1, 0, 23)}}, "vernal rotation report --year 2025"},
			{rotation.Attention{Code: rotation.StepFailed, Year: "2028", Args: rotation.Args{Step: rotation.StepCreate, At: boardAt, Value: "the vault is sealed"}}, ""},
		},
		NextSteps: []BoardStep{
			{Year: "2025", Text: StepKey(rotation.StepRetire), IsStuck: true, IsManual: true, Waits: []rotation.Reason{{Code: rotation.WaitsExternalKey}}},
			{Year: "2026", Text: StepKey(""), At: boardAt.AddDate(0, 0, 23)},
			{Year: "2026", Text: StepKey(rotation.StepRetire), At: boardAt.AddDate(0, 3, 22)},
			{Year: "2028", Text: StepKey(rotation.StepCreate), At: boardAt.AddDate(0, 10, 6), IsManual: true},
		},
		Moves: []BoardFilter{{MoveAll, "", n, "/rotation", true}, {MoveKey("unmoved"), "", n / 2, "/rotation?show=unmoved", false},
			{MoveKey("both"), "", 1, "/rotation?show=both", false}, {MoveKey("moved"), "", n / 3, "/rotation?show=moved", false}, {MoveKey("unseen"), "", 1, "/rotation?show=unseen", false}, {MoveInactive, "", 1, "/rotation?show=inactive", false}},
		InYears: []BoardFilter{{"", "2026", n, "/rotation?year=2026", false}, {"", "2027", n / 2, "/rotation?year=2027", false}},
		Search:  BoardSearch{Action: "/rotation", Query: "", Fields: []Field{{"show", "unmoved"}}},
		First:   1, Last: n, Total: n, RegisteredCount: n,
	}
	if n == 0 {
		p.Years, p.Attention, p.IsHeld, p.IsManual = p.Years[2:], nil, true, true
		p.MovedCount, p.ActiveCount = 0, 0
		return p
	}
	loads := []BoardFetch{{Year: "2027", Hint: "https://unknown.example", ClientIP: "203.0.113.9", UserAgent: "Apache-HttpClient/4.5.13 (Java/17.0.2) \x1b[2J", LastAt: boardAt, Count: 1},
		{ClientIP: "2001:db8::2:1", UserAgent: strings.Repeat("x", 200), LastAt: boardAt, Count: 28}}
	p.Fetches = loads
	if n > 5 {
		p.Total, p.RegisteredCount, p.NextURL, p.PreviousURL, p.MoreAttention = 10000, 10000, "/rotation?page=3", "/rotation", 17
	}
	moves := []Key{MoveKey("unmoved"), MoveKey("unmoved"), MoveKey("both"), MoveKey("moved"), MoveKey("unseen")}
	for i := range n {
		s := BoardSP{EntityID: idp.EntityID(fmt.Sprintf("https://sp%d.agency.example/saml/metadata", i)), Name: fmt.Sprintf("%s %d", spName, i),
			Move: moves[i%5], Contacts: []string{"saml-team@agency.example"},
			Certs: []BoardCert{{SHA256: strings.Repeat("c3", 32), EndAt: boardAt.AddDate(1, 0, 0), LastAt: boardAt}}}
		switch i % 5 {
		case 0, 2, 3:
			s.Years = []BoardUse{{Year: "2026", FirstAt: boardAt.AddDate(-1, 0, 0), LastAt: boardAt.Add(-time.Hour), Days7: 1204, Days30: 5310, Signed: true, CertSHA256: strings.Repeat("c3", 32)},
				{Year: "2027", FirstAt: boardAt.AddDate(0, 0, -6), LastAt: boardAt.AddDate(0, 0, -2), Days7: 3, Days30: 3}}
			s.Fetches = loads[:1]
		case 1:
			s.EntityID, s.Name, s.Contacts = idp.EntityID("urn:example:"+strings.Repeat("unbroken", 20)), "", nil
			s.Warnings = []rotation.Reason{
				{Code: "relay_state_long", Args: rotation.Args{Count: 312, At: boardAt.AddDate(0, 0, -1)}},
				{Code: "clock_behind", Args: rotation.Args{Count: 250, At: boardAt.AddDate(0, 0, -1)}},
			}
			s.Certs = []BoardCert{{SHA256: strings.Repeat("d4", 32), EndAt: boardAt.AddDate(0, -1, 0), Ended: true}}
			s.Years = []BoardUse{{Year: "2026", FirstAt: boardAt.AddDate(0, -3, 0), LastAt: boardAt.AddDate(0, 0, -20), Days30: 1, Signed: true}}
		case 4:
			s.Move = MoveInactive
		}
		p.SPs = append(p.SPs, s)
	}
	return p
}

func wallSample(n int) WallPage {
	p := WallPage{At: boardAt, Preferred: "2027", Years: boardYears()[:3],
		NextSteps: []BoardStep{{Year: "2026", Text: StepKey(""), At: boardAt.AddDate(0, 0, 23)}, {Year: "2026", Text: StepKey(rotation.StepRetire), IsStuck: true, IsManual: true}}}
	if n == 0 {
		p.Years, p.NextSteps = p.Years[2:], p.NextSteps[:1]
		return p
	}
	p.Source, p.Target, p.Attention = "2026", "2027", 4
	p.Needs = []WallNeed{{NeedKey(rotation.CertEnded), "2025", 1}, {NeedKey(rotation.CertEnding), "2026", 1}, {NeedKey(rotation.RequestCertEnded), "", 2}}
	var names []WallName
	p.UnmovedCount, p.BothCount, p.MovedCount, p.UnseenCount = n*2/5, n/5, n/5, n/5
	if n == 5 {
		names = []WallName{{"urn:example:" + strings.Repeat("unbroken", 20), boardAt}, {spName, boardAt.AddDate(0, 0, -3)}}
		p.Migrations = []WallMigration{{Year: "2026", Names: names, Count: 2}, {Year: "2025", Names: names[1:], Count: 1}}
		return p
	}
	for i := range 120 {
		names = append(names, WallName{fmt.Sprintf("%s %d", spName, i), boardAt.AddDate(0, 0, -i%14)})
	}
	p.Migrations = []WallMigration{{"2026", names, 17, len(names) + 17}, {Year: "2025", Names: names[:3], Count: 3}}
	return p
}
