package saml

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/xmldsig"
	"vernal/idp/xmltree"
)

// Header holds the fields that every request has (saml-core §3.2.1).
type Header struct {
	ID           string
	IssueInstant time.Time // UTC
	Issuer       idp.EntityID
	// Destination is the URL that the sender addressed. HasDestination is false if it is
	// absent or empty.
	Destination    string
	HasDestination bool
}

func (h *Header) readHeader(root *xmltree.Element) error {
	if v, _ := root.Attr("Version"); v != Version {
		return idp.Refuse(idp.RefusedVersion, "Version", v, Version)
	}
	h.ID, _ = root.Attr("ID")
	if !xmldsig.IsPlainID(h.ID) {
		return idp.Refuse(idp.RefusedID, "ID", h.ID, strconv.Itoa(xmldsig.MaxID))
	}
	instant, _ := root.Attr("IssueInstant")
	var ok bool
	if h.IssueInstant, ok = parseInstant(instant); !ok {
		return idp.Refuse(idp.RefusedIssueInstant, "IssueInstant", instant)
	}
	var err error
	if h.Issuer, err = readIssuer(root); err != nil {
		return err
	}
	h.Destination, err = readURI(root, "Destination")
	h.HasDestination = h.Destination != ""
	return err
}

// MaxAge is how old a request may be, and MaxSkew is how far the clocks of sender and receiver
// may differ.
const (
	MaxAge  = 5 * time.Minute
	MaxSkew = time.Minute
)

// Expectation holds the values that a request is compared with.
type Expectation struct {
	Now time.Time
	// Issuer is the entity whose certificates verified the message.
	Issuer idp.EntityID
	// Destinations are the URLs that the message may name as its Destination, from the
	// configuration and not from the Host header: first the one that it came to, then its
	// equivalents.
	Destinations []string
	// AllowsAnyDestination is set for a sender whose Destination is not compared.
	AllowsAnyDestination bool
	// RestoredAt is when the installation was restored from a backup, or zero. An earlier
	// message is refused, because it may have been accepted already.
	RestoredAt time.Time
}

// Finding is the result of one rule for a message.
type Finding struct {
	// Field is the part of the message that the rule is about.
	Field string
	// Err is the reason for the refusal, or nil if the message meets the rule.
	Err error
}

// Findings are results in the order in which the server checks the rules.
type Findings []Finding

// Err returns the first refusal, with which the server refuses the message, or nil.
func (f Findings) Err() error {
	for i := range f {
		if f[i].Err != nil {
			return f[i].Err
		}
	}
	return nil
}

// AppendFindings checks a verified request against the place and time of its arrival, and
// appends the results to dst, which may be nil. Each error is a *idp.Refusal.
func (h *Header) AppendFindings(dst Findings, e Expectation) Findings {
	return append(dst,
		Finding{"Issuer", h.checkIssuer(e)},
		Finding{"Destination", h.checkDestination(e)},
		Finding{"IssueInstant", checkInstant(h.IssueInstant, e)})
}

// checkIssuer compares the verified Issuer with the one that was read before the signature was
// checked, to look up the certificates.
func (h *Header) checkIssuer(e Expectation) error {
	if h.Issuer != e.Issuer {
		return idp.Refuse(idp.RefusedIssuer, "Issuer", string(h.Issuer))
	}
	return nil
}

func (h *Header) checkDestination(e Expectation) error {
	if h.HasDestination && !e.AllowsAnyDestination && !slices.ContainsFunc(e.Destinations, h.isMeantFor) {
		return idp.Refuse(idp.RefusedDestination, "Destination", h.Destination, e.Destinations[0])
	}
	return nil
}

// isMeantFor reports whether the Destination names a URL of ours. The query is ignored,
// because it is ours to read and integrators copy the URL with one.
func (h *Header) isMeantFor(url string) bool {
	path, _, _ := strings.Cut(h.Destination, "?")
	return equalURLs(path, url)
}

// checkInstant refuses a message that is too old, from before a restore, or from the future.
func checkInstant(at time.Time, e Expectation) error {
	now := e.Now
	switch {
	case at.Before(now.Add(-MaxAge - MaxSkew)):
		return idp.Refuse(idp.RefusedIssueInstantOld, "IssueInstant", formatTime(at), MaxAge.String(), formatTime(now))
	case at.Before(e.RestoredAt):
		return idp.Refuse(idp.RefusedBeforeRestore, "IssueInstant", formatTime(at), formatTime(e.RestoredAt))
	case at.After(now.Add(MaxSkew)):
		return idp.Refuse(idp.RefusedIssueInstantFuture, "IssueInstant", formatTime(at), MaxSkew.String(), formatTime(now))
	}
	return nil
}

func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// equalURLs reports whether two URLs are equal, except for the case of scheme and host and
// for a port that the scheme implies, which proxies and libraries add.
func equalURLs(a, b string) bool {
	return a == b || normalizeURL(a) == normalizeURL(b) && normalizeURL(a) != ""
}

// normalizeURL returns "" for anything but a plain http or https URL. Everything after the
// host is kept as written.
func normalizeURL(s string) string {
	scheme, rest, ok := strings.Cut(s, "://")
	scheme = strings.ToLower(scheme)
	port, known := map[string]string{"https": ":443", "http": ":80"}[scheme]
	if !ok || !known {
		return ""
	}
	host := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host = rest[:i]
	}
	return scheme + "://" + strings.TrimSuffix(strings.ToLower(host), port) + rest[len(host):]
}
