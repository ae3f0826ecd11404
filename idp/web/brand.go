package web

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"vernal/idp"
	"vernal/idp/logo"
	"vernal/templates"
)

// ServeBrand serves the operator's own files under BrandPrefix. Their names change with their
// content, so answers may be cached permanently.
func ServeBrand(brand *templates.Brand) Handler {
	files := make(map[string]templates.BrandFile)
	if brand != nil {
		for _, f := range brand.Files {
			files[f.Path] = f
		}
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		f, ok := files[r.URL.Path]
		if !ok {
			return ErrNotFound
		}
		return writeImmutable(w, f.Type, f.CSP, f.Data)
	}
}

// ServeLogos serves the logos of service providers under idp.LogoPrefix. lookup finds one by
// its file name, or returns idp.ErrNotFound.
func ServeLogos(lookup func(ctx context.Context, name string) (*logo.Image, error)) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		image, err := lookup(r.Context(), strings.TrimPrefix(r.URL.Path, idp.LogoPrefix))
		if errors.Is(err, idp.ErrNotFound) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		return writeImmutable(w, image.Type, logo.CSP, image.Data)
	}
}

// writeImmutable writes a file whose name changes with its content.
func writeImmutable(w http.ResponseWriter, contentType, policy string, data []byte) error {
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	return write(w, http.StatusOK, contentType, data)
}
