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
	maxIPAddress = 64
	maxHint      = 1024 // the longest entity ID (saml-metadata §2.2.1)
	// maxPendingLoads bounds the clients between two flushes, maxLoads the stored clients
	// without a registered hint, and maxHintLoads the stored clients of one SP.
	maxPendingLoads = 1000
	maxLoads        = 200
	maxHintLoads    = 20
	// maxAgents bounds the User-Agents stored for one IP address, so that one client with
	// many names does not replace the others.
	maxAgents = 5
	// clientLifetime is how long a client's IP address is stored.
	clientLifetime = 90 * day
)

// Loads counts the loads of metadata by one client.
type Loads struct {
	// Year is the year of the document; "" for the stable document.
	Year idp.Year `json:"year"`
	// Hint is the entity ID in the URL.
	Hint      idp.EntityID `json:"hint,omitzero"`
	IPAddress string       `json:"address"`
	UserAgent string       `json:"user_agent"`
	LastAt    time.Time    `json:"last_at"`
	Count     int          `json:"count"`
}

// cleanText bounds foreign text in bytes, and replaces characters that could move a cursor,
// change the writing direction or be invisible.
func cleanText(s string, limit int) string {
	const ellipsis = "…"
	var out []byte
	end := 0 // of the text that fits together with the ellipsis
	for _, r := range s {
		if !unicode.IsPrint(r) {
			r = utf8.RuneError
		}
		if out = utf8.AppendRune(out, r); len(out) > limit {
			return string(out[:end]) + ellipsis
		}
		if len(out)+len(ellipsis) <= limit {
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

// keepLoads merges the loads of one hint, or of totalKey, and returns the latest ones: at most
// maxAgents per IP address, and none that has expired. It replaces a time in the future, which a
// wrong clock wrote, with now.
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
	latest := slices.DeleteFunc(sumLoads(loads), func(l Loads) bool {
		agents[l.IPAddress]++
		return agents[l.IPAddress] > maxAgents || now.Sub(l.LastAt) > clientLifetime
	})
	return latest[:min(len(latest), limit)]
}
