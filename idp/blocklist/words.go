package blocklist

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"strings"
	"sync"
)

//go:generate go run gen_words.go

// packedWords are the lists of zxcvbn, gzip: a line for each rank, with the words that have it.
//
//go:embed words.txt.gz
var packedWords []byte

// maxWord is longer than every word that is worth a look-up, in characters.
const maxWord = 32

// localWords are common passwords that the lists lack, because those are mostly English, and names
// of seasons and months, which many passwords begin with. Each list is sorted by rank.
var localWords = [][]string{
	{
		"azerty", "motdepasse", "doudou", "loulou", "soleil", "bonjour", "chocolat", "jetaime", "coucou", "marseille",
		"azertyuiop", "chouchou", "nicolas", "camille", "princesse", "bienvenue", "secret", "administrateur", "connexion",
	},
	{
		"contraseña", "contrasena", "tequiero", "estrella", "teamo", "mariposa", "princesa", "barcelona", "realmadrid",
		"bonita", "corazon", "corazón", "america", "américa", "hola", "bienvenido", "secreto", "administrador",
	},
	{"passwort", "qwertz", "qwertzuiop", "correcthorsebatterystaple", "changeme", "letmein", "welcome", "administrator", "login", "secret", "hello"},
	{"spring", "summer", "autumn", "winter", "primavera", "verano", "otoño", "invierno", "printemps", "été", "automne", "hiver"},
	{"january", "february", "march", "april", "june", "july", "august", "september", "october", "november", "december"},
	{"enero", "febrero", "marzo", "abril", "junio", "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"},
	{"janvier", "février", "mars", "avril", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"},
}

// words returns the rank of each word, from 1. Unpacking takes about as long as hashing a password,
// and happens once.
var words = sync.OnceValue(func() map[string]int {
	ranks, err := readWords(packedWords)
	if err != nil {
		panic(fmt.Sprintf("blocklist: %v", err)) // a test reads it
	}
	return ranks
})

func readWords(packed []byte) (map[string]int, error) {
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpack the words: %w", err)
	}
	text, err := io.ReadAll(unpacked)
	if err != nil {
		return nil, fmt.Errorf("unpack the words: %w", err)
	}
	ranks := make(map[string]int, 100_000)
	rank := 0
	for line := range strings.Lines(string(text)) {
		rank++
		for word := range strings.FieldsSeq(line) {
			ranks[word] = rank
		}
	}
	for _, list := range localWords {
		for i, word := range list {
			if rank := ranks[word]; rank == 0 || rank > i+1 {
				ranks[word] = i + 1
			}
		}
	}
	return ranks, nil
}
