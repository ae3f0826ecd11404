package adminhttp

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"vernal/idp"
	"vernal/idp/migration"
	"vernal/idp/sharelink"
	"vernal/templates"
)

const (
	// refreshWall is the number of seconds after which the wallboard reloads.
	refreshWall = "60"
	// maxNames bounds the names on the wallboard, maxLate those of a year in the lower part.
	maxNames = 120
	maxLateNames  = 20
)

// showWall renders the wallboard for every holder of its URL. It suits a screen that
// visitors can see.
func (h *Handler) showWall(w http.ResponseWriter, r *http.Request) error {
	if err := h.checkToken(r, sharelink.Wallboard); err != nil {
		return err
	}
	v, err := h.readView(r.Context())
	if err != nil {
		return err
	}
	page := v.buildWallPage()
	page.IsPaused, page.SwitchURL = parseRefresh(r.URL.Query())
	if !page.IsPaused {
		w.Header().Set("Refresh", refreshWall)
	}
	page.Base = h.Pages.Base(r, "")
	page.Years = slices.DeleteFunc(v.listYears(h.Rotation.Policy), func(y templates.BoardYear) bool { return !y.IsLive })
	w.Header().Set("Content-Security-Policy", h.Pages.Set.WallCSP())
	return h.Pages.Render(w, http.StatusOK, page)
}

// parseRefresh reports whether the wallboard must not reload, and returns the URL of the
// other mode in the same language.
func parseRefresh(q url.Values) (still bool, other string) {
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

// buildWallPage returns the page without its years. The first migration is at the top, the others below.
func (v *view) buildWallPage() templates.WallPage {
	counts := countMoves(v.Board)
	p := templates.WallPage{
		At: v.Status.At, Target: v.Board.Target, Preferred: v.Status.Preferred, NextSteps: v.listNextSteps(),
		Attention: len(v.Status.Attention), Needs: v.listNeeds(),
		UnmovedCount: counts[migration.Unmoved], BothCount: counts[migration.Both], MovedCount: counts[migration.Moved], UnseenCount: counts[migration.Unseen],
	}
	for i, y := range v.listMigrations() {
		m := templates.WallMigration{Year: y.Year, Count: y.UnmovedCount}
		limit := maxLateNames
		if i == 0 {
			p.Source, limit = y.Year, maxNames
		}
		m.Names, m.UnlistedCount = v.listNames(y.Year, limit)
		p.Migrations = append(p.Migrations, m)
	}
	// Reasons can name service providers and files.
	for i := range p.NextSteps {
		p.NextSteps[i].Waits = nil
	}
	return p
}

// listMigrations lists the years that active service providers must still leave, the most urgent
// first: the valid certificate that expires next. Years with an expired certificate follow,
// because their users are late already. If all have moved, it returns only the year left last.
func (v *view) listMigrations() []migration.Year {
	inTime := func(y migration.Year) bool { return y.State.IsLive() && y.CertEndAt.After(v.Status.At) }
	years := slices.DeleteFunc(slices.Clone(v.Board.Years), func(y migration.Year) bool { return !v.Board.MustLeave(y) || y.UnmovedCount == 0 })
	slices.SortStableFunc(years, func(a, b migration.Year) int {
		switch {
		case inTime(a) != inTime(b):
			if inTime(a) {
				return -1
			}
			return 1
		case inTime(a):
			return a.CertEndAt.Compare(b.CertEndAt)
		}
		return cmp.Compare(a.Year, b.Year)
	})
	if done := v.listYearsToLeave(); len(years) == 0 && len(done) > 0 {
		years = done[len(done)-1:]
	}
	return years
}

// listNames returns the service providers that must still leave a year, up to limit, and
// counts the rest.
func (v *view) listNames(from idp.Year, limit int) (names []templates.WallName, more int) {
	for i := range v.Board.SPs {
		l := &v.Board.SPs[i]
		if !slices.Contains(l.YearsToLeave, from) {
			continue
		}
		n := templates.WallName{Name: cmp.Or(l.Name, string(l.SP))}
		for _, y := range l.Years {
			if y.Year == from {
				n.LastAt = y.LastAt
			}
		}
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b templates.WallName) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.Name, b.Name))
	})
	more = max(len(names)-limit, 0)
	return names[:len(names)-more], more
}

// listNeeds lists the points that need attention by kind, once for each year. It leaves out the
// sentences, which can name service providers and files.
func (v *view) listNeeds() (all []templates.WallNeed) {
	for _, a := range v.Status.Attention {
		need := templates.WallNeed{Text: templates.NeedKey(a.Code), Year: a.Year}
		i := slices.IndexFunc(all, func(n templates.WallNeed) bool { return n.Text == need.Text && n.Year == need.Year })
		if i < 0 {
			i, all = len(all), append(all, need)
		}
		all[i].Count++
	}
	return all
}
