package watch

import (
	"net/http"

	"vernal/idp/web"
)

func (h *Handler) showBoard(w http.ResponseWriter, r *http.Request) error    { return web.ErrNotFound }
func (h *Handler) showData(w http.ResponseWriter, r *http.Request) error     { return web.ErrNotFound }
func (h *Handler) showWall(w http.ResponseWriter, r *http.Request) error     { return web.ErrNotFound }
func (h *Handler) showCalendar(w http.ResponseWriter, r *http.Request) error { return web.ErrNotFound }
