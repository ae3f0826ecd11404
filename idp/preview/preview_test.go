package preview_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/link"
	"vernal/idp/preview"
)

// Behind https the cookie cannot be set by another host, or sent in the clear.
func TestSecureCookie(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	s := &preview.Service{Links: i.Links, Secure: true}
	p := &idp.ServiceProvider{EntityID: "https://a.example"}
	l, token, err := i.Links.Create(t.Context(), link.Link{
		Kind: link.Preview, Year: "2999", SP: p.EntityID, ExpiresAt: i.Clock.Now().Add(time.Hour),
	}, "test")
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if err := s.Enter(w, r, &l, token, i.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	c := w.Result().Cookies()[0]
	if !c.Secure || !c.HttpOnly || !strings.HasPrefix(c.Name, "__Host-vernal-preview-") || c.Path != "/" || c.Domain != "" || c.MaxAge != 3600 {
		t.Errorf("cookie %v", c)
	}
	r.AddCookie(c)
	if by, err := s.Opens(r, p, "2999"); err != nil || by != l.ID {
		t.Errorf("opened by %q, %v", by, err)
	}
	if by, err := s.Opens(r, p, "2998"); err != nil || by != "" {
		t.Errorf("another year is opened by %q, %v", by, err)
	}

	w = httptest.NewRecorder()
	s.Leave(w, "session") // names no preview
	if len(w.Result().Cookies()) != 0 {
		t.Errorf("a cookie of another kind is taken back: %v", w.Result().Cookies())
	}
}
