package admin

import (
	"bytes"
	"io"
	"net/http"
)

// direct is the transport of a client whose service is in the same process.
type direct struct {
	handler http.Handler
	caller  Caller
}

// RoundTrip calls the handler and gives what it wrote.
func (d *direct) RoundTrip(r *http.Request) (*http.Response, error) {
	w := &recorder{header: make(http.Header), status: http.StatusOK}
	d.handler.ServeHTTP(w, r.WithContext(WithCaller(r.Context(), d.caller)))
	return &http.Response{
		Status:        http.StatusText(w.status),
		StatusCode:    w.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        w.header,
		Body:          io.NopCloser(&w.body),
		ContentLength: int64(w.body.Len()),
		Request:       r,
	}, nil
}

// recorder keeps an answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header         { return w.header }
func (w *recorder) WriteHeader(status int)      { w.status = status }
func (w *recorder) Write(b []byte) (int, error) { return w.body.Write(b) }
