package session

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"vernal/idp"
)

// A request that its sender has no budget to store waits in the browser: sealed, in the
// request's own cookie. Nothing is written before it is answered. The cookie is then both the
// request and the secret that ties it to the browser. Request returns it to every step of the
// sign-in like a stored one.
//
// The value is
//
//	"w." | base64url( seal( DEFLATE( JSON of the request )))
//
// with the handle in the context, which gives each its own key. A handle is sealed once,
// so no number of requests that anyone can send comes near the limit of random nonces
// that one AES-GCM key has (NIST SP 800-38D §8.3).

const (
	heldPrefix = "w." // secrets of TieTo contain no dot

	// maxHeldCookieSize limits name and value of the cookie, in bytes. A usual request takes
	// 400, one with a RelayState of 2,048 about 2,500. A browser holds that much in such
	// cookies, and at most as much again before Trim removes the older ones. With all our
	// other cookies it stays below 8 kB, the longest header line that nginx accepts by
	// default: a site that sends a browser here with huge requests must not lock it out.
	// The answer that sets the cookie stays below 4 kB, the largest header that nginx
	// accepts by default.
	maxHeldCookieSize = 3000
	// maxHeldCookies limits the requests that one browser holds.
	maxHeldCookies = 2
	// maxHeldJSON limits the inflated size of a value, in bytes. Most of it is a
	// RelayState of 2,048 bytes, which JSON can escape six-fold.
	maxHeldJSON = 32 << 10
)

// ErrTooLong is returned by Hold for a request that does not fit into a cookie.
var ErrTooLong = errors.New("request does not fit into a cookie")

// heldDictionary contains the text that most requests have in common. It shrinks a usual one to
// about 500 bytes. Changing it invalidates the requests that browsers hold at that moment.
const heldDictionary = `2026-01-01T00:00:00Z","expires_at":"2026-01-02T00:00:00Z","cert_sha256":"","preview":"field","locale":"en` +
	`"relay_state":"https://","has_relay":true,"force_authn":true,"is_passive":true,` +
	`"urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport","urn:gov:gsa:ac:classes:sp:PasswordProtectedTransport:duo",` +
	`"http://idmanagement.gov/ns/assurance/aal/2?phishing_resistant=true","http://idmanagement.gov/ns/assurance/ial/1",` +
	`"http://idmanagement.gov/ns/requested_attributes?ReqAttr=email,all_emails,first_name,last_name,phone,ssn,dob,x509_subject"],` +
	`{"handle":"","sp":"https://","message_id":"_","year":"2026","acs_url":"https://saml/acs",` +
	`"name_id_format":"urn:oasis:names:tc:SAML:2.0:nameid-format:persistent","subject_hash":"","message_hash":"","comparison":"exact","class_refs":["` +
	`"],"issued_at":"2026-01-01T00:00:00Z","received_at":"2026-01-01T00:00:00Z","expires_at":"2026-01-01T00:00:00Z"}`

// heldWriters pools compressors, because one holds almost a megabyte of tables.
var heldWriters = sync.Pool{New: func() any {
	w, err := flate.NewWriterDict(nil, flate.DefaultCompression, []byte(heldDictionary))
	if err != nil {
		panic(err) // only an invalid level fails
	}
	return w
}}

// HoldRequest stores the request in the browser instead of the store. It returns ErrTooLong, and sets
// no cookie, if the request does not fit.
func (m *Manager) HoldRequest(w http.ResponseWriter, req *idp.LoginRequest) error {
	held := *req
	held.SecretHash = nil
	var plain, packed bytes.Buffer
	enc := json.NewEncoder(&plain)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(&held); err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	if plain.Len() > maxHeldJSON {
		return ErrTooLong
	}
	z := heldWriters.Get().(*flate.Writer)
	defer heldWriters.Put(z)
	z.Reset(&packed)
	_, err := z.Write(plain.Bytes())
	if err = errors.Join(err, z.Close()); err != nil {
		return fmt.Errorf("compress request: %w", err)
	}
	if m.Sealer == nil {
		return errNoSealer
	}
	sealed := m.Sealer.Seal(buildHeldContext(req.Handle), packed.Bytes())
	c := m.newCookie(m.requestCookieName(req.Handle), heldPrefix+base64.RawURLEncoding.EncodeToString(sealed), req.ExpiresAt.Sub(m.Clock.Now()))
	if len(c.Name)+len(c.Value) > maxHeldCookieSize || c.MaxAge <= 0 {
		return ErrTooLong
	}
	http.SetCookie(w, c)
	return nil
}

// HoldsRequest reports whether the browser sends the request itself, as opposed to the secret of a
// stored one.
func (m *Manager) HoldsRequest(r *http.Request, handle idp.RequestHandle) bool {
	c, err := r.Cookie(m.requestCookieName(handle))
	return err == nil && isHeld(c)
}

func isHeld(c *http.Cookie) bool { return strings.HasPrefix(c.Value, heldPrefix) }

// openHeldRequest opens the request that the browser holds under the handle. It returns
// idp.ErrNotFound if it holds none, or if Hold did not make the value for this handle.
func (m *Manager) openHeldRequest(r *http.Request, handle idp.RequestHandle) (*idp.LoginRequest, error) {
	c, err := r.Cookie(m.requestCookieName(handle))
	if err != nil || !isHeld(c) || len(c.Name)+len(c.Value) > maxHeldCookieSize {
		return nil, idp.ErrNotFound
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(c.Value[len(heldPrefix):])
	if err != nil {
		return nil, idp.ErrNotFound
	}
	if m.Sealer == nil {
		return nil, errNoSealer
	}
	packed, err := m.Sealer.Open(buildHeldContext(handle), sealed)
	if err != nil {
		return nil, idp.ErrNotFound
	}
	req, err := decompressHeld(packed, handle)
	if err != nil {
		return nil, idp.ErrNotFound
	}
	req.SecretHash = hashValue(c.Value)
	return req, nil
}

// decompressHeld decompresses and parses a held request.
func decompressHeld(packed []byte, handle idp.RequestHandle) (*idp.LoginRequest, error) {
	z := flate.NewReaderDict(bytes.NewReader(packed), []byte(heldDictionary))
	plain, err := io.ReadAll(io.LimitReader(z, maxHeldJSON+1))
	if err != nil {
		return nil, err
	}
	if len(plain) > maxHeldJSON {
		return nil, ErrTooLong
	}
	req := new(idp.LoginRequest)
	if err := json.Unmarshal(plain, req); err != nil {
		return nil, err
	}
	if req.Handle != handle || req.IsAnswered() {
		return nil, errors.New("not a request that waits under this handle")
	}
	return req, nil
}

var errNoSealer = errors.New("session.Manager has no Sealer")

func buildHeldContext(handle idp.RequestHandle) string { return "request-held-by-browser/" + string(handle) }

// listSurplus lists the cookies, oldest first, that a browser must give up because it holds
// too many requests. The newest one stays.
func listSurplus(cookies []*http.Cookie) (names []string) {
	kept, size := 0, 0
	for i := len(cookies) - 1; i >= 0; i-- {
		c := cookies[i]
		if !isHeld(c) {
			continue
		}
		if n := len(c.Name) + len(c.Value); kept == 0 || kept < maxHeldCookies && size+n <= maxHeldCookieSize {
			kept, size = kept+1, size+n
		} else {
			names = append(names, c.Name)
		}
	}
	return names
}
