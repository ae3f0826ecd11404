//go:build ignore

// This program writes words.txt.gz from the frequency lists of zxcvbn.
package main

import (
	"bytes"
	"compress/gzip"
	"log"
	"os"
	"slices"
	"strings"

	"github.com/trustelem/zxcvbn/frequency"
)

func main() {
	ranks := make(map[string]int)
	longest := 0
	for _, list := range frequency.FrequencyLists {
		longest = max(longest, len(list))
		for i, word := range list {
			if rank := ranks[word]; rank == 0 || rank > i+1 {
				ranks[word] = i + 1
			}
		}
	}
	lines := make([][]string, longest+1)
	for word, rank := range ranks {
		lines[rank] = append(lines[rank], word)
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		log.Fatal(err)
	}
	for _, line := range lines[1:] {
		slices.Sort(line)
		if _, err := w.Write([]byte(strings.Join(line, " ") + "\n")); err != nil {
			log.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile("words.txt.gz", packed.Bytes(), 0o644); err != nil {
		log.Fatal(err)
	}
}
