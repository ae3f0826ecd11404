package templates

import (
	"io"
	"strings"
	"time"

	"vernal/idp"
)

// sample is a page as a user may see it.
type sample struct {
	name   string
	bad    bool // its title must begin with the word for error
	render func(s *Set, w io.Writer) error
}

const (
	spName   = "Treehouse Records"
	logoPath = idp.LogoPrefix + "0123456789abcdef0123456789abcdef.svg"
)

// samples returns every page in every state that looks different, in one language. The browser
// test opens each. The response page posts to acs.
func samples(lang Lang, acs string) []sample { return brandedSamples(lang, acs, Branding{}) }

// moreSamples are the samples of other files, on a page outside any flow.
var moreSamples []func(Base) []sample

// brandedSamples returns samples with a configured branding.
func brandedSamples(lang Lang, acs string, branding Branding) []sample {
	langs := Languages{Action: "/language", Return: "/sign-in?request=Zx81", Langs: []Lang{"en", "es", "fr"}}
	b := Base{Lang: lang, Branding: branding, SPName: spName, ReturnURL: "https://records.example/home", Nonce: "bm9uY2U", Languages: langs}
	pictured := b
	pictured.SPLogo = logoPath
	alone := Base{Lang: lang, Branding: branding, Nonce: "bm9uY2U", Languages: langs}
	guided := alone
	guided.HelpURL, guided.DevelopersURL = HelpPath, DevelopersPath
	guideLinks := []GuideLink{{"/help/install", "Install", "For operators who set up Vernal."}, {"/help/proxy", "Behind a proxy", "For operators."}}
	long := Base{Lang: lang, Nonce: "bm9uY2U", Branding: branding, Languages: langs, SPName: strings.Repeat("Bundesministeriumfürbesonderslangenamen", 3), Brand: "Department of Everything and Then Some Sign-in"}
	const start = "https://records.example/login"
	const id = "0198f2c4-7d1e"
	at := time.Date(2027, 3, 9, 14, 5, 0, 0, time.UTC)
	signIn := func(name string, b Base, change func(*SignInPage)) sample {
		p := SignInPage{Base: b, Action: "/sign-in", Request: "Zx81", Email: "ada@example.com"}
		change(&p)
		return sample{name, len(p.Problems) > 0, func(s *Set, w io.Writer) error { return s.WriteHTML(w, p) }}
	}
	code := func(name string, change func(*CodePage)) sample {
		p := CodePage{Base: b, Action: "/sign-in/code", Request: "Zx81", Email: "ada@example.com", Time: CodeTime{WarnIn: 480, EndIn: 600, Minutes: 2, RestartURL: "/sign-in"}}
		change(&p)
		return sample{name, len(p.Problems) > 0, func(s *Set, w io.Writer) error { return s.WriteHTML(w, p) }}
	}
	refused := func(name string, b Base, r *idp.Refusal) sample {
		return sample{name, true, func(s *Set, w io.Writer) error {
			return s.WriteHTML(w, RefusalPage{Base: b, Refusal: r, ErrorID: id, StartURL: start})
		}}
	}
	lack := func(name, lacks, leave string, have ...idp.Factor) sample {
		return sample{name, true, func(s *Set, w io.Writer) error {
			return s.WriteHTML(w, LackPage{Base: b, Lacks: lacks, Have: have, LeaveURL: leave, ErrorID: id,
				Refusal: idp.Refuse(idp.RefusedNoFactor, "AuthnContextClassRef", "http://idmanagement.gov/ns/assurance/aal/3?hspd12=true")})
		}}
	}
	change := func(what Key, name, extension string, load bool) Change {
		const base = "https://id.example/api/saml/"
		return Change{Text: what, Old: base + name + "2025" + extension, New: base + name + "2027" + extension, ServesFile: load}
	}
	retired := RetiredPage{Base: b, Year: "2025", NewYear: "2027", ErrorID: id, StartURL: start, EndedAt: at,
		Changes: []Change{change(ChangeMetadata, "metadata", "", true), change(ChangeAuth, "auth", "", false), change(ChangeLogout, "logout", "", false),
			change(ChangeRemoteLogout, "remotelogout", "", false), change(ChangeCertificate, "certificate", ".pem", true)},
		Fingerprint: strings.TrimSuffix(strings.Repeat("A1:", 32), ":"), EntityID: "https://id.example/api/saml"}
	noYear := NoYearPage{Base: alone, Path: "/api/saml/auth2019", Preferred: "2026", Target: "2027",
		Years: []YearURL{{"2027", "https://id.example/api/saml/auth2027", false}, {"2026", "https://id.example/api/saml/auth2026", true}}}
	noYearMetadata := NoYearPage{Base: alone, Path: "/api/saml/metadata2019", ServesFile: true, Preferred: "2027",
		Years: []YearURL{{"2027", "https://id.example/api/saml/metadata2027", true}}}
	revoked := retired
	revoked.IsRevoked, revoked.StartURL = true, ""
	retiredHere := retired
	retiredHere.SignOutAction = "/sign-out"
	demo := Base{Lang: lang, Brand: "Sample A", Nonce: "bm9uY2U", Languages: langs}
	first := DemoSample{OtherName: "Sample B", OtherURL: "http://b.localhost:8082"}
	second := DemoSample{IsSecond: true, OtherName: "Sample A", OtherURL: "http://a.localhost:8081"}
	home := DemoHomePage{Base: demo, Sample: first, SignInURL: "/signed-in", Email: "ada@example.com", Password: "spring-every-year",
		Code: "123 456", Seconds: 30, EntityID: "http://a.localhost:8081/saml/metadata",
		MetadataURL: "http://a.localhost:8081/saml/metadata", IdPMetadataURL: "http://localhost:8080/api/saml/metadata2027", IdPURL: "http://localhost:8080"}
	homeOut := home
	homeOut.Sample, homeOut.UsesPost, homeOut.IsEncrypted, homeOut.IsUsed = second, true, true, true
	homeOut.Notice, homeOut.NoticeArgs = NoticeDemoSignedOut, []string{"Sample A"}
	signedIn := DemoSignedInPage{Base: demo, Sample: first, Email: "ada@example.com", NameID: "0198f2c4-7d1e-4c52-9f0e-0d1f6a2b7c11",
		Format:     "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
		Attributes: []DemoAttribute{{"email", []string{"ada@example.com", "ada@example.org"}}, {"phone", nil}},
		ClassRef:   "urn:gov:gsa:ac:classes:sp:PasswordProtectedTransport:duo", IAL: "http://idmanagement.gov/ns/assurance/ial/1",
		AAL: "urn:gov:gsa:ac:classes:sp:PasswordProtectedTransport:duo", SessionIndex: "_0198f2c4", AuthnAt: at,
		Year: "2027", Algorithm: "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", CertEndAt: at, Fingerprint: strings.Repeat("a1", 32),
		Response: "<Response>\n  <Assertion " + strings.Repeat("unbroken", 30) + "/>\n</Response>", SignOutAction: "/sign-out", IdPURL: "http://localhost:8080"}
	encrypted := signedIn
	encrypted.Sample, encrypted.Year, encrypted.Email, encrypted.IAL, encrypted.AAL = second, "", "", "", ""
	encrypted.Encryption, encrypted.Assertion = "http://www.w3.org/2001/04/xmlenc#aes256-cbc", strings.Repeat("<Assertion/>\n", 40)
	failed := DemoErrorPage{Base: demo, Sample: first, Cause: "assertion expired on 9 March\x1b[2J", Response: "<Response/>", RetryURL: "/signed-in"}
	failedBare := failed
	failedBare.Sample, failedBare.Response = second, ""
	people := []sample{
		signIn("signin", b, func(*SignInPage) {}),
		signIn("signin-alone", alone, func(p *SignInPage) { p.Email, p.Request = "", "" }),
		signIn("signin-long", long, func(*SignInPage) {}),
		signIn("signin-help", b, func(p *SignInPage) {
			p.HelpText = map[string]string{
				"en": "<p>Bring your <b>records card</b>.</p><ol><li>New here? <a href=\"https://records.example/new\" target=\"_blank\">Ask for one</a></li></ol>",
				"es": "<p>Tenga a mano su <b>tarjeta de archivo</b>.</p>",
			}
		}),
		signIn("signin-notice", b, func(p *SignInPage) { p.Notice, p.NoticeArgs = NoticeForceAuthn, []string{spName} }),
		signIn("signin-logo", pictured, func(*SignInPage) {}),
		signIn("signin-wrong", b, func(p *SignInPage) { p.Problems = NewProblems(ProblemSignInWrong) }),
		signIn("signin-no-email", b, func(p *SignInPage) { p.Problems, p.Email = NewProblems(ProblemEmailMissing), "" }),
		signIn("signin-no-password", b, func(p *SignInPage) { p.Problems = NewProblems(ProblemPasswordMissing) }),
		signIn("signin-empty", b, func(p *SignInPage) {
			p.Problems, p.Email, p.Languages.Form = NewProblems(ProblemEmailMissing, ProblemPasswordMissing), "", FormSignIn
		}),
		signIn("signin-throttled", b, func(p *SignInPage) { p.Problems = Throttled(5 * time.Minute) }),
		signIn("signin-busy", b, func(p *SignInPage) { p.Problems = NewProblems(ProblemBusy) }),
		code("code", func(*CodePage) {}),
		code("code-remember", func(p *CodePage) { p.OffersRemember = true }),
		code("code-alone", func(p *CodePage) { p.Base, p.Request = alone, "" }),
		code("code-notice", func(p *CodePage) { p.Notice, p.NoticeArgs = NoticeStepUp, []string{spName} }),
		code("code-more", func(p *CodePage) { p.Notice, p.OffersRemember, p.IsRemembered = NoticeMoreTime, true, true }),
		code("code-soon", func(p *CodePage) { p.OffersRemember, p.Time.WarnIn = true, 0 }),
		code("code-soon-final", func(p *CodePage) { p.Time.WarnIn, p.Time.IsFinal, p.Time.Minutes = 0, true, 1 }),
		code("code-over", func(p *CodePage) { p.Time.WarnIn, p.Time.EndIn = -1, -1 }), // so that the picture shows it
		code("code-wrong", func(p *CodePage) { p.Problems, p.Languages.Form = NewProblems(ProblemCodeWrong), FormCode }),
		code("code-throttled", func(p *CodePage) { p.Problems = Throttled(time.Minute) }),
		{"stay", false, func(s *Set, w io.Writer) error {
			return s.WriteHTML(w, StayPage{Base: alone, IsDue: true, EndAt: at, Minutes: 2, Action: "/stay", AccountURL: "/account"})
		}},
		{"stay-final", false, func(s *Set, w io.Writer) error {
			return s.WriteHTML(w, StayPage{Base: alone, IsDue: true, IsFinal: true, EndAt: at, Minutes: 1, AccountURL: "/account", SignInURL: "/sign-in"})
		}},
		{"stay-live", false, func(s *Set, w io.Writer) error {
			return s.WriteHTML(w, StayPage{Base: alone, EndAt: at, Minutes: 12, Action: "/stay", AccountURL: "/account"})
		}},
		{"session-ended", false, func(s *Set, w io.Writer) error {
			return s.WriteHTML(w, SessionEndedPage{Base: alone, Reason: EndedIdle, SignInURL: "/sign-in"})
		}},
		{"session-ended-elsewhere", false, func(s *Set, w io.Writer) error {
			return s.WriteHTML(w, SessionEndedPage{Base: alone, Reason: EndedElsewhere, SignInURL: "/sign-in"})
		}},
		{"signed-out", false, func(s *Set, w io.Writer) error {
			return s.WriteHTML(w, SignedOutPage{Base: b, SignInURL: "/sign-in"})
		}},
		{"signed-out-alone", false, func(s *Set, w io.Writer) error { return s.WriteHTML(w, SignedOutPage{Base: alone}) }},
		{"logout", false, func(s *Set, w io.Writer) error {
			return s.WriteHTML(w, LogoutPage{Base: b, HasEnded: true, OpenServices: []string{"Department of Very Long Names and Other Affairs", "Benefits"},
				Action: acs, SAMLResponse: "PExvZ291dFJlc3BvbnNlLz4=", RelayState: "a+b", HasRelay: true})
		}},
		{"logout-not", false, func(s *Set, w io.Writer) error {
			return s.WriteHTML(w, LogoutPage{Base: b, Action: acs, SAMLResponse: "PExvZ291dFJlc3BvbnNlLz4="})
		}},
		{"confirm", false, func(s *Set, w io.Writer) error {
			return s.WriteHTML(w, ConfirmPage{Base: b, Title: ConfirmSignOutTitle, Text: ConfirmSignOutText, Button: ConfirmSignOutButton,
				Action: "/sign-out", Fields: []Field{{"year", "2027"}}, CancelURL: "/account"})
		}},
		{"attributes", false, func(s *Set, w io.Writer) error {
			return s.WriteHTML(w, AttributesPage{Base: alone, Example: "http://idmanagement.gov/ns/requested_attributes?ReqAttr=email,first_name,last_name", ClassRefs: []string{"urn:acr.login.gov:auth-only"}, Rows: []AttributeRow{
				{Name: "uuid", Format: "basic", Level: "any", IsAlwaysReleased: true}, {Name: "email", Format: "basic", Level: "any"},
				{Name: "verified_at", Format: "uri", Level: "eligible"}, {Name: "x509_subject", Format: "uri", Level: "piv", IsUnsupported: true}}})
		}},
		{"guide", false, func(s *Set, w io.Writer) error {
			return s.WriteHTML(w, GuidePage{Base: guided, Title: "Install", IsForIntegrators: true, Body: `<h1 id="install">Install</h1>
<p>For operators who set up Vernal. See <a href="/help/proxy">Behind a proxy</a> and <code>vernal.yaml</code>.</p>
<h2 id="binary">The binary</h2>
<pre tabindex="0"><code class="language-sh">vernal rotation preview 2027 --sp https://records.agency.example --wide-wide-wide-wide-wide-wide-wide-wide-wide-wide-wide
</code></pre>
<h3 id="keys">Keys</h3>
<div role="group" tabindex="0" aria-label="Table"><table>
<thead><tr><th>key</th><th>default</th><th>meaning of it</th><th>more words</th><th>still more</th></tr></thead>
<tbody><tr><td><code>base_url</code></td><td>http://localhost:8080</td><td>what browsers use</td><td>text</td><td><code>AA:BB</code></td></tr></tbody>
</table></div>
<ol><li>one</li><li>two</li></ol>
`})
		}},
		{"help", false, func(s *Set, w io.Writer) error {
			return s.WriteHTML(w, GuidesPage{Base: guided, Users: guideLinks, Operators: guideLinks})
		}},
		{"developers", false, func(s *Set, w io.Writer) error {
			return s.WriteHTML(w, GuidesPage{Base: guided, Integrators: guideLinks})
		}},
		{"not-found-guided", true, func(s *Set, w io.Writer) error { return s.WriteHTML(w, NotFoundPage{Base: guided, HomeURL: "/"}) }},
		{"error-guided", true, func(s *Set, w io.Writer) error {
			return s.WriteHTML(w, ErrorPage{Base: guided, Status: 500, Title: "error.internal.title", Text: "error.internal.text", ErrorID: id})
		}},
		{"retired-guided", true, func(s *Set, w io.Writer) error {
			p := retired
			p.Base = guided
			return s.WriteHTML(w, p)
		}},
		{"preview", false, func(s *Set, w io.Writer) error {
			p := Preview{ID: "0123456789abcdef", Year: "2027", SPName: "Orchard Desk", SPLogo: logoPath, EndAt: at, AuthURL: "https://id.example/api/saml/auth2027",
				MetadataURL:    "https://id.example/api/saml/metadata2027?preview=" + strings.Repeat("unbroken", 8),
				CertificateURL: "https://id.example/api/saml/certificate2027.pem?preview=" + strings.Repeat("unbroken", 8)}
			published := p
			published.IsPublished, published.Year = true, "2026"
			return s.WriteHTML(w, PreviewPage{Base: alone, Previews: []Preview{p, published}, Action: "/developers/preview"})
		}},
		{"preview-none", false, func(s *Set, w io.Writer) error { return s.WriteHTML(w, PreviewPage{Base: alone}) }},
		{"error", true, func(s *Set, w io.Writer) error {
			return s.WriteHTML(w, ErrorPage{Base: b, Status: 500, Title: "error.internal.title", Text: "error.internal.text", ErrorID: id, StartURL: start})
		}},
		{"error-alone", true, func(s *Set, w io.Writer) error {
			return s.WriteHTML(w, ErrorPage{Base: alone, Status: 405, Title: "error.method.title", Text: "error.method.text", Args: []string{"GET, HEAD"}})
		}},
		refused("refusal", b, idp.Refuse(idp.RefusedDestination, "Destination", "http://old.example/api/saml/auth2027", "https://id.example/api/saml/auth2027")),
		refused("refusal-logo", pictured, idp.Refuse(idp.RefusedStale, "request", "")),
		refused("refusal-alone", alone, idp.Refuse(idp.RefusedSPUnknown, "Issuer", "urn:example:"+strings.Repeat("unbroken", 30))),
		refused("refusal-nothing", b, idp.Refuse(idp.RefusedSignatureMissing, "Signature", "")),
		refused("refusal-message", alone, idp.Refuse(idp.RefusedXML, "", "<a>\u202e\n</b>")),
		{"refusal-subject", true, func(s *Set, w io.Writer) error {
			return s.WriteHTML(w, RefusalPage{Base: b, Refusal: idp.Refuse(idp.RefusedSubject, "Subject NameID", ""), ErrorID: id, StartURL: start,
				SignInURL: "/sign-in?request=0123"})
		}},
		refused("refusal-person", b, idp.Refuse(idp.RefusedAnswered, "ID", "_5f1c")),
		{"refusal-stale-guided", true, func(s *Set, w io.Writer) error {
			return s.WriteHTML(w, RefusalPage{Base: guided, Refusal: idp.Refuse(idp.RefusedStale, "request", ""), ErrorID: id, AccountURL: "/"})
		}},
		lack("lack-proofing", "proofing", start, idp.FactorPassword, idp.FactorTOTP),
		lack("lack-piv", "piv", "", idp.FactorPassword, idp.FactorTOTP),
		lack("lack-second-factor", "second-factor", start),
		{"retired", true, func(s *Set, w io.Writer) error { return s.WriteHTML(w, retired) }},
		{"retired-logout", true, func(s *Set, w io.Writer) error { return s.WriteHTML(w, retiredHere) }},
		{"revoked", true, func(s *Set, w io.Writer) error { return s.WriteHTML(w, revoked) }},
		{"retired-alone", true, func(s *Set, w io.Writer) error { return s.WriteHTML(w, RetiredPage{Base: alone, Year: "2025"}) }},
		{"no-year", true, func(s *Set, w io.Writer) error { return s.WriteHTML(w, noYear) }},
		{"no-year-metadata", true, func(s *Set, w io.Writer) error { return s.WriteHTML(w, noYearMetadata) }},
		{"no-year-alone", true, func(s *Set, w io.Writer) error {
			return s.WriteHTML(w, NoYearPage{Base: alone, Path: "/api/saml/auth"})
		}},
		{"not-found", true, func(s *Set, w io.Writer) error { return s.WriteHTML(w, NotFoundPage{Base: alone, HomeURL: "/"}) }},
		{"not-found-alone", true, func(s *Set, w io.Writer) error { return s.WriteHTML(w, NotFoundPage{Base: alone}) }},
		{"demo-home", false, func(s *Set, w io.Writer) error { return s.WriteHTML(w, home) }},
		{"demo-home-signed-out", false, func(s *Set, w io.Writer) error { return s.WriteHTML(w, homeOut) }},
		{"demo-signed-in", false, func(s *Set, w io.Writer) error { return s.WriteHTML(w, signedIn) }},
		{"demo-encrypted", false, func(s *Set, w io.Writer) error { return s.WriteHTML(w, encrypted) }},
		{"demo-error", true, func(s *Set, w io.Writer) error { return s.WriteHTML(w, failed) }},
		{"demo-error-bare", true, func(s *Set, w io.Writer) error { return s.WriteHTML(w, failedBare) }},
		{"response", false, func(s *Set, w io.Writer) error {
			return writeResponse(s, w, ResponsePage{Base: b, ACSURL: acs, XML: []byte("<Response/>"), RelayState: "a+b", HasRelay: true})
		}},
	}
	for _, add := range moreSamples {
		people = append(people, add(alone)...)
	}
	people = append(people, recoverySamples(b, alone)...)
	return append(boardSamples(lang, branding), people...)
}

// writeResponse calls Set.AppendResponse for the tests that write every page.
func writeResponse(s *Set, w io.Writer, p ResponsePage) error {
	page, err := s.AppendResponse(nil, p)
	if err == nil {
		_, err = w.Write(page)
	}
	return err
}
