// Package suggest finds the name that was probably meant by one that is not
// known, for errors that help.
package suggest

import "strings"

// maxSeen bounds, in bytes, what is compared letter by letter.
const maxSeen = 500

// Nearest returns the name most like the one seen, in any case; the first of
// several. It is "" if more than slips letters differ from each.
func Nearest(seen string, names []string, slips int) string {
	if len(seen) > maxSeen {
		return ""
	}
	best, lower := "", strings.ToLower(seen)
	for _, name := range names {
		if len(name)-len(seen) > slips {
			continue // at least so many letters must be added
		}
		if d := Distance(lower, strings.ToLower(name)); d <= slips {
			best, slips = name, d-1
		}
	}
	return best
}

// Distance returns the number of letters to change, add or leave out between two
// words (Levenshtein), by bytes.
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
