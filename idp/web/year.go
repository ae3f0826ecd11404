package web

import (
	"time"

	"vernal/certs"
	"vernal/idp"
)

// Gone is the answer of a year that is over: the page names the year to move
// to.
type Gone struct{ Year, Successor idp.Year }

func (g *Gone) Error() string { return "year " + string(g.Year) + " is retired" }

// LiveYear is the year that an address names, if its addresses answer now.
// Otherwise the error is ErrNotFound, or a *Gone for one that is over. Every
// handler of a yearly address asks here, so that a year opens and closes
// everywhere at once.
func LiveYear(years *certs.Ring, y idp.Year, now time.Time) (certs.Entry, error) {
	entry, ok := years.Lookup(y, now)
	switch {
	case ok && entry.State.Over():
		gone := &Gone{Year: y}
		if p, err := years.Preferred(now); err == nil {
			gone.Successor = p.Key.Year
		}
		return certs.Entry{}, gone
	case !ok || !entry.State.Live():
		return certs.Entry{}, ErrNotFound
	}
	return entry, nil
}
