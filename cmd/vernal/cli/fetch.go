package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/durable"
	"vernal/idp/outbound"
	"vernal/idp/xmltree"
	"vernal/metadata"
)

// Bounds of fetched metadata.
const (
	metadataWait   = 60 * time.Second // a federation's metadata is large
	maxRedirects   = 5
	metadataAccept = "application/samlmetadata+xml, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.1"
)

// MaxMetadata is the longest document that the server reads.
var MaxMetadata = xmltree.MetadataLimits().Bytes

// longHelp is the fix for a longer document, such as a federation's.
const longHelp = ": name the service provider in it with --entity-id, or give a document with its EntityDescriptor alone"

// IsURL reports whether an argument is a URL and not a file.
func IsURL(s string) bool {
	s = strings.ToLower(s)
	return strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://")
}

// LoadMetadata reads a provider's metadata from a file or a URL. It cuts a document that is too
// long for the server, such as a federation's, down to the provider with the given entity ID.
func (a *App) LoadMetadata(ctx context.Context, source string, id idp.EntityID, insecure bool) ([]byte, error) {
	limit, verb := MaxMetadata, "read"
	if id != "" {
		limit = metadata.MaxAggregate
	}
	var data []byte
	var err error
	isTooLong := false
	if IsURL(source) {
		verb = "fetch"
		data, err = a.fetch(ctx, source, limit, insecure)
		isTooLong = outbound.HasCode(err, outbound.CodeTooLong)
	} else {
		data, err = ReadFile(source, limit)
		isTooLong = len(data) > limit
	}
	switch {
	case IsRefusal(err):
		return nil, err
	case err == nil && len(data) > MaxMetadata:
		data, err = metadata.Cut(data, id)
	case isTooLong:
		err = fmt.Errorf("%w%s", err, longHelp)
	}
	if err != nil {
		return nil, fmt.Errorf("%s metadata: %w", verb, err)
	}
	return data, nil
}

// fetch reads a document from a URL that an operator gave. The certificates in it decide
// whose requests are trusted, so fetch refuses plain http, except from this machine or if the
// operator insists. A document longer than limit is an error.
func (a *App) fetch(ctx context.Context, source string, limit int, insecure bool) ([]byte, error) {
	client, err := a.outboundClient()
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(ctx, &outbound.Request{
		URL: source, Header: http.Header{"Accept": {metadataAccept}}, Trust: outbound.Operator,
		MaxBytes: limit, Timeout: metadataWait, Redirects: maxRedirects, AllowHTTP: insecure,
	})
	if outboundErr, ok := errors.AsType[*outbound.Error](err); ok && outboundErr.Code == outbound.CodePlain {
		return nil, Refuse("http://%s is not safe, because an attacker on the network could insert a certificate: use https, a file, or --allow-insecure-url", outboundErr.Host)
	}
	if err != nil {
		return nil, err
	}
	if resp.Status != http.StatusOK {
		return nil, fmt.Errorf("%s answered %d %s", source, resp.Status, http.StatusText(resp.Status))
	}
	return resp.Body, nil
}

// ReadFile reads a file that must not be longer than limit bytes.
func ReadFile(path string, limit int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadAll(f, path, limit)
}

// ReadAll reads input of at most limit bytes. For longer input it returns the beginning and an
// error with the name.
func ReadAll(r io.Reader, name string, limit int) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err == nil && len(data) > limit {
		err = fmt.Errorf("%s is longer than %d bytes", name, limit)
	}
	return data, err
}

// OpenInput opens a file, or standard input for "-".
func (a *App) OpenInput(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(a.In), nil
	}
	return os.Open(name)
}

// ReadInput reads a file, or standard input for "-", of at most limit bytes.
func (a *App) ReadInput(name string, limit int) ([]byte, error) {
	in, err := a.OpenInput(name)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return ReadAll(in, name, limit)
}

// WriteOut gives write a new file that only its owner can read, or standard output for "". The
// file is complete or does not exist.
func (a *App) WriteOut(path string, write func(io.Writer) error) error {
	if path == "" {
		return write(a.JSONData())
	}
	err := durable.WriteNewFrom(path, write)
	if errors.Is(err, fs.ErrExist) {
		return Refuse("%s already exists, so nothing was written: name a new file", path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// WriteNew makes a file that every user may read. It never replaces one.
func WriteNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(path))
	}
	return nil
}
