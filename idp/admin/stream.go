package admin

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Stream is an operation that returns data too long for memory, and an answer at its end. The data
// counts only if the answer arrives. Data received before an error is incomplete.
//
// Over the socket the data travels in frames, so that the end of the data cannot be taken for a
// connection that broke:
//
//	frame = kind, one byte | length, 4 bytes | content
type Stream[S, Req, Res any] struct {
	// Path is NOUN/VERB.
	Path string
	// Do answers a request. It writes the data to w, and must end when ctx does.
	Do func(s S, ctx context.Context, by Caller, req Req, w io.Writer) (Res, error)
}

// The kinds of frame: some of the data, and at the end the answer or an Error, as JSON.
const (
	frameData   = 'd'
	frameAnswer = 'a'
	frameError  = 'e'
)

const (
	// frameType is the Content-Type of an answer in frames.
	frameType = "application/vnd.vernal.frames"
	// maxFrame bounds a frame.
	maxFrame = 1 << 20
	// stallTime is how long a client may read nothing. The store keeps pages for a client that
	// reads a backup.
	stallTime = 30 * time.Second
)

// Name returns the path.
func (o Stream[S, Req, Res]) Name() string { return o.Path }

func (o Stream[S, Req, Res]) isStream() bool { return true }

func (o Stream[S, Req, Res]) answer(ctx context.Context, s S, by Caller, body []byte, w io.Writer) (any, error) {
	var req Req
	if err := decodeStrict(body, &req); err != nil {
		return nil, &Error{Code: CodeBadRequest, Message: "read the command: " + err.Error()}
	}
	return o.Do(s, ctx, by, req, w)
}

// Receive gives a command and writes its data to w. It returns the answer. An error of w is
// returned unchanged, and ends the operation.
func Receive[S, Req, Res any](ctx context.Context, c *Client, op Stream[S, Req, Res], req Req, w io.Writer) (Res, error) {
	return call[Res](ctx, c, op.Path, req, w)
}

// frameWriter writes an answer in frames. It sends no frame before the first data, so that an
// operation that fails early answers like any other.
type frameWriter struct {
	w     http.ResponseWriter
	hasBegun bool
}

// Write sends some of the data.
func (f *frameWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		part := p[:min(len(p), maxFrame)]
		if err := f.send(frameData, part); err != nil {
			return n, err
		}
		n += len(part)
		p = p[len(part):]
	}
	return n, nil
}

func (f *frameWriter) send(kind byte, content []byte) error {
	control := http.NewResponseController(f.w)
	if err := control.SetWriteDeadline(time.Now().Add(stallTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if !f.hasBegun {
		f.hasBegun = true
		// The deadline for reading the request would end a long answer.
		if err := control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
		f.w.Header().Set("Content-Type", frameType)
	}
	head := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(content)))
	if _, err := f.w.Write(head); err != nil {
		return err
	}
	_, err := f.w.Write(content)
	return err
}

// sendEnd sends the answer, or the error, after the data.
func (f *frameWriter) sendEnd(data []byte, err error) {
	kind := byte(frameAnswer)
	if err != nil {
		kind = frameError
		data, _ = encodeJSON(convertError(err)) // strings only
	}
	_ = f.send(kind, data) // the caller may have gone
}

// readFrames writes the data of an answer to w, and returns the answer.
func readFrames(r io.Reader, w io.Writer) ([]byte, error) {
	for {
		var head [5]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return nil, fmt.Errorf("the server ended the connection before the end of the data: %w", err)
		}
		size := int64(binary.BigEndian.Uint32(head[1:]))
		if size > maxAnswer || head[0] == frameData && size > maxFrame {
			return nil, fmt.Errorf("the server sent a frame of %d bytes", size)
		}
		content := io.LimitReader(r, size)
		if head[0] == frameData {
			n, err := io.Copy(w, content)
			if err != nil {
				return nil, err
			}
			if n < size {
				return nil, fmt.Errorf("the server ended the connection before the end of the data: %w", io.ErrUnexpectedEOF)
			}
			continue
		}
		data, err := io.ReadAll(content)
		if err != nil || int64(len(data)) < size {
			return nil, fmt.Errorf("read the answer: %w", errors.Join(err, io.ErrUnexpectedEOF))
		}
		if head[0] == frameAnswer {
			return data, nil
		}
		failed := new(Error)
		if err := json.Unmarshal(data, failed); err != nil || failed.Code == "" {
			return nil, errors.New("the server ended the data with an unknown answer; is it of another version than this command?")
		}
		return nil, failed
	}
}

// stopKey is the key of the context that ends with the server.
type stopKey struct{}

// endWithServer returns a context of a request that also ends when the server stops, and makes
// writes to the client fail then: a client that reads slowly must not keep the store open.
// Other commands are finished first.
func endWithServer(r *http.Request, w http.ResponseWriter) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.Context())
	server, ok := r.Context().Value(stopKey{}).(context.Context)
	if !ok {
		return ctx, cancel
	}
	stop := context.AfterFunc(server, func() {
		cancel()
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now())
	})
	return ctx, func() { stop(); cancel() }
}
