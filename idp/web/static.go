package web

import (
	"io/fs"
	"net/http"
	"strings"
)

// ServeStatic serves files under a prefix that changes with their content, so that they may be
// cached permanently. It does not list directories.
func ServeStatic(prefix string, files fs.FS) Handler {
	serve := http.StripPrefix(prefix, http.FileServerFS(files))
	return func(w http.ResponseWriter, r *http.Request) error {
		if strings.HasSuffix(r.URL.Path, "/") {
			return ErrNotFound
		}
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		serve.ServeHTTP(w, r)
		return nil
	}
}
