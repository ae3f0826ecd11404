// Package discovery serves public documents: the metadata of each year, the stable metadata, and
// certificates.
//
// A year that is not published is served only with the token of a preview link for it. Without one
// it looks like a year that was never created.
//
// The package has no session, reads no cookie and writes nothing. Package metadata makes the
// documents. They are kept until a year, a certificate or, for the stable one, the week changes.
package discovery

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/keyring"
	"vernal/idp/rotation"
	"vernal/idp/signing"
	"vernal/idp/web"
	"vernal/idp/yearaccess"
	"vernal/metadata"
)

const (
	pemType      = "application/x-pem-file"
	cacheControl = "public, max-age=3600"
	noStore      = "no-store" // for a preview, whose URL is an expiring secret
	// revocationControl is for metadata within revocationTime of a revocation. A cache must
	// not keep the revoked certificate trusted, nor send SPs to the revoked year.
	revocationControl = "public, max-age=60"
)

// revocationPeriod is the time after a revocation during which our metadata is cached only
// briefly.
const revocationPeriod = 24 * time.Hour

// chooseCacheControl returns the Cache-Control header of metadata documents.
func chooseCacheControl(years *keyring.Ring, now time.Time) string {
	for _, e := range years.All(now) {
		if e.State == rotation.Revoked && now.Before(years.EndedAt(e.Year()).Add(revocationPeriod)) {
			return revocationControl
		}
	}
	return cacheControl
}

// Fetches records loads of metadata. Fetch must not block.
type Fetches interface {
	Fetch(f idp.Fetch)
}

// Handler serves metadata{year}, metadata and certificate{year}.pem. All fields but Fetches
// are required.
type Handler struct {
	IdP   metadata.IdP
	Years *keyring.Ring
	Clock idp.Clock
	// Access decides which years are served. Document needs only its live years.
	Access *yearaccess.Gate
	// Fetches records each load of a live year's metadata, or is nil.
	Fetches Fetches

	documents sync.Map // idp.Year -> *document, "" for the stable one
}

type document struct {
	body []byte
	etag string
	// sources and made are the sources of the document: its certificates, and the beginning of the
	// stable document's week. The keys are not kept, because a destroyed key must leave memory.
	sources []*x509.Certificate
	weekAt  time.Time
}

// Mount adds the routes to the router.
func (h *Handler) Mount(rt *web.Router) {
	rt.Handle("/api/saml/metadata{year}", web.Methods{http.MethodGet: h.serveYear})
	rt.Handle("/api/saml/metadata", web.Methods{http.MethodGet: h.serveStable})
	rt.Handle("/api/saml/certificate{year}.pem", web.Methods{http.MethodGet: h.serveCertificate})
}

// Document returns the public metadata of a year, or the stable document for an empty year.
// Otherwise the error is yearaccess.ErrNotPublished, a *web.GoneYear or a *web.ClosedYear.
func (h *Handler) Document(y idp.Year) ([]byte, error) {
	d, err := h.lookupDocument(y, h.Clock.Now())
	if err != nil {
		return nil, err
	}
	return bytes.Clone(d.body), nil
}

func (h *Handler) serveYear(w http.ResponseWriter, r *http.Request) error {
	entry, preview, err := h.Access.OpenDocument(r)
	if err != nil {
		return err
	}
	now := h.Clock.Now()
	d, err := h.cachedDocument(web.Year(r), entry, now)
	if err != nil {
		return err
	}
	nameFile(w, "vernal-metadata-"+string(web.Year(r))+".xml")
	if preview {
		return sendDocument(w, r, metadata.ContentType, noStore, d)
	}
	web.EventOf(r).NoteExpiredCert(entry, now)
	h.recordFetch(r, web.Year(r))
	return sendDocument(w, r, metadata.ContentType, chooseCacheControl(h.Years, now), d)
}

func (h *Handler) serveStable(w http.ResponseWriter, r *http.Request) error {
	now := h.Clock.Now()
	d, err := h.lookupDocument("", now)
	if err != nil {
		return err
	}
	h.recordFetch(r, "")
	nameFile(w, "vernal-metadata.xml")
	return sendDocument(w, r, metadata.ContentType, chooseCacheControl(h.Years, now), d)
}

// recordFetch records a load of metadata. The parameter "sp" is not verified and only a hint.
func (h *Handler) recordFetch(r *http.Request, y idp.Year) {
	if h.Fetches == nil {
		return
	}
	sp := idp.EntityID(r.URL.Query().Get("sp"))
	if sp == idp.RehearsalSP {
		return // ourselves, or a client that hides from the list of hints
	}
	h.Fetches.Fetch(idp.Fetch{
		Year: y, At: h.Clock.Now(), SP: sp,
		IPAddress: web.EventOf(r).ClientIP, UserAgent: r.UserAgent(),
	})
}

// lookupDocument returns the document of a live year, or the stable one.
func (h *Handler) lookupDocument(y idp.Year, now time.Time) (*document, error) {
	entry, err := h.lookupEntry(y, now)
	if err != nil {
		return nil, err
	}
	return h.cachedDocument(y, entry, now)
}

// cachedDocument returns a document from the cache or makes it. Concurrent requests may both
// make it, which is harmless. A year's document is the same, byte for byte, before and
// after it is published.
func (h *Handler) cachedDocument(y idp.Year, entry keyring.Entry, now time.Time) (*document, error) {
	from, made := []*x509.Certificate{entry.Key.Cert}, time.Time{}
	if y == "" {
		from, made = h.listLiveCerts(now), now.Truncate(metadata.StableStep)
	}
	if d, ok := h.documents.Load(y); ok {
		if d := d.(*document); slices.Equal(d.sources, from) && d.weekAt.Equal(made) {
			return d, nil
		}
	}
	d, err := h.signDocument(y, entry.Key.Year, from, now)
	if err != nil {
		return nil, err
	}
	d.sources, d.weekAt = from, made
	h.documents.Store(y, d)
	return d, nil
}

// signDocument signs a document with the key of the year by, unless that year is over when the
// signature begins.
func (h *Handler) signDocument(y, by idp.Year, from []*x509.Certificate, now time.Time) (*document, error) {
	defer h.Years.BeginSigning()()
	entry, ok := h.Years.Lookup(by, now)
	if !ok || entry.State.IsOver() {
		return nil, h.Access.CheckEnded(by)
	}
	signer, err := signing.LookupSigner(entry.Key)
	if err != nil {
		return nil, err
	}
	var body []byte
	if y != "" {
		body, err = h.IdP.WriteYear(y, signer)
	} else {
		body, err = h.IdP.WriteStable(by, signer, from, now)
	}
	if err != nil {
		return nil, fmt.Errorf("make metadata: %w", err)
	}
	return &document{body: body, etag: metadata.ETag(body)}, nil
}

// listLiveCerts returns the certificates of every live year, the preferred one first.
func (h *Handler) listLiveCerts(now time.Time) []*x509.Certificate {
	live := h.Years.Live(now)
	all := make([]*x509.Certificate, len(live))
	for i, e := range live {
		all[i] = e.Key.Cert
	}
	return all
}

// lookupEntry returns the year that a document is about, the preferred one for "".
func (h *Handler) lookupEntry(y idp.Year, now time.Time) (keyring.Entry, error) {
	if y == "" {
		entry, err := h.Years.Preferred(now)
		if err != nil {
			return entry, &web.Error{Status: http.StatusServiceUnavailable, Key: "unavailable", Err: fmt.Errorf("stable metadata: %w", err)}
		}
		return entry, nil
	}
	return h.Access.LookupLive(y)
}

// serveCertificate serves GET /api/saml/certificate{year}.pem. It also answers for retired and
// closed years, because integrators look up certificates that they once configured.
func (h *Handler) serveCertificate(w http.ResponseWriter, r *http.Request) error {
	control := cacheControl
	entry, preview, err := h.Access.OpenDocument(r)
	var gone *web.GoneYear
	var closed *web.ClosedYear
	switch {
	case errors.As(err, &gone), errors.As(err, &closed):
		entry, _ = h.Years.Lookup(web.Year(r), h.Clock.Now())
		if closed != nil && (entry.Key == nil || entry.Key.Cert == nil) {
			return err
		}
	case err != nil:
		return err
	case preview:
		control = noStore
	}
	if entry.Key == nil || entry.Key.Cert == nil {
		return web.ErrNotFound
	}
	nameFile(w, "vernal-signing-certificate-"+string(web.Year(r))+".pem")
	body := []byte(certs.EncodePEM(entry.Key.Cert))
	return sendDocument(w, r, pemType, control, &document{body: body, etag: metadata.ETag(body)})
}

// nameFile sets the file name under which a browser saves a document. Our URLs do not
// contain the name of the installation.
func nameFile(w http.ResponseWriter, name string) {
	w.Header().Set("Content-Disposition", `inline; filename="`+name+`"`)
}

// partHeaders are the headers of conditional requests and of requests for a range (RFC 9110
// §13.1 and §14.2).
var partHeaders = []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range"}

// asksForPart reports whether the answer may be anything but the whole document. ServeContent
// copies in small pieces, so it is used for those requests only.
func asksForPart(h http.Header) bool {
	return slices.ContainsFunc(partHeaders, func(name string) bool { return len(h[name]) > 0 })
}

// sendDocument writes a document, or 304 if the client has it (RFC 9110 §13.1.2).
func sendDocument(w http.ResponseWriter, r *http.Request, contentType, control string, d *document) error {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", control)
	h.Set("ETag", d.etag)
	if asksForPart(r.Header) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(d.body))
		return nil
	}
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Length", strconv.Itoa(len(d.body)))
	_, _ = w.Write(d.body) // an error means that the client has gone
	return nil
}
