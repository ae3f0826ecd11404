// Package shellquote writes the commands that we print for users to run. They contain values from
// other parties, and operators paste them into a shell. A valid URL may contain $(…).
package shellquote

import "strings"

// Quote returns a word in a form that a POSIX shell reads as exactly that word. A word that needs no
// quotes gets none.
func Quote(word string) string {
	if word != "" && !strings.ContainsFunc(word, isSpecial) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func isSpecial(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("@%+=:,./_-", r))
}
