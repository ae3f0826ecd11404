package templates

import (
	"io"
	"time"
)

func init() { moreSamples = append(moreSamples, ownSamples) }

// ownSamples are the pages about how a user signs in.
func ownSamples(b Base) []sample {
	at := time.Date(2027, 3, 9, 14, 5, 0, 0, time.UTC)
	frame := func(current, form string, notice Key) AccountBase {
		f := AccountBase{Base: b, Email: "ada@example.com", Notice: notice}
		for _, name := range []string{"overview", "emails", "password", "factors", "sessions", "delete"} {
			f.Parts = append(f.Parts, AccountPart{Name: name, URL: "/account/" + name, IsCurrent: name == current})
		}
		if len(f.Languages.Langs) > 0 {
			f.Languages.Form = form
		}
		return f
	}
	page := func(name string, bad bool, p Page) sample {
		return sample{name, bad, func(s *Set, w io.Writer) error { return s.WriteHTML(w, p) }}
	}
	const secret = "otpauth://totp/Vernal:ada@example.com?algorithm=SHA1&digits=6&issuer=Vernal&period=30&secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	groups := []string{"JBSW", "Y3DP", "EHPK", "3PXP", "JBSW", "Y3DP", "EHPK", "3PXP"}
	emails := []OwnEmail{
		{Address: "ada@example.com", IsPrimary: true, IsConfirmed: true, ConfirmedAt: at, LastSignInAt: at},
		{Address: "a.very.long.email.address.that.wraps.on.every.phone@department-of-everything.example.com", IsConfirmed: true, CanRemove: true, ConfirmedAt: at},
		{Address: "old@example.net", CanRemove: true},
	}
	confirm := func(problems Problems, isRecovery bool) ConfirmFactorPage {
		p := ConfirmFactorPage{Base: b, Action: "/confirm", Next: "/account/emails", Email: "ada@example.com", UsesRecoveryCode: isRecovery, OtherURL: "/other", Problems: problems, CancelURL: "/account"}
		if len(p.Languages.Langs) > 0 {
			p.Languages.Form = FormConfirmFactor
		}
		return p
	}
	factor := OwnFactor{ID: "0123456789abcdef", Name: "My phone", AddedAt: at}
	other := OwnFactor{ID: "1123456789abcdef", AddedAt: at}
	only := factor
	only.IsOnly, only.Typed, only.Problem = true, "x", ProblemFactorName
	return []sample{
		page("confirm-factor", false, confirm(nil, false)),
		page("confirm-factor-recovery", true, confirm(NewProblems(ProblemRecoveryWrong), true)),
		page("emails", false, EmailsPage{AccountBase: frame("emails", FormAddEmail, NoticeEmailSent), Emails: emails, CanSend: true, Max: 12, Action: "/add", RemoveAction: "/remove", PrimaryAction: "/primary"}),
		page("emails-wrong", true, EmailsPage{AccountBase: frame("emails", FormAddEmail, ""), Emails: emails[:1], CanSend: true, Max: 12, Typed: "ada@example.com", Problems: NewProblems(ProblemEmailOwn), Action: "/add", RemoveAction: "/remove", PrimaryAction: "/primary"}),
		page("emails-needed", true, EmailsPage{AccountBase: frame("emails", "", ""), Emails: emails, IsFull: true, CanSend: true, Max: 12, Problems: NewProblems(ProblemEmailNeeded), RemoveAction: "/remove", PrimaryAction: "/primary"}),
		page("emails-no-mail", false, EmailsPage{AccountBase: frame("emails", "", ""), Emails: emails[:1], Max: 12}),
		page("password", false, PasswordPage{AccountBase: frame("password", FormChangePassword, ""), Action: "/password", ForgotURL: "/forgot"}),
		page("password-wrong", true, PasswordPage{AccountBase: frame("password", FormChangePassword, ""), Action: "/password", Problems: NewProblems(ProblemCurrentPassword, ProblemOwnPasswordShort)}),
		page("factors", false, FactorsPage{AccountBase: frame("factors", "", NoticeFactorAdded), Factors: []OwnFactor{factor, other}, IsFull: true, Max: 2, AddURL: "/add", RenameAction: "/rename", RemoveAction: "/remove", OffersCodes: true, CodesLeft: 7, CodesURL: "/codes"}),
		page("factors-only", true, FactorsPage{AccountBase: frame("factors", "", ""), Factors: []OwnFactor{only}, Max: 2, AddURL: "/add", RenameAction: "/rename", RemoveAction: "/remove", OffersCodes: true, CodesURL: "/codes", ResetAt: at, CancelAction: "/cancel", Problems: NewProblems(ProblemFactorName)}),
		page("add-factor", false, AddFactorPage{AccountBase: frame("factors", FormAddFactor, ""), Action: "/add", Sealed: "c2VhbGVk", URL: secret, Groups: groups}),
		page("add-factor-wrong", true, AddFactorPage{AccountBase: frame("factors", FormAddFactor, ""), Action: "/add", Sealed: "c2VhbGVk", URL: secret, Groups: groups, Name: "My phone", Problems: NewProblems(ProblemCodeWrong, ProblemFactorName)}),
		page("delete", false, DeletePage{AccountBase: frame("delete", FormDelete, ""), Days: 14, HasIdentity: true, Action: "/delete"}),
		page("delete-wrong", true, DeletePage{AccountBase: frame("delete", FormDelete, ""), Days: 14, Action: "/delete", Typed: "ada", Problems: NewProblems(ProblemDeleteEmail)}),
		page("delete-planned", false, DeletePage{AccountBase: frame("delete", "", NoticeDeletionPlanned), Days: 14, DeletionAt: at, CancelAction: "/cancel"}),
		page("confirm-email", false, ConfirmPage{Base: b, Title: EmailConfirmTitle, Text: EmailConfirmText, Button: EmailConfirmButton, Args: []string{emails[1].Address}, Action: "/confirm", Fields: []Field{{"token", "x"}}}),
		page("remove-factor", false, ConfirmPage{Base: b, Title: FactorRemoveTitle, Text: FactorRemoveText, Button: FactorRemoveButton, Args: []string{""}, Action: "/remove", CancelURL: "/factors"}),
		page("last-factor", false, OutcomePage{Base: b, Title: FactorLastTitle, Text: FactorLastText, Link: FactorAdd, URL: "/add", HasSupport: true}),
		page("to-service", false, OutcomePage{Base: b, Title: ToServiceTitle, Text: ToServiceText, Link: ToServiceLink, Args: []string{"Benefits"}, URL: "https://benefits.example.gov/start"}),
		page("email-undone", false, OutcomePage{Base: b, Title: EmailUndoneTitle, Text: EmailUndoneText, Args: []string{emails[1].Address}, Link: EmailUndoneReset, URL: "/forgot"}),
	}
}
