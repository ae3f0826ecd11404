//go:build ignore

// Command names counts the names of functions and methods: how many are one lower-case
// word, and which are an adjective, a participle or a preposition. Run it in the root of
// the repository; it fails above 20 % and for the first odd name.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxOneWord is the most one-word lower-case names, in per cent.
const maxOneWord = 20

// odd are words that say nothing about what a function does. Words that are a verb or
// noun as well, such as "close", "open" and "read", are not among them.
var odd = strings.Fields(`
	about above absent absolute addressed after again against alike alone already also anew answerable answered
	apart around automatic available bare because before begun behind below beside better between beyond blank
	broken brief by called carried chosen closed coming common copied corrupt counted covered created current
	daily decided decrypted described detached disclosed distinct done dropped due each earlier empty encrypted
	enough equal escaped facial failed fetched first flat following for forced foreign from full given gone
	guarded half hashable here held hidden hostile identical in incoming incomplete indented indexed inflated
	injected insecure inside inspected instead into invalid joined kept known lacking later latest leaving linked
	listed listening live longer lost marked matching maybe meant mended merged missing more most named near
	nearest nearing newer newest now numbered off old older oldest on once only openable ours out outdated
	outside over own owned past permanent plain preferred present proofed public quietly reached ready recent
	refused registered registrable rehearsable rehearsed repeated replaced replayed representable required
	reused right same seen shared short shown signed since sorted special stable stale started still stored
	strange stuck succeeded such sure tampered taken there throttled told trusted unable unbegun unchecked
	unclaimed under unknown unmoved unproofed unread unsigned until untold untrusted unused unwrapped usable used
	valid verified waiting wanted watched whole whose wide with within without wrong`)

func main() {
	total, oneWord := 0, 0
	var found []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			return err
		}
		for _, decl := range f.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			total++
			name := fn.Name.Name
			if name == strings.ToLower(name) && name != "main" && name != "init" {
				oneWord++
			}
			if slices.Contains(odd, name) {
				found = append(found, fmt.Sprintf("%s: %s", set.Position(fn.Pos()), name))
			}
		}
		return nil
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "names:", err)
		os.Exit(1)
	}
	percent := 100 * float64(oneWord) / float64(total)
	fmt.Printf("%d functions, %d with one lower-case word as a name (%.1f %%)\n", total, oneWord, percent)
	for _, f := range found {
		fmt.Println(f)
	}
	if percent > maxOneWord || len(found) > 0 {
		os.Exit(1)
	}
}
