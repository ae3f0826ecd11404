package web

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/gorilla/mux"

	"vernal/idp"
)

// Methods are the handlers of one path. A GET handler answers HEAD too.
type Methods map[string]Handler

// Router dispatches requests to handlers. An unknown path is a 404. A method that a path does
// not have is a 405 with Allow (RFC 9110 §15.5.6).
type Router struct {
	mux   *mux.Router
	pages *Pages
}

// NewRouter returns an empty router that shows its errors with pages.
func NewRouter(pages *Pages) *Router {
	rt := &Router{mux: mux.NewRouter(), pages: pages}
	rt.mux.NotFoundHandler = rt.adaptHandler("", func(http.ResponseWriter, *http.Request) error { return ErrNotFound })
	return rt
}

// Handle mounts the handlers of a path. "{year}" in the path matches idp.YearPattern; see
// Year.
func (rt *Router) Handle(path string, methods Methods) {
	pattern := strings.ReplaceAll(path, "{year}", "{year:"+idp.YearPattern+"}")
	rt.mux.Handle(pattern, rt.adaptHandler(path, methods.chooseHandler(rt.pages)))
}

// chooseHandler chooses by method. An unpublished year has no methods: listing them would
// distinguish its URL from an unknown one.
func (methods Methods) chooseHandler(pages *Pages) Handler {
	allowedMethods := slices.Collect(maps.Keys(methods))
	if methods[http.MethodGet] != nil {
		allowedMethods = append(allowedMethods, http.MethodHead)
	}
	slices.Sort(allowedMethods)
	allowHeader := strings.Join(allowedMethods, ", ")

	return func(w http.ResponseWriter, r *http.Request) error {
		EventOf(r).hasPage = methods[http.MethodGet] != nil
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		h := methods[method]
		if h == nil {
			if pages.isHiddenYear(r) {
				return ErrNotFound
			}
			w.Header().Set("Allow", allowHeader)
			return &Error{Status: http.StatusMethodNotAllowed, Key: "method", Args: []string{allowHeader}}
		}
		return h(w, r)
	}
}

// HandlePrefix mounts a GET handler under a prefix, for static files.
func (rt *Router) HandlePrefix(prefix string, handler Handler) {
	// Log only the first segment, because the others change with the files.
	first, _, _ := strings.Cut(strings.TrimPrefix(prefix, "/"), "/")
	rt.mux.PathPrefix(prefix).Handler(rt.adaptHandler("/"+first+"/", Methods{http.MethodGet: handler}.chooseHandler(rt.pages)))
}

func (rt *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// A request may also name the host in its first line (RFC 9112 §3.2.2), and the router
	// would redirect to it when it cleans the path.
	if u := r.URL; u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" {
		local := *u
		local.Scheme, local.Host, local.User, local.Opaque = "", "", nil, ""
		r.URL = &local
	}
	rt.mux.ServeHTTP(w, r)
}

// adaptHandler is the one place that turns a handler's error into a response.
func (rt *Router) adaptHandler(route string, h Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		EventOf(r).Route = route
		if err := h(w, r); err != nil {
			rt.pages.Fail(w, r, err)
		}
	})
}

// Param returns the part of the request's path that matched "{name}".
func Param(r *http.Request, name string) string { return mux.Vars(r)[name] }

// Year returns the year in the request's path.
func Year(r *http.Request) idp.Year { return idp.Year(mux.Vars(r)["year"]) }
