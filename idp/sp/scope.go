package sp

import (
	"strconv"
	"strings"
	"time"

	"vernal/idp"
)

// The NameIDScope of a registration decides which providers can recognize a user:
//
//	agency:NAME       all providers of an agency
//	sp:ENTITYID       a provider without an agency
//	sp:ENTITYID#N     the same, after it lost its NameIDs; N only ever grows
//
// Package idp defines their form; see idp.OwnScope.

// chooseFirstScope returns the scope of a provider that was never registered before.
func chooseFirstScope(p *idp.ServiceProvider) idp.NameIDScope {
	if p.Agency != "" {
		return idp.AgencyScope(p.Agency)
	}
	return idp.OwnScope(p.EntityID)
}

// makeFreshScope returns a scope that a provider without an agency has not had before. last is its
// previous scope. If that was an agency's, the provider may have had earlier scopes of its own
// that are no longer known, so the number is taken from the clock, which is far above any
// count.
func makeFreshScope(id idp.EntityID, last idp.NameIDScope, now time.Time) idp.NameIDScope {
	ownScope := string(idp.OwnScope(id))
	if string(last) == ownScope {
		return idp.NameIDScope(ownScope + "#2")
	}
	if rest, ok := strings.CutPrefix(string(last), ownScope+"#"); ok {
		if n, err := strconv.ParseInt(rest, 10, 64); err == nil {
			return idp.NameIDScope(ownScope + "#" + strconv.FormatInt(n+1, 10))
		}
	}
	return idp.NameIDScope(ownScope + "#" + strconv.FormatInt(now.UnixMilli(), 10))
}
