package notify

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"vernal/idp"
)

// SignatureHeader carries the time of a call and proves its origin: "t=UNIX,v1=HEX", where
// HEX is the HMAC-SHA256 of UNIX, a full stop and the body, with the secret. A receiver
// computes it over the received bytes, compares in constant time, and refuses a time more
// than five minutes off, so that a recorded call cannot be replayed.
const SignatureHeader = "Vernal-Signature"

// webhookTimeout limits a whole call.
const webhookTimeout = 10 * time.Second

// Webhook posts notices to a URL. Its methods may be called concurrently.
type Webhook struct {
	// URL is https, or http on loopback. It may hold a secret, so no error or log contains it.
	URL    string
	Secret []byte
	Clock  idp.Clock
	// Client makes the calls. nil means a default client. Redirects are never followed and
	// the time is always bounded, regardless of Client.
	Client *http.Client
}

// Send posts the notice once. It returns an error for any answer but 2xx.
func (h *Webhook) Send(ctx context.Context, n *Notice) error {
	body, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("write the notice: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, webhookTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return errors.New("the webhook's URL is not valid")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Vernal")
	req.Header.Set(SignatureHeader, h.sign(h.Clock.Now(), body))
	client := *cmp.Or(h.Client, http.DefaultClient)
	// A redirect would send a body signed for one receiver to another.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		if sent, ok := errors.AsType[*url.Error](err); ok {
			err = sent.Err // without the URL
		}
		return fmt.Errorf("call the webhook: %w", err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("the webhook answers %d", resp.StatusCode)
	}
	return nil
}

// sign returns the value of SignatureHeader.
func (h *Webhook) sign(at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, h.Secret)
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
