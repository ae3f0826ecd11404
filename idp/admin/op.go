package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
)

// maxBody bounds a request: the metadata of a provider, in base64, and some
// certificates.
const maxBody = 4 << 20

// Op is one operation of a service S. Its route, the call over the socket, the call in
// process and the name of the caller in the audit trail all follow from it.
type Op[S, Req, Res any] struct {
	// Path is NOUN/VERB.
	Path string
	// Do answers a request.
	Do func(s S, ctx context.Context, by Caller, req Req) (Res, error)
}

// isStream is true for a Stream.
func (o Op[S, Req, Res]) isStream() bool { return false }

// Route is an operation as an Endpoint answers it.
type Route[S any] interface {
	// Name is the operation's path.
	Name() string
	isStream() bool
	// answer answers a command. w receives the data of a Stream.
	answer(ctx context.Context, s S, by Caller, body []byte, w io.Writer) (any, error)
}

// Name returns the path.
func (o Op[S, Req, Res]) Name() string { return o.Path }

func (o Op[S, Req, Res]) answer(ctx context.Context, s S, by Caller, body []byte, _ io.Writer) (any, error) {
	var req Req
	if err := decodeStrict(body, &req); err != nil {
		return nil, &Error{Code: CodeBadRequest, Message: "read the command: " + err.Error()}
	}
	return o.Do(s, ctx, by, req)
}

// decodeStrict reads exactly one JSON object and refuses unknown fields: an older server
// must not half understand a newer command.
func decodeStrict(body []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON object")
	}
	return nil
}

// Call gives a command and returns its answer. An error of the operation is an *Error. Any
// other error means that the operation could not be reached.
func Call[S, Req, Res any](ctx context.Context, c *Client, op Op[S, Req, Res], req Req) (Res, error) {
	return call[Res](ctx, c, op.Path, req, io.Discard)
}

func call[Res any](ctx context.Context, c *Client, path string, req any, w io.Writer) (answer Res, err error) {
	body, err := json.Marshal(req)
	if err != nil {
		return answer, fmt.Errorf("write command %s: %w", path, err)
	}
	data, err := c.send(ctx, path, body, w)
	if err != nil {
		return answer, err
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return answer, fmt.Errorf("read the answer to %s: %w", path, err)
	}
	return answer, nil
}

// Endpoint answers the operations of one service, over HTTP and in process.
type Endpoint struct {
	owner   int
	log     *slog.Logger
	streams map[string]bool // the paths of streams
	answers map[string]func(ctx context.Context, by Caller, body []byte, w io.Writer) (any, error)
}

// NewEndpoint makes an endpoint for the routes of s. Only root and owner, the user that
// the data folder belongs to, may give commands.
func NewEndpoint[S any](s S, owner int, log *slog.Logger, routes ...Route[S]) *Endpoint {
	e := &Endpoint{owner: owner, log: log, streams: make(map[string]bool), answers: make(map[string]func(context.Context, Caller, []byte, io.Writer) (any, error))}
	for _, r := range routes {
		e.streams[r.Name()] = r.isStream()
		e.answers[r.Name()] = func(ctx context.Context, by Caller, body []byte, w io.Writer) (any, error) {
			return r.answer(ctx, s, by, body, w)
		}
	}
	return e
}

// do answers one command. The answer is JSON, and every error an *Error.
func (e *Endpoint) do(ctx context.Context, by Caller, path string, body []byte, w io.Writer) ([]byte, error) {
	if by.UID != 0 && by.UID != e.owner {
		return nil, &Error{Code: CodeForbidden, Message: "only the owner of the data folder and root may give commands"}
	}
	answer, ok := e.answers[path]
	if !ok {
		return nil, &Error{Code: CodeBadRequest, Message: fmt.Sprintf("the server has no command %q: is it of another version than this command?", path)}
	}
	res, err := answer(ctx, by, body, w)
	var data []byte
	if err == nil {
		data, err = encodeJSON(res)
	}
	if err == nil {
		return data, nil
	}
	failed := convertError(err)
	if failed.Code == CodeInternal {
		e.log.ErrorContext(ctx, "admin command failed", "command", path, "error", failed.Message)
	}
	return nil, failed
}

func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}

// pathPrefix is the version of the interface, in front of an operation's path.
const pathPrefix = "/v1/"

// ServeHTTP answers POST /v1/NOUN/VERB. Without a Caller in its context, a request is
// refused.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	status := http.StatusOK
	frames := &frameWriter{w: w}
	data, err := e.serve(w, r, frames)
	if frames.hasBegun {
		frames.sendEnd(data, err)
		return
	}
	if err != nil {
		failed := convertError(err)
		status = failed.status()
		data, _ = encodeJSON(failed) // strings only
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(data) // the caller may have gone
}

func (e *Endpoint) serve(w http.ResponseWriter, r *http.Request, frames *frameWriter) ([]byte, error) {
	by, ok := readCaller(r.Context())
	if !ok {
		by.UID = -1 // belongs to no one
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, &Error{Code: CodeBadRequest, Message: "read the command: " + err.Error()}
	}
	path, _ := strings.CutPrefix(r.URL.Path, pathPrefix)
	ctx := r.Context()
	if e.streams[path] {
		var done context.CancelFunc
		ctx, done = endWithServer(r, w)
		defer done()
	}
	return e.do(ctx, by, path, body, frames)
}
