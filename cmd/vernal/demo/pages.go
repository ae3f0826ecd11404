package demo

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/crewjam/saml"
	"github.com/crewjam/saml/samlsp"

	"vernal/idp/web"
	"vernal/templates"
)

// Paths of a sample; those under pathSAML are the library's.
const (
	pathHome     = "/{$}"
	pathSignedIn = "/signed-in"
	pathSignOut  = "/sign-out"
	pathCode     = "/code"
	pathSAML     = "/saml/"
	pathMetadata = pathSAML + "metadata"
)

// handler is everything that a sample answers.
func (s *Sample) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pathHome, s.home)
	mux.Handle("GET "+pathSignedIn, s.saml.RequireAccount(http.HandlerFunc(s.signedIn)))
	mux.HandleFunc("POST "+pathSignOut, s.saml.HandleStartLogout)
	mux.HandleFunc("GET "+pathCode, s.code)
	mux.HandleFunc("GET "+pathMetadata, s.serveMetadata)
	mux.HandleFunc("POST "+pathSAML, s.hold)
	mux.HandleFunc("GET "+pathSAML, s.accept)
	prefix := s.pages.Set.StaticPrefix()
	files := http.StripPrefix(prefix, http.FileServerFS(templates.Static()))
	mux.HandleFunc("GET "+prefix, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable") // the prefix changes with them
		files.ServeHTTP(w, r)
	})
	switcher := web.NewRouter(s.pages)
	s.pages.Mount(switcher)
	mux.Handle(web.LanguagePath, switcher)
	mux.HandleFunc("/", s.notFound)

	guard := http.NewCrossOriginProtection()
	guard.AddInsecureBypassPattern("POST " + pathSAML) // what comes there is signed
	return s.onItsHost(guard.Handler(mux))
}

// onItsHost sends whoever came by another name (localhost, 127.0.0.1) to the
// sample's own: there the two samples would be one site, and share cookies.
func (s *Sample) onItsHost(next http.Handler) http.Handler {
	own, _ := url.Parse(s.URL)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != own.Host {
			if r.Method != http.MethodGet && r.Method != http.MethodHead {
				http.Error(w, "this site is "+s.URL, http.StatusMisdirectedRequest)
				return
			}
			http.Redirect(w, r, s.URL+r.URL.RequestURI(), http.StatusTemporaryRedirect)
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, web.MaxBody)
		next.ServeHTTP(w, r)
	})
}

// home is GET /.
func (s *Sample) home(w http.ResponseWriter, r *http.Request) {
	code, err := s.demo.Person.Code(r.Context())
	if err != nil {
		s.broken(w, err)
		return
	}
	page := templates.DemoHomePage{
		Base: s.base(r), Sample: s.about("/"), SignInURL: pathSignedIn,
		Email: Email, Password: Password,
		Code: code.Code, Seconds: code.Seconds, Used: code.Used, CodeURL: pathCode,
		Post: s.binding == saml.HTTPPostBinding, Encrypted: s.encrypted,
		EntityID: s.EntityID(), MetadataURL: s.URL + pathMetadata, IdPMetadataURL: s.idpMetadata, IdPURL: s.demo.BaseURL(),
	}
	if _, err := r.Cookie(signedOutCookie); err == nil {
		http.SetCookie(w, &http.Cookie{Name: signedOutCookie, Path: "/", MaxAge: -1})
		page.Notice, page.NoticeArgs = templates.NoticeDemoSignedOut, []string{s.Name}
	}
	s.render(w, http.StatusOK, page.Nonce, func(b io.Writer) error { return s.pages.Set.DemoHome(b, page) })
}

// code is GET /code: the current code, for the script of the first page.
func (s *Sample) code(w http.ResponseWriter, r *http.Request) {
	code, err := s.demo.Person.Code(r.Context())
	if err != nil {
		s.broken(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(code)
}

// signedIn is GET /signed-in, the page that wants somebody to be signed in.
func (s *Sample) signedIn(w http.ResponseWriter, r *http.Request) {
	page := samlsp.SessionFromContext(r.Context()).(*received).page(s.demo.Server.Years.All(s.demo.Server.Clock.Now()))
	page.Base, page.Sample = s.base(r), s.about(pathSignedIn)
	page.SignOutAction, page.IdPURL = pathSignOut, s.demo.BaseURL()
	s.render(w, http.StatusOK, page.Nonce, func(b io.Writer) error { return s.pages.Set.DemoSignedIn(b, page) })
}

func (s *Sample) serveMetadata(w http.ResponseWriter, _ *http.Request) {
	doc, err := s.metadata()
	if err != nil {
		s.broken(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/samlmetadata+xml")
	_, _ = w.Write(doc)
}

// hold is a message that is posted. Another site's page posts it, so the browser
// sends no cookie along (SameSite); the form waits for the GET that does bring them.
func (s *Sample) hold(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		s.fail(w, r, err)
		return
	}
	http.Redirect(w, r, r.URL.Path+"?form="+s.held.keep(r.PostForm), http.StatusSeeOther)
}

// accept is the GET for the message that was posted a moment before. It is taken
// once; after a reload there is either a session or a new start.
func (s *Sample) accept(w http.ResponseWriter, r *http.Request) {
	form, ok := s.held.take(r.URL.Query().Get("form"))
	if !ok {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	r.PostForm = form
	s.saml.ServeHTTP(w, r)
}

// fail shows why a sign-in did not work, with the cause that a service provider
// in earnest keeps to its log.
func (s *Sample) fail(w http.ResponseWriter, r *http.Request, err error) {
	cause := err.Error()
	var invalid *saml.InvalidResponseError
	if errors.As(err, &invalid) && invalid.PrivateErr != nil {
		cause = invalid.PrivateErr.Error()
	}
	s.demo.Server.Log.Warn("the sample did not accept what came", slog.String("sample", s.Name), slog.String("cause", cause))
	page := templates.DemoErrorPage{Base: s.base(r), Sample: s.about("/"), Cause: cause, RetryURL: pathSignedIn}
	page.Languages = templates.Languages{} // what came is not to be had twice
	page.Response = indent(posted(r))
	s.render(w, http.StatusForbidden, page.Nonce, func(b io.Writer) error { return s.pages.Set.DemoError(b, page) })
}

func (s *Sample) notFound(w http.ResponseWriter, r *http.Request) {
	page := templates.NotFoundPage{Base: s.base(r), HomeURL: "/"}
	s.render(w, http.StatusNotFound, page.Nonce, func(b io.Writer) error { return s.pages.Set.NotFound(b, page) })
}

// base chooses the language as the identity provider does, with a cookie of the
// sample's own: to a browser it is another site.
func (s *Sample) base(r *http.Request) templates.Base {
	b := s.pages.Base(r, "")
	b.Nonce = rand.Text()
	return b
}

// about is what each page knows of the sample; other is the page of the other
// one that it leads to.
func (s *Sample) about(other string) templates.DemoSample {
	return templates.DemoSample{Second: s.second, Other: s.other.Name, OtherURL: s.other.URL + other}
}

// render writes a page with a policy that lets the one script of the page run,
// and the form to sign out lead on to the identity provider.
func (s *Sample) render(w http.ResponseWriter, status int, nonce string, render func(io.Writer) error) {
	var page bytes.Buffer
	if err := render(&page); err != nil {
		s.broken(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; "+
		"script-src 'nonce-"+nonce+"'; connect-src 'self'; form-action 'self' "+s.demo.BaseURL()+"; frame-ancestors 'none'; base-uri 'none'")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes())
}

func (s *Sample) broken(w http.ResponseWriter, err error) {
	s.demo.Server.Log.Error("sample", slog.String("sample", s.Name), slog.String("error", err.Error()))
	http.Error(w, "something went wrong in the demo: "+err.Error(), http.StatusInternalServerError)
}
