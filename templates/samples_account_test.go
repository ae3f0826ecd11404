package templates

import (
	"io"
	"time"
)

func init() { moreSamples = append(moreSamples, accountSamples) }

// accountSamples are the pages of an account.
func accountSamples(b Base) []sample {
	at := time.Date(2027, 3, 9, 14, 5, 0, 0, time.UTC)
	frame := func(current string) AccountBase {
		f := AccountBase{Base: b, Email: "ada@example.com"}
		for _, name := range []string{"overview", "sessions"} {
			f.Parts = append(f.Parts, AccountPart{Name: name, URL: "/account/" + name, IsCurrent: name == current})
		}
		return f
	}
	page := func(name string, p Page) sample {
		return sample{name, false, func(s *Set, w io.Writer) error { return s.WriteHTML(w, p) }}
	}
	done := frame("sessions")
	done.Notice = NoticeSessionEnded
	return []sample{
		page("account", AccountPage{AccountBase: frame("overview"), Action: "/sign-out", Idle: 15, EndAt: at.Add(12 * time.Hour),
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
		page("sessions-alone", SessionsPage{AccountBase: frame("sessions"),
			Sessions: []OwnSession{{ID: "0123456789abcdef", IsCurrent: true, BegunAt: at, SeenAt: at}}}),
	}
}
