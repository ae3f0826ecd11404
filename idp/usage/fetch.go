package usage

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"vernal/idp"
)

// Bounds of what any client can make us store.
const (
	maxUserAgent = 200
	maxAddress   = 64
	maxHint      = 1024 // the longest entity ID (saml-metadata §2.2.1)
	// maxNotedFetches bounds the distinct clients between two flushes, maxFetches those stored
	// without a registered hint, and maxHintFetches those stored for one service provider.
	maxNotedFetches = 1000
	maxFetches      = 200
	maxHintFetches  = 20
	// maxAgents bounds the stored User-Agents of one IP address, so that one client with
	// many names cannot displace the others.
	maxAgents = 5
	// keepFetches is how long a client's IP address is stored.
	keepFetches = 90 * day
)

// Client is a distinct source of loads of metadata.
type Client struct {
	Year      idp.Year     `json:"year,omitzero"`
	Hint      idp.EntityID `json:"hint,omitzero"`
	Address   string       `json:"address"`
	UserAgent string       `json:"user_agent"`
}

// Loads counts the loads by one client. Last is in Unix milliseconds.
type Loads struct {
	Client
	Last  int64 `json:"last"`
	Count int   `json:"count"`
}

// clientOf cleans the client's own data.
func clientOf(f idp.Fetch) Client {
	return Client{
		Year: f.Year, Hint: idp.EntityID(clean(string(f.SP), maxHint)),
		Address: clean(f.Address, maxAddress), UserAgent: clean(f.UserAgent, maxUserAgent),
	}
}

// clean bounds foreign text in bytes, and replaces characters that could move a cursor,
// change the writing direction or be invisible.
func clean(s string, limit int) string {
	const more = "…"
	cut := len(s) > limit
	if cut {
		s = s[:limit] // first, to bound the work below
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return utf8.RuneError
	}, s)
	if cut || len(s) > limit {
		n := min(len(s), limit-len(more))
		for n > 0 && n < len(s) && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n] + more
	}
	return strings.Clone(s) // do not keep the large header in memory
}

// mergeLoads adds newer loads to the stored ones, latest first. It keeps at most limit, and
// none that is too old.
func mergeLoads(kept, more []Loads, limit int, now time.Time) []Loads {
	index := make(map[Client]int, len(kept)+len(more))
	var all []Loads
	for _, l := range slices.Concat(kept, more) {
		l.Last = min(l.Last, now.Add(ahead).UnixMilli())
		if l.Last < now.Add(-keepFetches).UnixMilli() {
			continue
		}
		if i, ok := index[l.Client]; ok {
			all[i].Count += l.Count
			all[i].Last = max(all[i].Last, l.Last)
			continue
		}
		index[l.Client] = len(all)
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b Loads) int {
		return cmp.Or(cmp.Compare(b.Last, a.Last), cmp.Compare(a.Address, b.Address), cmp.Compare(a.UserAgent, b.UserAgent),
			cmp.Compare(a.Year, b.Year), cmp.Compare(a.Hint, b.Hint))
	})
	agents := make(map[string]int)
	all = slices.DeleteFunc(all, func(l Loads) bool {
		agents[l.Address]++
		return agents[l.Address] > maxAgents
	})
	return all[:min(len(all), limit)]
}
