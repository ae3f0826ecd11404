package adminhttp

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"vernal/idp"
	"vernal/idp/migration"
	"vernal/templates"
)

// filter selects the part of the list to show. All of it is in the URL, so that a selection
// can be linked to.
type filter struct {
	// Show selects the active service providers that have moved this far, or the inactive
	// ones. "" selects all. Unmoved with a Year selects those that must still leave that year.
	Show migration.Move
	// Year selects the service providers that have used it. "" selects all.
	Year idp.Year
	// Query matches a part of the name or the entity ID.
	Query string
	// Page counts from 1.
	Page int
	// Locale is the language that the URL asks for, or "". Links keep it, because this
	// listener sets no cookie.
	Locale string
}

// maxQuery and maxLocale bound Query and Locale in bytes. maxPage bounds Page.
const (
	maxQuery  = 200
	maxLocale = 20
	maxPage   = 100000
)

// readFilter ignores invalid parameters.
func readFilter(q url.Values) filter {
	f := filter{Page: 1}
	if move := migration.Move(q.Get("show")); slices.Contains(moveOrder, move) || move == moveInactive {
		f.Show = move
	}
	if y := idp.Year(q.Get("year")); y.IsValid() {
		f.Year = y
	}
	if text := strings.TrimSpace(q.Get("q")); len(text) <= maxQuery {
		f.Query = text
	}
	if n, err := strconv.Atoi(q.Get("page")); err == nil && n >= 1 && n <= maxPage {
		f.Page = n
	}
	if locale := q.Get("locale"); len(locale) <= maxLocale {
		f.Locale = locale
	}
	return f
}

// listFields returns the parameters of the filter except its page.
func (f filter) listFields() (set []templates.Field) {
	for _, field := range []templates.Field{
		{Name: "show", Value: string(f.Show)}, {Name: "year", Value: string(f.Year)}, {Name: "q", Value: f.Query}, {Name: "locale", Value: f.Locale},
	} {
		if field.Value != "" {
			set = append(set, field)
		}
	}
	return set
}

// buildURL returns the URL of the page with the filter applied.
func (f filter) buildURL() string {
	q := url.Values{}
	for _, field := range f.listFields() {
		q.Set(field.Name, field.Value)
	}
	if f.Page > 1 {
		q.Set("page", strconv.Itoa(f.Page))
	}
	if len(q) == 0 {
		return boardPath
	}
	return boardPath + "?" + q.Encode()
}

func (f filter) selectPage(n int) filter {
	f.Page = n
	return f
}

// selectLines returns a filter for another selection in the same language.
func (f filter) selectLines(show migration.Move, y idp.Year) filter {
	return filter{Show: show, Year: y, Locale: f.Locale}
}

// apply returns the lines that match.
func (f filter) apply(lines []migration.Line) []migration.Line {
	if f.Show == "" && f.Year == "" && f.Query == "" {
		return lines
	}
	query := strings.ToLower(f.Query)
	leaving := f.Show == migration.Unmoved && f.Year != ""
	var passed []migration.Line
	for i := range lines {
		l := &lines[i]
		switch {
		case leaving && !slices.Contains(l.YearsToLeave, f.Year):
		case !leaving && f.Show != "" && findMove(l) != f.Show:
		case f.Year != "" && !usesYear(l, f.Year):
		case query != "" && !strings.Contains(strings.ToLower(l.Name), query) && !strings.Contains(strings.ToLower(string(l.SP)), query):
		default:
			passed = append(passed, *l)
		}
	}
	return passed
}

func usesYear(l *migration.Line, y idp.Year) bool {
	return slices.ContainsFunc(l.Years, func(s migration.YearUse) bool { return s.Year == y })
}

// linkMoves is the order in which migration states are shown.
var moveOrder = []migration.Move{migration.Unmoved, migration.Both, migration.Moved, migration.Unseen}

// moveInactive is shown beside the moves: an inactive service provider delays no one, so
// whether it has moved does not matter.
const moveInactive migration.Move = "inactive"

// findMove returns the migration state that the page shows for a service provider.
func findMove(l *migration.Line) migration.Move {
	if !l.Active {
		return moveInactive
	}
	return l.Move
}

func countMoves(b *migration.Board) map[migration.Move]int {
	counts := map[migration.Move]int{}
	for i := range b.SPs {
		counts[findMove(&b.SPs[i])]++
	}
	return counts
}

// linkMoves returns the links to all service providers, and to each migration state.
func (f filter) linkMoves(counts map[migration.Move]int, b *migration.Board) []templates.BoardFilter {
	all := []templates.BoardFilter{{Label: templates.MoveAll, Count: len(b.SPs), URL: f.selectLines("", "").buildURL(), IsCurrent: f.Show == "" && f.Year == ""}}
	shown := moveOrder
	if counts[moveInactive] > 0 {
		shown = append(slices.Clone(moveOrder), moveInactive)
	}
	for _, m := range shown {
		all = append(all, templates.BoardFilter{
			Label: templates.MoveKey(m), Count: counts[m], URL: f.selectLines(m, "").buildURL(), IsCurrent: f.Show == m && f.Year == "",
		})
	}
	return all
}

// linkYears returns the links to the users of each year.
func (f filter) linkYears(b *migration.Board) (all []templates.BoardFilter) {
	for _, y := range b.Years {
		n := 0
		for i := range b.SPs {
			if usesYear(&b.SPs[i], y.Year) {
				n++
			}
		}
		all = append(all, templates.BoardFilter{Year: y.Year, Count: n, URL: f.selectLines("", y.Year).buildURL(), IsCurrent: f.Year == y.Year && f.Show == ""})
	}
	return all
}

// buildSearch returns the search form, which keeps the filter.
func (f filter) buildSearch() templates.BoardSearch {
	kept := f
	kept.Query = ""
	return templates.BoardSearch{Action: boardPath, Query: f.Query, Fields: kept.listFields()}
}
