package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// maxBody bounds a request and an answer that is no list: the metadata of a
// provider, in base64, and some certificates.
const maxBody = 4 << 20

// endpoint makes a handler of a function from one JSON object to another.
func endpoint[Request, Answer any](s *Service, call func(context.Context, Caller, Request) (Answer, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, ok := callerFrom(r.Context())
		if !ok || !s.allows(caller) {
			s.fail(w, r, &Error{Code: CodeForbidden, Message: "only the owner of the data folder and root may give commands"})
			return
		}
		var req Request
		if err := decode(http.MaxBytesReader(w, r.Body, maxBody), &req); err != nil {
			s.fail(w, r, &Error{Code: CodeBadRequest, Message: "read the command: " + err.Error()})
			return
		}
		answer, err := call(r.Context(), caller, req)
		if err != nil {
			s.fail(w, r, toError(err))
			return
		}
		s.write(w, r, http.StatusOK, answer)
	})
}

// allows reports whether the caller may give commands.
func (s *Service) allows(c Caller) bool { return c.UID == 0 || c.UID == s.Owner }

// decode reads exactly one JSON object and takes no field that it does not
// know: a newer command must not be half understood by an older server.
func decode(r io.Reader, v any) error {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON object")
	}
	return nil
}

func (s *Service) fail(w http.ResponseWriter, r *http.Request, e *Error) {
	if e.Code == CodeInternal {
		s.Log.ErrorContext(r.Context(), "admin command failed", "command", r.URL.Path, "error", e.Message)
	}
	s.write(w, r, e.status(), e)
}

func (s *Service) write(w http.ResponseWriter, r *http.Request, status int, v any) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		s.Log.ErrorContext(r.Context(), "admin answer failed", "command", r.URL.Path, "error", err)
		http.Error(w, "{}", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // the caller may have gone
}
