// Package suggest finds the known name closest to an unknown one, for the suggestions in errors.
package suggest

import "strings"

// maxWordSize bounds the length in bytes of a name that is compared letter by letter.
const maxWordSize = 500

// Nearest returns the name closest to seen, regardless of case, and the first of equally close
// ones. It returns "" if every name differs in more than slips letters.
func Nearest(seen string, names []string, slips int) string {
	if len(seen) > maxWordSize {
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
