package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/xmltree"
	"vernal/metadata"
)

// Bounds of metadata that is fetched.
const (
	metadataWait   = 60 * time.Second // a federation's is long
	maxRedirects   = 5
	metadataAccept = "application/samlmetadata+xml, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.1"
)

// maxMetadata is the longest document that the server reads.
var maxMetadata = xmltree.MetadataLimits().Bytes

// longHelp says what to do about a longer one, such as that of a federation.
const longHelp = "; name the service provider in it with --entity-id, or give a document with its EntityDescriptor alone"

// isURL reports whether an argument means an address and not a file.
func isURL(s string) bool {
	s = strings.ToLower(s)
	return strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://")
}

// loadMetadata reads a provider's metadata from a file or a URL. A document that
// is too long for the server, such as that of a federation, is cut down to the
// provider with the entity ID, if there is one.
func loadMetadata(ctx context.Context, from string, id idp.EntityID, insecure bool) ([]byte, error) {
	limit, verb := maxMetadata, "read"
	if id != "" {
		limit = metadata.MaxAggregate
	}
	var data []byte
	var err error
	if isURL(from) {
		verb = "fetch"
		data, err = fetch(ctx, from, limit, insecure)
	} else {
		data, err = readFile(from, limit)
	}
	var refused *refusedError
	switch {
	case errors.As(err, &refused):
		return nil, refused
	case err == nil && len(data) > maxMetadata:
		data, err = metadata.Cut(data, id)
	case err != nil && len(data) > limit:
		err = fmt.Errorf("%w%s", err, longHelp)
	}
	if err != nil {
		return nil, fmt.Errorf("%s metadata: %w", verb, err)
	}
	return data, nil
}

// fetch reads a document from a URL. The certificates in it decide whose requests
// are believed, so it is not fetched over plain http, except from this machine
// or on the operator's word. What is longer than limit is returned with an error.
func fetch(ctx context.Context, from string, limit int, insecure bool) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, metadataWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	if err := checkFetch(req.URL, insecure); err != nil {
		return nil, err
	}
	req.Header.Set("Accept", metadataAccept)
	client := &http.Client{CheckRedirect: func(next *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return errors.New("too many redirects")
		}
		if last := via[len(via)-1].URL.Scheme; next.URL.Scheme != last && next.URL.Scheme != "https" {
			return fmt.Errorf("redirected from %s to %s", last, next.URL.Scheme)
		}
		return checkFetch(next.URL, insecure)
	}}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", from, resp.Status)
	}
	return readAll(resp.Body, from, limit)
}

func checkFetch(u *url.URL, insecure bool) error {
	if u.Scheme == "http" && !insecure && !idp.IsLoopback(u.Hostname()) {
		return refuse("%s is http: anybody on the way could put their own certificate into it; use https, a file, or --allow-insecure-url", u)
	}
	return nil
}
