package web

import (
	"net/http"

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
		w.Header().Set("Content-Security-Policy", f.CSP)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		return write(w, http.StatusOK, f.Type, f.Data)
	}
}
