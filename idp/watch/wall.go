package watch

import (
	"cmp"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"vernal/idp"
	"vernal/idp/board"
	"vernal/idp/link"
	"vernal/templates"
)

const (
	// refreshWall is after how many seconds the wall loads itself anew.
	refreshWall = "60"
	// maxNames is how many names it has room for.
	maxNames = 120
)

// showWall is the board for a screen that others see, too: for whoever holds its
// address.
func (h *Handler) showWall(w http.ResponseWriter, r *http.Request) error {
	if err := h.open(r, link.Wall); err != nil {
		return err
	}
	v, err := h.view(r.Context())
	if err != nil {
		return err
	}
	from, to := v.moving()
	page := v.wall(from, to)
	page.Still, page.SwitchURL = wallSwitch(r.URL.Query())
	if !page.Still {
		w.Header().Set("Refresh", refreshWall)
	}
	page.Base, page.Years = h.Pages.Base(r, ""), live(v.years(h.Rotation.Policy))
	w.Header().Set("Content-Security-Policy", h.Pages.Set.WallCSP())
	return h.Pages.Render(w, http.StatusOK, func(b io.Writer) error { return h.Pages.Set.Wall(b, page) })
}

// wallSwitch reports whether the wall is to stay as it is, and where the other
// wall is, in the same language.
func wallSwitch(q url.Values) (still bool, other string) {
	keep := url.Values{}
	if locale := q.Get("locale"); locale != "" && len(locale) <= maxLocale {
		keep.Set("locale", locale)
	}
	if q.Get("refresh") == "off" {
		return true, "?" + keep.Encode()
	}
	keep.Set("refresh", "off")
	return false, "?" + keep.Encode()
}

// wall is the page but for its years. It counts who has moved on from one year,
// where a Line's Move tells of the preferred one: in February, before the new
// year is preferred, the wall shows who is early.
func (v *view) wall(from, to idp.Year) templates.WallPage {
	p := templates.WallPage{
		At: v.Status.At, Leaving: from, To: to, Preferred: v.Status.Preferred,
		Attention: len(v.Status.Attention), Coming: v.coming(),
	}
	answers := make(map[idp.Year]bool)
	for _, y := range v.live() {
		answers[y] = true
	}
	for i := range v.Board.SPs {
		l := &v.Board.SPs[i]
		if !l.Active {
			continue
		}
		stays := slices.Contains(l.UnmovedFrom, from)
		switch {
		case len(l.Years) == 0:
			p.Unseen++
		case !stays:
			p.Moved++
		case slices.ContainsFunc(l.Years, func(s board.Seen) bool { return s.Year > from && answers[s.Year] }):
			p.Both++
		default:
			p.Unmoved++
		}
		if stays {
			p.Names = append(p.Names, v.wallName(l, from))
		}
	}
	slices.SortFunc(p.Names, func(a, b templates.WallName) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.Name, b.Name))
	})
	if len(p.Names) > maxNames {
		p.More = len(p.Names) - maxNames
		p.Names = p.Names[:maxNames]
	}
	// The wall has no room for reasons, which can name service providers and
	// files.
	for i := range p.Coming {
		p.Coming[i].Waits = nil
	}
	return p
}

func (v *view) wallName(l *board.Line, from idp.Year) templates.WallName {
	n := templates.WallName{Name: cmp.Or(l.Name, string(l.SP))}
	for _, y := range l.Years {
		if y.Year == from {
			n.LastAt, n.Days = y.LastAt, daysUntil(v.Status.At, y.LastAt)
		}
	}
	return n
}

// live leaves the years whose addresses answer.
func live(years []templates.BoardYear) []templates.BoardYear {
	return slices.DeleteFunc(years, func(y templates.BoardYear) bool { return !y.Live })
}
