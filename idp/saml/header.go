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

// Header is what every request has (saml-core §3.2.1).
type Header struct {
	ID           string
	IssueInstant time.Time // UTC
	Issuer       idp.EntityID
	// Destination is the address that the sender meant. HasDestination is
	// false if it is absent or empty.
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
	h.Destination, err = uriAttr(root, "Destination")
	h.HasDestination = h.Destination != ""
	return err
}

// How old a request may be, and how far the clocks of sender and receiver may
// be apart.
const (
	MaxAge  = 5 * time.Minute
	MaxSkew = time.Minute
)

// Expect is what a request is held against.
type Expect struct {
	Now time.Time
	// Issuer is the entity whose certificates verified the message.
	Issuer idp.EntityID
	// Destinations are the URLs that the message may name as its Destination, by
	// configuration and not by the Host header: the one that it came to, first, and
	// those that stand for it.
	Destinations []string
	// AnyDestination is set for a sender whose Destination is not compared.
	AnyDestination bool
}

// Finding is one rule that a message was held against.
type Finding struct {
	// Field is the part of the message that the rule is about.
	Field string
	// Err is why the message is refused; nil if it keeps the rule.
	Err error
}

// Findings are rules in the order in which the server looks at them.
type Findings []Finding

// Err is what the server refuses a message with: the first refusal, nil without one.
func (f Findings) Err() error {
	for i := range f {
		if f[i].Err != nil {
			return f[i].Err
		}
	}
	return nil
}

// AppendFindings holds a verified request against the place and the moment it arrived, and
// adds what it finds to dst, which may be nil. Each error is a *idp.Refusal.
func (h *Header) AppendFindings(dst Findings, e Expect) Findings {
	return append(dst,
		Finding{"Issuer", h.checkIssuer(e)},
		Finding{"Destination", h.checkDestination(e)},
		Finding{"IssueInstant", checkInstant(h.IssueInstant, e.Now)})
}

// checkIssuer compares the verified Issuer with the one that was read before the
// signature was checked, to find the certificates.
func (h *Header) checkIssuer(e Expect) error {
	if h.Issuer != e.Issuer {
		return idp.Refuse(idp.RefusedIssuer, "Issuer", string(h.Issuer))
	}
	return nil
}

func (h *Header) checkDestination(e Expect) error {
	if h.HasDestination && !e.AnyDestination && !slices.ContainsFunc(e.Destinations, h.isMeantFor) {
		return idp.Refuse(idp.RefusedDestination, "Destination", h.Destination, e.Destinations[0])
	}
	return nil
}

// isMeantFor compares the Destination with a URL of ours. A query is ours to read, and
// integrators copy the URL with one: it is not compared.
func (h *Header) isMeantFor(url string) bool {
	path, _, _ := strings.Cut(h.Destination, "?")
	return sameAddress(path, url)
}

// checkInstant refuses a message that is too old or from the future.
func checkInstant(at, now time.Time) error {
	switch {
	case at.Before(now.Add(-MaxAge - MaxSkew)):
		return idp.Refuse(idp.RefusedIssueInstantOld, "IssueInstant", formatTime(at), MaxAge.String(), formatTime(now))
	case at.After(now.Add(MaxSkew)):
		return idp.Refuse(idp.RefusedIssueInstantFuture, "IssueInstant", formatTime(at), MaxSkew.String(), formatTime(now))
	}
	return nil
}

func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// sameAddress compares two addresses exactly, but for the case of scheme and
// host and for a port that the scheme implies: proxies and libraries add it.
func sameAddress(a, b string) bool {
	return a == b || normalAddress(a) == normalAddress(b) && normalAddress(a) != ""
}

// normalAddress is "" for what is no plain http or https address. What follows
// the host is kept as it is written.
func normalAddress(s string) string {
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
