package notify_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"vernal/idp/notify"
	"vernal/idp/outbound"
)

func TestWebhookFailureHidesURL(t *testing.T) {
	t.Parallel()
	var redirected int
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	mux.HandleFunc("/no", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	mux.HandleFunc("/redirected", func(http.ResponseWriter, *http.Request) { redirected++ })
	mux.Handle("/moved", http.RedirectHandler("/redirected", http.StatusTemporaryRedirect))
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	for _, tt := range []struct {
		name, url, want string
		code            outbound.Code
	}{
		{"accepted", srv.URL + "/ok", "", ""},
		{"refused", srv.URL + "/no", " 403", ""},
		{"a redirect is not followed", srv.URL + "/moved", " 307", ""},
		{"an endless answer", srv.URL + "/endless", "", ""},
		{"no server", "http://127.0.0.1:1/token-in-path", "", outbound.CodeConnection},
		{"not a URL", "http://127.0.0.1:1/\x7ftoken-in-path", "", outbound.CodeURL},
		{"metadata of a cloud", "https://169.254.169.254/token-in-path", "", outbound.CodeAddress},
		{"plain http", "http://hook.example/token-in-path", "", outbound.CodePlain},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := &notify.Webhook{URL: tt.url, Secret: webhookSecret, Clock: time.Now}
			err := h.Send(t.Context(), &notify.Notice{ID: "x"})
			switch {
			case (tt.want == "" && tt.code == "") != (err == nil), err != nil && !strings.Contains(err.Error(), tt.want),
				tt.code != "" && !outbound.HasCode(err, tt.code):
				t.Errorf("error %v, want %q %s", err, tt.want, tt.code)
			case err != nil && strings.Contains(err.Error(), "token-in-path"):
				t.Errorf("the error contains the URL: %v", err)
			}
		})
	}
	if redirected != 0 {
		t.Error("the redirect was followed")
	}
}

// TestWebhookSignatureCoversBodyAndTime checks that a signature is valid for one body, one
// time and one secret.
func TestWebhookSignatureCoversBodyAndTime(t *testing.T) {
	t.Parallel()
	var header string
	var body []byte
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		header = r.Header.Get(notify.SignatureHeader)
		body = make([]byte, r.ContentLength)
		_, _ = r.Body.Read(body)
	}))
	t.Cleanup(srv.Close)
	now := date("2027-03-01")
	h := &notify.Webhook{URL: srv.URL, Secret: webhookSecret, Clock: func() time.Time { return now }}
	ok(t, h.Send(t.Context(), &notify.Notice{ID: "x", Text: "y"}))
	if why := verify(header, body, webhookSecret, now); why != "" {
		t.Error(why)
	}
	for name, why := range map[string]string{
		"another secret": verify(header, body, []byte("another secret, as long"), now),
		"another body":   verify(header, append(body, ' '), webhookSecret, now),
		"another time":   verify(strings.Replace(header, "t=1", "t=2", 1), body, webhookSecret, now),
		"an hour later":  verify(header, body, webhookSecret, now.Add(time.Hour)),
	} {
		if why == "" {
			t.Errorf("%s is taken", name)
		}
	}
}
