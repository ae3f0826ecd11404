package notify

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"vernal/idp"
	"vernal/idp/outbound"
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
	// Outbound makes the calls. nil means a client without exceptions.
	Outbound *outbound.Client
}

// Send posts the notice once. It returns an error for any answer but 2xx.
func (h *Webhook) Send(ctx context.Context, n *Notice) error {
	body, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("write the notice: %w", err)
	}
	// A redirect would send a body signed for one receiver to another, so none is followed.
	resp, err := cmp.Or(h.Outbound, &outbound.Client{}).Do(ctx, &outbound.Request{
		Method: http.MethodPost, URL: h.URL, Body: body, Trust: outbound.Operator, Timeout: webhookTimeout,
		Header: http.Header{"Content-Type": {"application/json"}, SignatureHeader: {h.sign(h.Clock.Now(), body)}},
	})
	if err != nil {
		return fmt.Errorf("call the webhook: %w", err)
	}
	if resp.Status < 200 || resp.Status > 299 {
		return fmt.Errorf("the webhook answers %d", resp.Status)
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
