// Package blocklist finds passwords that are among the first guesses of an attacker (NIST SP
// 800-63B §3.1.1.2): common passwords and words, with their usual variations, walks over a keyboard,
// sequences, repetitions and dates. There are no rules about kinds of characters.
//
// The estimate is that of zxcvbn, with its frequency lists: it splits the password into patterns
// and looks for the split with the fewest guesses. The program does not link a zxcvbn library,
// because they build their tables whenever a program starts, which doubles the time of a short
// command. Here the lists are compressed, and unpacked at the first check. The tests compare the
// result with such a library.
//
//	password ─► patterns, each with its number of guesses ─► the cheapest split ─► IsCommon
package blocklist

import (
	"math"
	"slices"
	"strings"
	"unicode"
)

// MinGuesses is how many guesses a password must withstand: the least that zxcvbn calls "safely
// unguessable", with a score of 3.
const MinGuesses = 1e8

// IsCommon reports whether a password is guessed with fewer than MinGuesses guesses. The context
// contains texts that an attacker tries for this user and this service, such as the email address
// and names.
func IsCommon(password string, context ...string) bool {
	e := &estimator{words: words(), context: splitContext(context), known: make(map[string]float64)}
	if e.estimate([]rune(password)) < MinGuesses {
		return true
	}
	joined := strings.Map(func(r rune) rune {
		if isSeparator(r) {
			return -1
		}
		return r
	}, password)
	return joined != "" && joined != password && e.estimate([]rune(joined)) < maxJoined
}

// maxJoined is how few guesses a password without its separators must need to be common. It finds
// common passwords of several words.
const maxJoined = 1e4

// minContext is the least length of a word of the context. Shorter ones are in many passwords.
const minContext = 3

// splitContext returns the words of texts in lower case, and the texts without what is between the
// words.
func splitContext(texts []string) map[string]bool {
	result := make(map[string]bool)
	for _, text := range texts {
		text = strings.ToLower(text)
		parts := strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
		for _, word := range append(parts, strings.Join(parts, ""), text) {
			if len([]rune(word)) >= minContext {
				result[word] = true
			}
		}
	}
	return result
}

// maxParts bounds the number of patterns in a split. The order of n patterns multiplies the guesses
// by n!, so that more of them are never under MinGuesses.
const maxParts = 11

// estimator estimates passwords. It remembers repeated parts that it has estimated.
type estimator struct {
	words   map[string]int // ranks, from 1
	context map[string]bool
	known   map[string]float64
}

// pattern is a part of a password, up to end, and the guesses for it.
type pattern struct {
	end     int
	guesses float64
}

// estimate returns the number of guesses for a password, exact below MinGuesses: the product of
// the guesses for its parts and the number of their orders, for the cheapest split.
func (e *estimator) estimate(password []rune) float64 {
	n := len(password)
	// best[k][i] is the cheapest product for the first i runes in k parts.
	var best [maxParts + 1][]float64
	for k := range best {
		best[k] = make([]float64, n+1)
		for i := range best[k] {
			best[k][i] = math.Inf(1)
		}
	}
	best[0][0] = 1
	lower := []rune(strings.ToLower(string(password)))
	if len(lower) != n { // a lower-case form can be longer
		lower = password
	}
	for i := range n {
		isReached := false
		for k := range maxParts {
			isReached = isReached || best[k][i] < MinGuesses
		}
		if !isReached {
			continue
		}
		for _, p := range e.patterns(password, lower, i) {
			for k := range maxParts {
				if product := best[k][i] * p.guesses; product < best[k+1][p.end] {
					best[k+1][p.end] = product
				}
			}
		}
	}
	guesses, orders := math.Inf(1), 1.0
	for k := 1; k <= maxParts; k++ {
		orders *= float64(k)
		guesses = min(guesses, best[k][n]*orders)
	}
	return guesses
}

// patterns returns the patterns that begin at start.
func (e *estimator) patterns(password, lower []rune, start int) []pattern {
	var found []pattern
	add := func(end int, guesses float64) {
		if guesses < MinGuesses {
			found = append(found, pattern{end, max(guesses, 1)})
		}
	}
	// Any characters, each of which is one of ten; zxcvbn counts so because it cannot know which.
	for n := 1; n <= 8 && start+n <= len(password); n++ {
		guesses := math.Pow(10, float64(n))
		if n == 1 && isSeparator(password[start]) {
			guesses = separatorGuesses
		}
		add(start+n, guesses)
	}
	for n := 1; n <= maxWord && start+n <= len(password); n++ {
		if guesses := e.lookup(password[start:start+n], lower[start:start+n]); guesses > 0 {
			add(start+n, guesses)
		}
	}
	addWalks(lower, start, add)
	addSequences(password, start, add)
	addDates(password, start, add)
	e.addRepetitions(password, start, add)
	return found
}

// separatorGuesses are those for a character that is often between or after words.
const separatorGuesses = 3

func isSeparator(r rune) bool { return strings.ContainsRune(" -_.!", r) }

// lookup returns the guesses for a word of the lists, its usual variations included; 0 without one.
func (e *estimator) lookup(word, lower []rune) float64 {
	best := 0.0
	try := func(text string, factor float64) {
		rank := e.words[text]
		if e.context[text] {
			rank = 1
		}
		if guesses := float64(rank) * factor; rank > 0 && (best == 0 || guesses < best) {
			best = guesses
		}
	}
	try(string(lower), 1)
	if len(lower) > 2 {
		reversed := slices.Clone(lower)
		slices.Reverse(reversed)
		try(string(reversed), 2)
		for _, alphabet := range leetAlphabets {
			if plain, count := undoLeet(lower, alphabet); count > 0 {
				try(plain, math.Pow(2, float64(count)))
			}
		}
	}
	return best * countCases(word)
}

// leetAlphabets replace characters that stand for letters. 1 and 7 stand for two letters each.
var leetAlphabets = []map[rune]rune{
	{'4': 'a', '@': 'a', '8': 'b', '(': 'c', '{': 'c', '[': 'c', '<': 'c', '3': 'e', '€': 'e', '6': 'g', '9': 'g', '1': 'i', '!': 'i', '|': 'i', '0': 'o', '$': 's', '5': 's', '+': 't', '7': 't', '%': 'x', '2': 'z'},
	{'4': 'a', '@': 'a', '8': 'b', '(': 'c', '{': 'c', '[': 'c', '<': 'c', '3': 'e', '€': 'e', '6': 'g', '9': 'g', '1': 'l', '!': 'i', '|': 'l', '0': 'o', '$': 's', '5': 's', '+': 't', '7': 'l', '%': 'x', '2': 'z'},
}

// undoLeet returns the word that is meant, and the number of different characters that it replaced.
func undoLeet(word []rune, alphabet map[rune]rune) (string, int) {
	plain := make([]rune, len(word))
	replaced := make(map[rune]bool)
	for i, r := range word {
		plain[i] = r
		if letter, ok := alphabet[r]; ok {
			plain[i], replaced[r] = letter, true
		}
	}
	return string(plain), len(replaced)
}

// countCases returns how many ways of writing capital letters an attacker tries before this one.
func countCases(word []rune) float64 {
	upper, lower := 0, 0
	for _, r := range word {
		switch {
		case unicode.IsUpper(r):
			upper++
		case unicode.IsLower(r):
			lower++
		}
	}
	switch {
	case upper == 0:
		return 1
	case lower == 0, upper == 1 && (unicode.IsUpper(word[0]) || unicode.IsUpper(word[len(word)-1])):
		return 2
	}
	ways := 0.0
	for i := 1; i <= min(upper, lower); i++ {
		ways += choose(upper+lower, i)
	}
	return ways
}

// choose returns the number of ways to choose k of n.
func choose(n, k int) float64 {
	if k > n {
		return 0
	}
	ways := 1.0
	for i := 1; i <= k; i++ {
		ways = ways * float64(n-k+i) / float64(i)
	}
	return ways
}
