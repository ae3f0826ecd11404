// Package suggest finds the known name closest to an unknown one, for the suggestions in errors.
package suggest

import "strings"

// maxWordSize bounds the length in bytes of a name that is compared letter by letter.
const maxWordSize = 500

// Nearest returns the name closest to word, regardless of case, and the first of equally close
// names. It returns "" if every name differs in more than maxDistance letters.
func Nearest(word string, names []string, maxDistance int) string {
	if len(word) > maxWordSize {
		return ""
	}
	match, lowerWord := "", strings.ToLower(word)
	for _, name := range names {
		if len(name)-len(word) > maxDistance {
			continue // the distance is at least the difference in length
		}
		if distance := Distance(lowerWord, strings.ToLower(name)); distance <= maxDistance {
			match, maxDistance = name, distance-1
		}
	}
	return match
}

// Distance returns the Levenshtein distance of two words, in bytes.
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
