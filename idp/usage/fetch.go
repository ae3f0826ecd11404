package usage

import (
	"cmp"
	"maps"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"vernal/idp"
)

// Bounds on the data that any client can make us store.
const (
	maxUserAgent = 200
	maxIPAddress   = 64
	maxHint      = 1024 // the longest entity ID (saml-metadata §2.2.1)
	// maxPendingLoads bounds the distinct clients between two flushes, maxLoads those
	// stored without a registered hint, maxHintLoads those stored for one SP.
	maxPendingLoads = 1000
	maxLoads      = 200
	maxHintLoads  = 20
	// maxAgents bounds the User-Agents stored for one IP address, so that one client with
	// many names does not drive out the others.
	maxAgents = 5
	// clientLifetime is how long a client's IP address is kept.
	clientLifetime = 90 * day
)

// Loads counts the loads of metadata by one client.
type Loads struct {
	// Year is the document's; "" for the stable one.
	Year idp.Year `json:"year"`
	// Hint is the entity ID in the URL.
	Hint      idp.EntityID `json:"hint,omitzero"`
	IPAddress   string       `json:"address"`
	UserAgent string       `json:"user_agent"`
	LastAt    time.Time    `json:"last_at"`
	Count     int          `json:"count"`
}

// cleanText bounds foreign text in bytes, and replaces characters that could move a cursor,
// change the writing direction or be invisible.
func cleanText(s string, limit int) string {
	const more = "…"
	var out []byte
	end := 0 // of the text that leaves room for more
	for _, r := range s {
		if !unicode.IsPrint(r) {
			r = utf8.RuneError
		}
		if out = utf8.AppendRune(out, r); len(out) > limit {
			return string(out[:end]) + more
		}
		if len(out)+len(more) <= limit {
			end = len(out)
		}
	}
	return string(out)
}

// sumLoads adds up the loads of each client, the latest first.
func sumLoads(loads []Loads) []Loads {
	sums := make(map[Loads]Loads, len(loads))
	for _, l := range loads {
		client := l
		client.LastAt, client.Count = time.Time{}, 0
		if sum := sums[client]; sum.LastAt.After(l.LastAt) {
			l.LastAt = sum.LastAt
		}
		l.Count += sums[client].Count
		sums[client] = l
	}
	return slices.SortedFunc(maps.Values(sums), func(a, b Loads) int {
		return cmp.Or(b.LastAt.Compare(a.LastAt), cmp.Compare(a.IPAddress, b.IPAddress), cmp.Compare(a.UserAgent, b.UserAgent),
			cmp.Compare(a.Year, b.Year), cmp.Compare(a.Hint, b.Hint))
	})
}

// keepLoads merges the loads of one hint, or those in the record total, and keeps the
// latest: at most maxAgents per IP address, and none that has expired. A time in the future,
// left by a wrong clock, is moved.
func keepLoads(hint string, loads []Loads, now time.Time) []Loads {
	limit := maxHintLoads
	if hint == totalKey {
		limit = maxLoads
	}
	for i, l := range loads {
		if l.LastAt.After(now.Add(maxClockSkew)) {
			loads[i].LastAt = now
		}
	}
	agents := make(map[string]int)
	kept := slices.DeleteFunc(sumLoads(loads), func(l Loads) bool {
		agents[l.IPAddress]++
		return agents[l.IPAddress] > maxAgents || now.Sub(l.LastAt) > clientLifetime
	})
	return kept[:min(len(kept), limit)]
}
