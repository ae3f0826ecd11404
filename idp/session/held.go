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

// A request whose sender has no budget left to store it waits in the browser: sealed, in the
// request's own cookie. The store is written only when the request is answered. The cookie is
// both the request and the secret that ties it to the browser. LookupRequest returns it to every
// step of the sign-in like a stored request.
//
// The value is
//
//	"w." | base64url( seal( DEFLATE( JSON of the request )))
//
// with the handle in the context, which gives each value its own key. A handle is sealed once,
// so that no number of requests reaches the limit of random nonces under one AES-GCM key
// (NIST SP 800-38D §8.3).

const (
	heldPrefix = "w." // secrets of TieHandle contain no dot

	// maxHeldCookieSize limits name and value of the cookie, in bytes. A usual request takes
	// 400, one with a RelayState of 2,048 about 2,500. All such cookies of a browser together
	// have the same limit, which one new request can double before TrimRequestCookies removes
	// the older ones. With all our other cookies they stay below 8 kB, the longest header line
	// that nginx accepts by default, so that a site cannot lock a browser out with huge
	// requests. The answer that sets the cookie stays below 4 kB, the largest header that
	// nginx accepts by default.
	maxHeldCookieSize = 3000
	// maxHeldCookies limits the number of requests that one browser holds.
	maxHeldCookies = 2
	// maxHeldJSON limits the inflated size of a value, in bytes. Most of it is a
	// RelayState of 2,048 bytes, which JSON can escape six-fold.
	maxHeldJSON = 32 << 10
)

// ErrTooLong is returned by HoldRequest for a request that is too long for a cookie.
var ErrTooLong = errors.New("request is too long for a cookie")

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

// HoldRequest stores the request in the browser instead of the store. If the request is too long,
// it returns ErrTooLong and sets no cookie.
func (m *Manager) HoldRequest(w http.ResponseWriter, req *idp.LoginRequest) error {
	heldCopy := *req
	heldCopy.SecretHash = nil
	var text, compressed bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(&heldCopy); err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	if text.Len() > maxHeldJSON {
		return ErrTooLong
	}
	compressor := heldWriters.Get().(*flate.Writer)
	defer heldWriters.Put(compressor)
	compressor.Reset(&compressed)
	_, err := compressor.Write(text.Bytes())
	if err = errors.Join(err, compressor.Close()); err != nil {
		return fmt.Errorf("compress request: %w", err)
	}
	if m.Sealer == nil {
		return errNoSealer
	}
	sealed := m.Sealer.Seal(buildHeldContext(req.Handle), compressed.Bytes())
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
// idp.ErrNotFound if the browser holds none, or if HoldRequest did not make the value for this
// handle.
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
	compressed, err := m.Sealer.Open(buildHeldContext(handle), sealed)
	if err != nil {
		return nil, idp.ErrNotFound
	}
	req, err := decompressHeld(compressed, handle)
	if err != nil {
		return nil, idp.ErrNotFound
	}
	req.SecretHash = hashValue(c.Value)
	return req, nil
}

// decompressHeld decompresses and parses a held request.
func decompressHeld(compressed []byte, handle idp.RequestHandle) (*idp.LoginRequest, error) {
	compressor := flate.NewReaderDict(bytes.NewReader(compressed), []byte(heldDictionary))
	text, err := io.ReadAll(io.LimitReader(compressor, maxHeldJSON+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxHeldJSON {
		return nil, ErrTooLong
	}
	req := new(idp.LoginRequest)
	if err := json.Unmarshal(text, req); err != nil {
		return nil, err
	}
	if req.Handle != handle || req.IsAnswered() {
		return nil, errors.New("request has another handle or is already answered")
	}
	return req, nil
}

var errNoSealer = errors.New("session.Manager has no Sealer, but browsers hold requests")

func buildHeldContext(handle idp.RequestHandle) string {
	return "request-held-by-browser/" + string(handle)
}

// listSurplus lists the cookies, oldest first, that a browser must give up because it holds
// too many requests. The newest one stays.
func listSurplus(cookies []*http.Cookie) (names []string) {
	count, size := 0, 0
	for i := len(cookies) - 1; i >= 0; i-- {
		c := cookies[i]
		if !isHeld(c) {
			continue
		}
		if cookieSize := len(c.Name) + len(c.Value); count == 0 || count < maxHeldCookies && size+cookieSize <= maxHeldCookieSize {
			count, size = count+1, size+cookieSize
		} else {
			names = append(names, c.Name)
		}
	}
	return names
}
