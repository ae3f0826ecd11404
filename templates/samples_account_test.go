package templates

import (
	"io"
	"slices"
	"strings"
	"time"

	"vernal/idp"
)

func init() { moreSamples = append(moreSamples, accountSamples) }

// accountSamples are the pages of an account.
func accountSamples(b Base) []sample {
	at := time.Date(2027, 3, 9, 14, 5, 0, 0, time.UTC)
	frame := func(current string) AccountBase {
		f := AccountBase{Base: b, Email: "ada@example.com"}
		for _, name := range []string{"overview", "emails", "password", "factors", "services", "sessions", "history", "data", "delete"} {
			f.Parts = append(f.Parts, AccountPart{Name: name, URL: "/account/" + name, IsCurrent: name == current})
		}
		return f
	}
	page := func(name string, p Page) sample {
		return sample{name, false, func(s *Set, w io.Writer) error { return s.WriteHTML(w, p) }}
	}
	langs := []Lang{"en", "es", "fr"}
	const longName, longEmail = "Department of Very Long Names and Other Affairs", "a.very.long.email.address.that.wraps.on.every.phone@department-of-everything.example.com"
	emails := []string{"ada@example.com", longEmail}
	var everything []HistoryEntry
	for _, kind := range append(slices.Clone(historyKinds), "unknown") {
		for _, outcome := range append([]string{"ok"}, historyOutcomes[kind]...) {
			everything = append(everything, HistoryEntry{Text: HistoryKey(kind, outcome, outcome == "sp"), Service: longName, At: at})
		}
	}
	done := frame("sessions")
	done.Notice = NoticeSessionEnded
	return []sample{
		page("account", AccountPage{AccountBase: frame("overview"), Action: "/sign-out", MailLang: "es", MailLangs: langs, LangAction: "/language", Idle: 15, EndAt: at.Add(12 * time.Hour),
			Visits: []Visit{{SPName: spName, SPLogo: logoPath, At: at}, {SPName: "Department of Very Long Names and Other Affairs", At: at.Add(time.Hour)}}}),
		page("account-attention", AccountPage{AccountBase: frame("overview"), Action: "/sign-out", Idle: 1, EndAt: at, Attention: []Attention{
			{Text: AttentionDeletion, At: at, Action: "/cancel", Link: AttentionKeep},
			{Text: AttentionReset, At: at, URL: "/factors", Link: AttentionResetLink},
			{Text: AttentionNoCodes, URL: "/factors", Link: AttentionCodesLink},
			{Text: AttentionFewCodes, Count: 2, URL: "/factors", Link: AttentionCodesLink},
		}}),
		page("sessions", SessionsPage{AccountBase: done, EndAction: "/end", EndOthersAction: "/end-others", UnlistedCount: 3,
			Sessions: []OwnSession{
				{ID: "0123456789abcdef", Browser: "Firefox", System: "Linux", Network: "203.0.113.x", IsCurrent: true, BegunAt: at, SeenAt: at,
					Services: []string{spName, "Department of Very Long Names and Other Affairs"}},
				{ID: "1123456789abcdef", Browser: "Samsung Internet", System: "Android", Network: "2001:db8:1234:x", BegunAt: at, SeenAt: at},
				{ID: "2123456789abcdef", System: "Windows", BegunAt: at, SeenAt: at, IsPending: true},
			},
			ForgetAction: "/forget", ForgetAllAction: "/forget-all",
			Devices: []OwnDevice{
				{ID: "3123456789abcdef", Browser: "Firefox", System: "Linux", IsCurrent: true, At: at, UntilAt: at.AddDate(0, 0, 30)},
				{ID: "4123456789abcdef", At: at, UntilAt: at.AddDate(0, 0, 30), UsedAt: at.AddDate(0, 0, 2)},
			}}),
		page("services", ServicesPage{AccountBase: frame("services"), WithdrawAction: "/withdraw", EmailAction: "/email", Emails: emails, Services: []ServiceItem{
			{ID: "https://a.example", Name: spName, Logo: logoPath, URL: "https://records.example/login", FirstAt: at, LastAt: at.AddDate(0, 1, 0), HasConsent: true,
				ConsentAt: at, Shared: []Key{AttributeKey("email"), AttributeKey("name"), AttributeKey("ssn")}, OffersEmail: true},
			{ID: "https://b.example", Name: longName, Agency: longName, FirstAt: at, LastAt: at, WithdrawnAt: at, ConsentAt: at, OffersEmail: true, Email: longEmail},
			{ID: "https://c.example", Name: "Benefits", FirstAt: at, LastAt: at, HasConsent: true, ConsentAt: at},
			{ID: "https://gone.example/" + strings.Repeat("saml/metadata/", 9), Name: "https://gone.example/" + strings.Repeat("saml/metadata/", 9), FirstAt: at, LastAt: at, IsRemoved: true},
		}}),
		page("services-none", ServicesPage{AccountBase: frame("services")}),
		page("history", HistoryPage{AccountBase: frame("history"), NewestURL: "/account/history", OlderURL: "/account/history?before=x", Entries: []HistoryEntry{
			{Text: HistoryKey(idp.AuditSignIn, "ok", true), Service: spName, At: at, By: "you", Network: "203.0.113.x"},
			{Text: HistoryKey(idp.AuditAuthn, "ok", false), At: at, By: "you", Browser: "Firefox", System: "Linux", Network: "2001:db8:1234:x"},
			{Text: HistoryKey(idp.AuditRefusal, "password", false), At: at},
			{Text: HistoryKey(idp.AuditUserUnlock, "ok", false), At: at, By: "staff"},
			{Text: HistoryKey(idp.AuditRefusals, "counted", false), At: at, By: "server"},
			{Text: HistoryKey(idp.AuditRemoteLogout, "ok", true), Service: longName, At: at, By: "service"},
		}}),
		page("history-all", HistoryPage{AccountBase: frame("history"), Entries: everything}),
		page("history-none", HistoryPage{AccountBase: frame("history")}),
		page("data", DataPage{AccountBase: frame("data"), Action: "/data", HasIdentity: true}),
		page("sessions-alone", SessionsPage{AccountBase: frame("sessions"),
			Sessions: []OwnSession{{ID: "0123456789abcdef", IsCurrent: true, BegunAt: at, SeenAt: at}}}),
	}
}
