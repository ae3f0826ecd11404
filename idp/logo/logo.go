// Package logo reads the logos that pages show: an SVG or PNG file of the operator or of a
// service provider.
//
// A browser runs the content of an SVG file that is opened directly, with the rights of our
// origin. So the original bytes are never served: a PNG is decoded and encoded again, and an
// SVG is rebuilt from the elements and attributes that a drawing needs.
package logo

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image/png"
	"regexp"
	"strings"
)

const (
	// MaxBytes limits a file.
	MaxBytes = 64 << 10
	// maxSide limits width and height of a PNG, which limits the memory that a small file
	// can require.
	maxSide = 1024
)

// CSP is the Content-Security-Policy of a logo: opened directly, it runs nothing and loads
// nothing. Drawings have inline styles.
const CSP = "default-src 'none'; style-src 'unsafe-inline'; sandbox"

// The content types of logos.
const (
	TypeSVG = "image/svg+xml"
	TypePNG = "image/png"
)

// Image is a logo that is safe to serve.
type Image struct {
	Type string
	Data []byte
}

// Error says why a file was refused.
type Error struct {
	Line   int // line in an SVG; 0 for the whole file
	Reason string
}

func (e *Error) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("line %d: %s", e.Line, e.Reason)
	}
	return e.Reason
}

// Parse reads a file. The error is an *Error.
func Parse(data []byte) (*Image, error) {
	if len(data) > MaxBytes {
		return nil, &Error{Reason: fmt.Sprintf("the file is longer than %d bytes; save the logo smaller or simpler", MaxBytes)}
	}
	if bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")) {
		return parsePNG(data)
	}
	return parseSVG(data)
}

// The extensions of the file names that Name returns.
const (
	extensionSVG = ".svg"
	extensionPNG = ".png"
)

// Name returns a file name that changes with the content.
func (i *Image) Name() string {
	extension := extensionSVG
	if i.Type == TypePNG {
		extension = extensionPNG
	}
	sum := sha256.Sum256(i.Data)
	return hex.EncodeToString(sum[:16]) + extension
}

var namePattern = regexp.MustCompile(`^[0-9a-f]{32}\.(svg|png)$`)

// IsName reports whether the text has the form of a file name that Name returns.
func IsName(s string) bool { return namePattern.MatchString(s) }

// TypeOf returns the content type of the logo with a file name that Name returned.
func TypeOf(name string) string {
	if strings.HasSuffix(name, extensionPNG) {
		return TypePNG
	}
	return TypeSVG
}

// parsePNG keeps only the pixels.
func parsePNG(data []byte) (*Image, error) {
	config, err := png.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, newPNGError(err)
	}
	if config.Width > maxSide || config.Height > maxSide {
		return nil, &Error{Reason: fmt.Sprintf("the PNG has %d × %d pixels, at most %d × %d are allowed", config.Width, config.Height, maxSide, maxSide)}
	}
	decoded, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, newPNGError(err)
	}
	var out bytes.Buffer
	if err := png.Encode(&out, decoded); err != nil {
		return nil, newPNGError(err)
	}
	return &Image{TypePNG, out.Bytes()}, nil
}

func newPNGError(err error) error {
	if _, ok := errors.AsType[png.UnsupportedError](err); ok {
		return &Error{Reason: "the PNG uses a feature that is not supported; save it as a plain PNG"}
	}
	return &Error{Reason: "the PNG is damaged; save it again"}
}
