package blocklist

import (
	"math"
	"strings"
	"sync"
)

// keyboards are rows of keys, each half a key to the right of the row above.
var keyboards = [][]string{
	{"`1234567890-=", " qwertyuiop[]\\", " asdfghjkl;'", " zxcvbnm,./"},
	{"^1234567890ß´", " qwertzuiopü+", " asdfghjklöä#", " yxcvbnm,.-"},
	{"²&é\"'(-è_çà)=", " azertyuiop^$", " qsdfghjklmù*", " wxcvbn,;:!"},
	{" 1234567890ñ", " qwertyuiopñ", " asdfghjklñ", " zxcvbnm,.-"},
}

// place is the place of a key.
type place struct{ row, column int }

// shiftedDigits are the characters above the digits of the first keyboard.
const shiftedDigits = "!@#$%^&*()"

// layouts are the places of the keys on each keyboard. A number pad needs none, because its rows and
// columns are sequences.
var layouts = sync.OnceValue(func() []map[rune]place {
	var all []map[rune]place
	for _, rows := range keyboards {
		layout := make(map[rune]place)
		for row, keys := range rows {
			for column, key := range []rune(keys) {
				if key != ' ' {
					layout[key] = place{row, column}
				}
			}
		}
		all = append(all, layout)
	}
	for i, r := range shiftedDigits {
		all[0][r] = place{0, i + 1}
	}
	return all
})

// direction returns the step from one key to the next, and whether the keys are adjacent.
func direction(from, to place) (place, bool) {
	step := place{to.row - from.row, to.column - from.column}
	switch {
	case step == place{}:
		return step, false
	case step.row < -1 || step.row > 1 || step.column < -1 || step.column > 1:
		return step, false
	}
	// The row above is half a key to the left, so its neighbors are in the same column and the next.
	return step, step.row*step.column != 1
}

// minWalk is the least length of a walk, in keys.
const minWalk = 3

// addWalks adds the walks over a keyboard that begin at start.
func addWalks(lower []rune, start int, add func(end int, guesses float64)) {
	for _, layout := range layouts() {
		turns := 0
		var last place
		for end := start + 1; end < len(lower); end++ {
			from, hasFrom := layout[lower[end-1]]
			to, hasTo := layout[lower[end]]
			step, isAdjacent := direction(from, to)
			if !hasFrom || !hasTo || !isAdjacent {
				break
			}
			if step != last {
				turns++
			}
			last = step
			if n := end + 1 - start; n >= minWalk {
				add(end+1, countWalks(n, turns))
			}
		}
	}
}

// countWalks returns the number of walks of at most n keys with at most that many turns, as zxcvbn
// counts them.
func countWalks(n, turns int) float64 {
	const keys, neighbors = 47, 4.6 // of zxcvbn's keyboards, on average
	guesses := 0.0
	for i := 2; i <= n; i++ {
		for j := 1; j <= min(turns, i-1); j++ {
			guesses += choose(i-1, j-1) * keys * math.Pow(neighbors, float64(j))
		}
	}
	return guesses
}

// addSequences adds sequences of characters at the same distance, such as abcd or 9753.
func addSequences(password []rune, start int, add func(end int, guesses float64)) {
	const maxDistance = 5
	if start+2 >= len(password) {
		return
	}
	distance := password[start+1] - password[start]
	if distance == 0 || distance < -maxDistance || distance > maxDistance {
		return
	}
	guesses := 26.0
	switch first := password[start]; {
	case strings.ContainsRune("aAzZ019", first):
		guesses = 4
	case first >= '0' && first <= '9':
		guesses = 10
	}
	if distance < 0 {
		guesses *= 2
	}
	for end := start + 2; end < len(password) && password[end]-password[end-1] == distance; end++ {
		add(end+1, guesses*float64(end+1-start))
	}
}

// addRepetitions adds the repetitions that begin at start, such as aaaa or tulip-tulip-.
func (e *estimator) addRepetitions(password []rune, start int, add func(end int, guesses float64)) {
	covered := make(map[int]int) // end of the repetition by the length of its part
	for size := 1; start+2*size <= len(password); size++ {
		end := start + size
		for end < len(password) && password[end] == password[end-size] {
			end++
		}
		count := (end - start) / size
		end = start + count*size
		if count < 2 {
			continue
		}
		isKnown := false // as a repetition of a shorter part
		for shorter, itsEnd := range covered {
			isKnown = isKnown || size%shorter == 0 && itsEnd >= end
		}
		if isKnown {
			continue
		}
		covered[size] = end
		part := password[start : start+size]
		guesses, ok := e.known[string(part)]
		if !ok {
			guesses = e.estimate(part)
			e.known[string(part)] = guesses
		}
		for n := 2; n <= count; n++ {
			add(start+n*size, guesses*float64(n))
		}
	}
}

// referenceYear is the year around which years are guessed first.
const referenceYear = 2026

// addDates adds years and dates of digits, with or without separators.
func addDates(password []rune, start int, add func(end int, guesses float64)) {
	if n := readNumber(password, start, 4); n >= 1900 && n <= 2050 {
		add(start+4, countYears(n))
	}
	for _, order := range dateOrders {
		for _, separator := range []rune{0, ' ', '-', '/', '\\', '_', '.'} {
			if end, year := readDate(password, start, order, separator); end > 0 {
				guesses := 365 * countYears(year)
				if separator != 0 {
					guesses *= 4
				}
				add(end, guesses)
			}
		}
	}
}

// countYears returns how many years an attacker tries before this one.
func countYears(year int) float64 { return math.Max(math.Abs(float64(year-referenceYear)), 20) }

// field is a part of a date and its number of digits.
type field struct {
	name   rune // 'y', or 'd' for a day or month
	digits int
}

// dateOrders are the forms of dates. Days and months are not distinguished, because both orders
// are common.
var dateOrders = [][3]field{
	{{'d', 2}, {'d', 2}, {'y', 4}}, {{'y', 4}, {'d', 2}, {'d', 2}},
	{{'d', 2}, {'d', 2}, {'y', 2}}, {{'y', 2}, {'d', 2}, {'d', 2}},
	{{'d', 1}, {'d', 2}, {'y', 4}}, {{'d', 2}, {'d', 1}, {'y', 4}}, {{'d', 1}, {'d', 1}, {'y', 4}},
	{{'d', 1}, {'d', 2}, {'y', 2}}, {{'d', 2}, {'d', 1}, {'y', 2}}, {{'d', 1}, {'d', 1}, {'y', 2}},
	{{'y', 4}, {'d', 1}, {'d', 2}}, {{'y', 4}, {'d', 2}, {'d', 1}}, {{'y', 4}, {'d', 1}, {'d', 1}},
}

// readDate reads a date. It returns 0 if there is none of this form.
func readDate(password []rune, start int, order [3]field, separator rune) (end, year int) {
	at := start
	var days []int
	for i, f := range order {
		if i > 0 && separator != 0 {
			if at >= len(password) || password[at] != separator {
				return 0, 0
			}
			at++
		}
		n := readNumber(password, at, f.digits)
		at += f.digits
		switch {
		case n < 0:
			return 0, 0
		case f.name == 'd':
			days = append(days, n)
		case f.digits == 2 && n > 50:
			year = 1900 + n
		case f.digits == 2:
			year = 2000 + n
		default:
			year = n
		}
	}
	low, high := min(days[0], days[1]), max(days[0], days[1])
	if low < 1 || low > 12 || high > 31 || year < 1000 || year > 2050 {
		return 0, 0
	}
	return at, year
}

// readNumber reads a number of exactly n digits, or returns -1.
func readNumber(password []rune, start, n int) int {
	if start+n > len(password) {
		return -1
	}
	number := 0
	for _, r := range password[start : start+n] {
		if r < '0' || r > '9' {
			return -1
		}
		number = number*10 + int(r-'0')
	}
	return number
}
