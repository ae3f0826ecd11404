package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
)

// maxAnswer is the maximum length of an answer, in bytes: a long list of providers with their
// certificates.
const maxAnswer = 256 << 20

// Client gives commands; see Call.
type Client struct {
	send  func(ctx context.Context, path string, body []byte, w io.Writer) ([]byte, error)
	close func()
}

// NewSocketClient makes a client of the server that uses the data folder.
func NewSocketClient(dataDir string) *Client {
	c := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return Dial(ctx, dataDir) },
	}}
	return &Client{
		send: func(ctx context.Context, path string, body []byte, w io.Writer) ([]byte, error) {
			return post(ctx, c, path, body, w)
		},
		close: c.CloseIdleConnections,
	}
}

// NewProcessClient makes a client that calls the endpoint in this process, as caller.
func NewProcessClient(e *Endpoint, caller Caller) *Client {
	return &Client{
		send: func(ctx context.Context, path string, body []byte, w io.Writer) ([]byte, error) {
			return e.do(ctx, caller, path, body, w)
		},
		close: func() {},
	}
}

// Send gives the command at a path and returns the answer, both as JSON. Call is Send with
// types. The data of a Stream is discarded.
func (c *Client) Send(ctx context.Context, path string, body []byte) ([]byte, error) {
	return c.send(ctx, path, body, io.Discard)
}

// Close closes idle connections.
func (c *Client) Close() { c.close() }

// post sends one command. The host in the URL is not used, because the transport knows the socket.
func post(ctx context.Context, c *http.Client, path string, body []byte, w io.Writer) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://vernal"+pathPrefix+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("write command %s: %w", path, err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		return nil, fmt.Errorf("send command %s: %w", path, err)
	}
	defer resp.Body.Close()
	if resp.Header.Get("Content-Type") == frameType {
		return readFrames(resp.Body, w)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the answer to %s: %w", path, err)
	}
	if resp.StatusCode == http.StatusOK {
		return data, nil
	}
	failed := new(Error)
	if err := json.Unmarshal(data, failed); err != nil || failed.Code == "" {
		return nil, fmt.Errorf("command %s: the server answers %q; is it of another version than this command?", path, resp.Status)
	}
	return nil, failed
}
