package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"vernal/idp/xmltree"
)

// Bounds of metadata that is fetched.
const (
	metadataWait   = 20 * time.Second
	maxRedirects   = 5
	metadataAccept = "application/samlmetadata+xml, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.1"
)

// maxMetadata is the longest document that the server reads.
var maxMetadata = xmltree.MetadataLimits().Bytes

// longHelp says what to do about a longer one, such as that of a federation.
const longHelp = "; give a document with the EntityDescriptor of the one service provider alone"

// isURL reports whether an argument means an address and not a file.
func isURL(s string) bool {
	s = strings.ToLower(s)
	return strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://")
}

// loadMetadata reads a provider's metadata from a file or an address. The
// certificates in it decide whose requests are believed, so it is not fetched
// over plain http, except from this machine or on the operator's word.
func loadMetadata(ctx context.Context, from string, insecure bool) ([]byte, error) {
	if !isURL(from) {
		data, err := readFile(from, maxMetadata)
		if err != nil {
			if len(data) > maxMetadata {
				err = fmt.Errorf("%w%s", err, longHelp)
			}
			return nil, fmt.Errorf("read metadata: %w", err)
		}
		return data, nil
	}
	ctx, cancel := context.WithTimeout(ctx, metadataWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch metadata: %w", err)
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
		var refused *refusedError
		if errors.As(err, &refused) {
			return nil, refused
		}
		return nil, fmt.Errorf("fetch metadata: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch metadata: %s answers %s", from, resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, int64(maxMetadata)+1))
	if err != nil {
		return nil, fmt.Errorf("fetch metadata: %w", err)
	}
	if len(data) > maxMetadata {
		return nil, fmt.Errorf("fetch metadata: %s is longer than %d bytes%s", from, maxMetadata, longHelp)
	}
	return data, nil
}

func checkFetch(u *url.URL, insecure bool) error {
	if u.Scheme == "http" && !insecure && !isLoopback(u.Hostname()) {
		return refuse("%s is http: anybody on the way could put their own certificate into it; use https, a file, or --allow-insecure-url", u)
	}
	return nil
}
