package demo

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"github.com/crewjam/saml"
	"github.com/crewjam/saml/samlsp"

	"vernal/idp/web"
	"vernal/templates"
)

// Paths of a sample. Those under /saml/ belong to the library.
const (
	pathSignedIn = "/signed-in"
	pathSignOut  = "/sign-out"
	pathCode     = "/code"
	pathMetadata = "/saml/metadata"
	pathACS      = "/saml/acs"
	pathSLO      = "/saml/slo"
)

// handler returns the handler of everything that a sample answers.
func (s *Sample) handler() http.Handler {
	rt := web.NewRouter(s.pages)
	messages := web.Methods{http.MethodPost: s.keepPost, http.MethodGet: s.accept}
	rt.Handle("/", web.Methods{http.MethodGet: s.showHome})
	rt.Handle(pathSignedIn, web.Methods{http.MethodGet: adaptHandler(s.saml.RequireAccount(http.HandlerFunc(s.showSignedIn)))})
	rt.Handle(pathSignOut, web.Methods{http.MethodPost: adaptHandler(http.HandlerFunc(s.saml.HandleStartLogout))})
	rt.Handle(pathCode, web.Methods{http.MethodGet: s.showCode})
	rt.Handle(pathMetadata, web.Methods{http.MethodGet: s.serveMetadata})
	rt.Handle(pathACS, messages)
	rt.Handle(pathSLO, messages)
	rt.HandlePrefix(s.pages.Set.StaticPrefix(), web.ServeStatic(s.pages.Set.StaticPrefix(), templates.Static()))
	s.pages.Mount(rt)

	guard := http.NewCrossOriginProtection()
	guard.AddInsecureBypassPattern("POST /saml/") // messages there are signed
	srv := s.demo.Server
	return &web.Middleware{Next: s.redirectHost(guard.Handler(rt)), Pages: s.pages, Log: srv.Log, Clock: srv.Clock}
}

// adaptHandler adapts a handler of the library. Its page that posts itself to the identity provider
// sets a policy of its own.
func adaptHandler(h http.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Del("Content-Security-Policy")
		h.ServeHTTP(w, r)
		return nil
	}
}

// redirectHost redirects from another host name (localhost, 127.0.0.1) to the sample's own, because
// with those the two samples would be one site and share cookies.
func (s *Sample) redirectHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case "http://"+r.Host == s.URL:
			next.ServeHTTP(w, r)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			http.Error(w, "this site is "+s.URL, http.StatusMisdirectedRequest)
		default:
			http.Redirect(w, r, s.URL+r.URL.RequestURI(), http.StatusTemporaryRedirect)
		}
	})
}

// showHome answers GET /.
func (s *Sample) showHome(w http.ResponseWriter, r *http.Request) error {
	code, err := s.demo.User.Code(r.Context())
	if err != nil {
		return err
	}
	page := templates.DemoHomePage{
		Base: s.newBase(w, r), Sample: s.describeSample("/"), SignInURL: pathSignedIn,
		Email: Email, Password: Password,
		Code: code.Code, Seconds: code.Seconds, IsUsed: code.Used, CodeURL: pathCode,
		UsesPost: s.binding == saml.HTTPPostBinding, IsEncrypted: s.encrypted,
		EntityID: s.EntityID(), MetadataURL: s.URL + pathMetadata, IdPMetadataURL: s.idpMetadata, IdPURL: s.demo.BaseURL(),
	}
	if _, err := r.Cookie(signedOutCookie); err == nil {
		http.SetCookie(w, &http.Cookie{Name: signedOutCookie, Path: "/", MaxAge: -1})
		page.Notice, page.NoticeArgs = templates.NoticeDemoSignedOut, []string{s.Name}
	}
	return s.pages.Render(w, http.StatusOK, page)
}

// showCode answers GET /code with the current code, for the script of the first page.
func (s *Sample) showCode(w http.ResponseWriter, r *http.Request) error {
	code, err := s.demo.User.Code(r.Context())
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(code)
}

// showSignedIn answers GET /signed-in, the page that requires the user to be signed in.
func (s *Sample) showSignedIn(w http.ResponseWriter, r *http.Request) {
	srv := s.demo.Server
	page := samlsp.SessionFromContext(r.Context()).(*sampleSession).buildPage(srv.Years.All(srv.Clock.Now()))
	page.Base, page.Sample = s.newBase(w, r), s.describeSample(pathSignedIn)
	page.SignOutAction, page.IdPURL = pathSignOut, s.demo.BaseURL()
	if err := s.pages.Render(w, http.StatusOK, page); err != nil {
		s.pages.Fail(w, r, err)
	}
}

func (s *Sample) serveMetadata(w http.ResponseWriter, _ *http.Request) error {
	doc, err := s.metadata()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/samlmetadata+xml")
	_, _ = w.Write(doc)
	return nil
}

// keepPost keeps a posted message. Another site's page posts it, so the browser sends no cookie
// with it (SameSite). The form waits for the GET, which has the cookies.
func (s *Sample) keepPost(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	http.Redirect(w, r, r.URL.Path+"?form="+s.posts.keep(r.PostForm), http.StatusSeeOther)
	return nil
}

// accept answers the GET for the message posted just before. The message is taken once: a
// reload leads to the session or to a new sign-in.
func (s *Sample) accept(w http.ResponseWriter, r *http.Request) error {
	form, ok := s.posts.take(r.URL.Query().Get("form"))
	if !ok {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return nil
	}
	r.PostForm = form
	s.saml.ServeHTTP(w, r)
	return nil
}

// fail shows why a sign-in did not work, with the cause that a real service
// provider keeps to its log.
func (s *Sample) fail(w http.ResponseWriter, r *http.Request, err error) {
	cause := err.Error()
	var invalid *saml.InvalidResponseError
	if errors.As(err, &invalid) && invalid.PrivateErr != nil {
		cause = invalid.PrivateErr.Error()
	}
	web.EventOf(r).Note(slog.String("sample", s.Name), slog.String("cause", cause))
	web.EventOf(r).Raise(slog.LevelWarn)
	page := templates.DemoErrorPage{Base: s.newBase(w, r), Sample: s.describeSample("/"), Cause: cause, RetryURL: pathSignedIn, Response: indent(readMessage(r))}
	page.Languages = templates.Languages{} // the answer cannot be shown again in another language
	if err := s.pages.Render(w, http.StatusForbidden, page); err != nil {
		s.pages.Fail(w, r, err)
	}
}

// newBase chooses the language as the identity provider does, with a cookie of the
// sample's own: to a browser it is another site. Its policy lets the one script of
// the page run, and the form to sign out lead on to the identity provider.
func (s *Sample) newBase(w http.ResponseWriter, r *http.Request) templates.Base {
	b := s.pages.Base(r, "")
	b.Nonce = rand.Text()
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; "+
		"script-src 'nonce-"+b.Nonce+"'; connect-src 'self'; form-action 'self' "+s.demo.BaseURL()+"; frame-ancestors 'none'; base-uri 'none'")
	return b
}

// describeSample returns the data about the sample that every page shows. other is the page of
// the other sample to link to.
func (s *Sample) describeSample(other string) templates.DemoSample {
	return templates.DemoSample{IsSecond: s.isSecond, OtherName: s.other.Name, OtherURL: s.other.URL + other}
}
