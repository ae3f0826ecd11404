// Package suggest finds the name that was probably meant by one that is not
// known, for errors that help.
package suggest

import "strings"

// Distance is the number of letters to change, add or leave out between two
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

// maxName bounds the names that are compared: a longer one is no misspelling, and
// the work grows with its length.
const maxName = 64

// Nearest returns the one of names that is most like name, or "" if none is like it.
// Dotted names are also compared by their last part alone.
func Nearest(name string, names []string) string {
	if len(name) > maxName {
		return ""
	}
	best, bestDistance := "", len(name)/2+1
	for _, n := range names {
		d := min(Distance(name, n), Distance(lastPart(name), lastPart(n))+1)
		if d < bestDistance {
			best, bestDistance = n, d
		}
	}
	return best
}

func lastPart(name string) string { return name[strings.LastIndex(name, ".")+1:] }
