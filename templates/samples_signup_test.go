package templates

import (
	"io"
	"strings"
	"time"
)

// signUpSamples returns the pages on which users create an account and set up a factor.
func signUpSamples(b, alone, long Base) []sample {
	page := func(name string, bad bool, p Page) sample {
		return sample{name, bad, func(s *Set, w io.Writer) error { return s.WriteHTML(w, p) }}
	}
	confirm := func(name string, b Base, change func(*SignUpConfirmPage)) sample {
		p := SignUpConfirmPage{Base: b, Action: "/sign-up/confirm", Token: "Zx81", Email: "ada@example.com"}
		change(&p)
		return page(name, len(p.Problems) > 0, p)
	}
	setUp := func(name string, b Base, change func(*SetUpPage)) sample {
		p := SetUpPage{Base: b, Action: "/sign-in/set-up", Request: "Zx81", Email: "ada@example.com",
			URL:    "otpauth://totp/Vernal:ada@example.com?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Vernal&algorithm=SHA1&digits=6&period=30",
			Groups: []string{"JBSW", "Y3DP", "EHPK", "3PXP", "JBSW", "Y3DP", "EHPK", "3PXP"},
			Time:   CodeTime{WarnIn: 480, EndIn: 600, Minutes: 2, RestartURL: "/sign-in"}}
		change(&p)
		return page(name, len(p.Problems) > 0, p)
	}
	codes := make([]string, 10)
	for i := range codes {
		codes[i] = "8F3K-22XM-PQ7" + string(rune('0'+i))
	}
	rules := OperatorText("Use this system for the business of the agency only.\n\n" + strings.Repeat("Do not share your password. ", 10))
	return []sample{
		page("sign-up", false, SignUpPage{Base: b, Action: "/sign-up", Request: "Zx81", SignInURL: "/sign-in"}),
		page("sign-up-long", false, SignUpPage{Base: long, Action: "/sign-up", Service: "urn:records", SignInURL: "/sign-in"}),
		page("sign-up-no-email", true, SignUpPage{Base: alone, Action: "/sign-up", SignInURL: "/sign-in", Problems: NewProblems(ProblemEmailMissing)}),
		page("sign-up-throttled", true, SignUpPage{Base: alone, Action: "/sign-up", SignInURL: "/sign-in", Email: "ada@example.com", Problems: Throttled(5 * time.Minute)}),
		page("sign-up-invite", false, InvitePage{Base: b, SignInURL: "/sign-in"}),
		page("sign-up-sent", false, SignUpSentPage{Base: b, Action: "/sign-up", Request: "Zx81", Email: "ada@example.com", Hours: 24, OtherURL: "/sign-up"}),
		page("sign-up-sent-throttled", true, SignUpSentPage{Base: alone, Action: "/sign-up", Email: strings.Repeat("unbroken", 20) + "@example.com", Hours: 1, OtherURL: "/sign-up", Problems: Throttled(time.Minute)}),
		page("sign-up-link", true, SignUpLinkPage{Base: alone, SignUpURL: "/sign-up", SignInURL: "/sign-in"}),
		page("sign-up-link-invited", true, SignUpLinkPage{Base: alone, SignInURL: "/sign-in"}),
		confirm("sign-up-confirm", b, func(*SignUpConfirmPage) {}),
		confirm("sign-up-confirm-invited", long, func(p *SignUpConfirmPage) { p.IsInvited = true }),
		confirm("sign-up-confirm-texts", alone, func(p *SignUpConfirmPage) {
			p.Rules, p.Privacy, p.HasRules = rules, "https://example.com/privacy", true
		}),
		confirm("sign-up-confirm-empty", alone, func(p *SignUpConfirmPage) {
			p.Rules, p.Privacy = "https://example.com/rules", rules
			p.Problems = NewProblems(ProblemPasswordMissing, ProblemRulesMissing, ProblemPrivacyMissing)
		}),
		confirm("sign-up-confirm-common", b, func(p *SignUpConfirmPage) { p.Problems = NewProblems(ProblemPasswordCommon) }),
		setUp("set-up", b, func(*SetUpPage) {}),
		setUp("set-up-long", long, func(p *SetUpPage) { p.Notice = NoticeMoreTime }),
		setUp("set-up-wrong", alone, func(p *SetUpPage) { p.Problems, p.Name = NewProblems(ProblemSetUpCode), "My phone" }),
		setUp("set-up-both", alone, func(p *SetUpPage) {
			p.Problems, p.Name = NewProblems(ProblemCodeMissing, ProblemNameInvalid), strings.Repeat("x", 64)
		}),
		page("recovery-offer", false, RecoveryCodesPage{Base: b, Action: "/sign-in/recovery-codes", Request: "Zx81", Set: "none", NextURL: "/sign-in/continue?request=Zx81"}),
		page("recovery-offer-again", false, RecoveryCodesPage{Base: alone, Action: "/sign-in/recovery-codes", Set: "a1b2", HasSet: true, Left: 1, NextURL: "/account"}),
		page("recovery-codes", false, RecoveryCodesPage{Base: b, Codes: codes, NextURL: "/sign-in/continue?request=Zx81", NextPath: "/sign-in/continue", NextRequest: "Zx81"}),
		page("recovery-codes-service", false, RecoveryCodesPage{Base: long, Codes: codes, NextURL: "https://records.example/login"}),
		page("recovery-shown", false, RecoveryCodesPage{Base: alone, Action: "/sign-in/recovery-codes", Set: "a1b2", HasSet: true, Left: 10, WasShown: true, NextURL: "/account"}),
	}
}
