package templates

import (
	"io"
	"time"

	"vernal/idp"
)

// recoverySamples are the pages with which users recover their accounts.
func recoverySamples(b, alone Base) []sample {
	page := func(name string, bad bool, p Page) sample {
		return sample{name, bad, func(s *Set, w io.Writer) error { return s.WriteHTML(w, p) }}
	}
	forgot := func(change func(*ForgotPage)) ForgotPage {
		p := ForgotPage{Base: b, Action: "/sign-in/forgot", Request: "Zx81", Email: "ada@example.com", CanMail: true, SignInURL: "/sign-in"}
		p.Languages.Form = FormForgot
		change(&p)
		return p
	}
	sent := ForgotSentPage{Base: b, Action: "/sign-in/forgot", Request: "Zx81", Email: "ada@example.com", Minutes: 30, OtherURL: "/sign-in/forgot"}
	throttled := sent
	throttled.Problems = Throttled(time.Hour)
	reset := ResetPage{Base: alone, Action: "/sign-in/reset", Token: "t0ken", Email: "ada@example.com"}
	short := reset
	short.Problems, short.Languages.Form = NewProblems(ProblemNewPasswordShort), FormReset
	lost := LostPage{Base: b, Action: "/sign-in/lost", Request: "Zx81", CodeURL: "/sign-in/recovery-code", RestartURL: "/sign-in/code", CanDelete: true, Hours: 24}
	unconfirmed, planned, supported := lost, lost, lost
	unconfirmed.Problems = NewProblems(ProblemConfirmMissing)
	planned.DeletionAt = time.Date(2027, 3, 9, 14, 5, 0, 0, time.UTC)
	supported.CanDelete = false
	guided := lost
	guided.HelpURL, guided.DevelopersURL = HelpPath, DevelopersPath
	code := CodePage{Base: b, Action: "/sign-in/recovery-code", Request: "Zx81", Email: "ada@example.com", IsRecoveryCode: true,
		CodeURL: "/sign-in/code", LostURL: "/sign-in/lost", Time: CodeTime{WarnIn: 480, EndIn: 600, Minutes: 2, RestartURL: "/sign-in"}}
	wrong, paused := code, code
	wrong.Problems = NewProblems(ProblemRecoveryCodeWrong)
	paused.Notice = NoticePausedProofing
	digits := code
	digits.IsRecoveryCode, digits.RecoveryURL = false, "/sign-in/recovery-code"
	return []sample{
		page("signin-forgot", false, SignInPage{Base: b, Action: "/sign-in", Email: "ada@example.com", Notice: NoticePasswordReset, ForgotURL: "/sign-in/forgot"}),
		page("forgot", false, forgot(func(*ForgotPage) {})),
		page("forgot-wrong", true, forgot(func(p *ForgotPage) { p.Problems = NewProblems(ProblemEmailInvalid) })),
		page("forgot-no-mail", false, forgot(func(p *ForgotPage) { p.CanMail, p.Languages.Form = false, "" })),
		page("forgot-sent", false, sent),
		page("forgot-throttled", true, throttled),
		page("reset", false, reset),
		page("reset-short", true, short),
		page("code-recovery-link", false, digits),
		page("recovery-code", false, code),
		page("recovery-code-wrong", true, wrong),
		page("recovery-code-paused", false, paused),
		page("lost", false, lost),
		page("lost-guided", false, guided),
		page("lost-unconfirmed", true, unconfirmed),
		page("lost-planned", false, planned),
		page("lost-support", false, supported),
		page("message-unusable", true, MessagePage{Base: alone, IsError: true, Title: LinkUnusableTitle, Text: LinkUnusableText,
			Button: LinkUnusableButton, ButtonURL: "/sign-in/forgot", Link: BackToSignIn, LinkURL: "/sign-in"}),
		page("message-used", false, MessagePage{Base: b, Title: CodeUsedTitle, Text: CodeUsedText, Args: []string{"9"},
			Button: CodeUsedNext, ButtonURL: "/continue", Link: CodeUsedAccount, LinkURL: "/account"}),
		page("keep", false, ConfirmPage{Base: alone, Title: KeepTitle, Text: KeepText, Button: KeepButton, Action: "/account/delete/cancel", Fields: []Field{{"token", "t0ken"}}}),
		page("lack-active-proofing", true, LackPage{Base: b, Lacks: "active-proofing", Have: []idp.Factor{idp.FactorPassword, idp.FactorTOTP},
			RecoverURL: "/sign-in?request=Zx81", LeaveURL: "https://records.example/home", ErrorID: "0198f2c4-7d1e",
			Refusal: idp.Refuse(idp.RefusedNoProofing, "AuthnContextClassRef", "http://idmanagement.gov/ns/assurance/ial/2")}),
	}
}
