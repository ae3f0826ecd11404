package idp_test

import (
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"vernal/idp"
)

// nouns are the commands that suggestions do not name, in addition to those of idp.Actions.
var nouns = []string{"config", "demo", "deploy", "errors", "rotation", "serve", "session", "user", "version"}

var flagSyntax = regexp.MustCompile(`(?:^|[^-!\w])--[a-z]`)

// notCommands lists by file the literals that look like commands but are not.
var notCommands = map[string]string{
	"idp/audit/line.go": "vernal audit checkpoint 1", // begins the text that a checkpoint signs
	"idp/idp.go":        "vernal session\x00",        // keeps this hash distinct from others
}

// runsCommands lists the packages that exist to run programs.
var runsCommands = []string{"idp/idptest/binary"} // the test harness runs vernal and SoftHSM as users do

// Only cmd knows command syntax. Below it, a next step for the user is an idp.Suggestion, and
// a setting is referred to by its name.
func TestNoCommandSyntaxBelowCmd(t *testing.T) {
	t.Parallel()
	all := slices.Clone(nouns)
	for _, s := range idp.Actions() {
		noun, _, _ := strings.Cut(string(s.Do), ".")
		all = append(all, noun)
	}
	command := regexp.MustCompile(`\bvernal (?:` + strings.Join(all, "|") + `)\b`)
	read, allowed := 0, map[string]bool{}
	for name, literals := range literalsOf(t, "..") {
		read += len(literals)
		for _, l := range literals {
			switch {
			case !command.MatchString(l.text) && !flagSyntax.MatchString(l.text):
			case notCommands[name] != "" && strings.HasPrefix(l.text, notCommands[name]):
				allowed[name] = true
			case slices.Contains(runsCommands, path.Dir(name)):
			default:
				t.Errorf("%s:%d: %q is command syntax: suggest an idp.Suggestion, or name the setting as idp.Option does", name, l.line, l.text)
			}
		}
	}
	if read < 5000 {
		t.Errorf("read %d literals only: the test looks in the wrong place", read)
	}
	for name := range notCommands {
		if !allowed[name] {
			t.Errorf("%s has no such literal any more", name)
		}
	}
}

// The pattern matches flags, and no other use of two dashes.
func TestFlagSyntaxMatchesOnlyFlags(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"--resume": true, "give one with --name": true, "(--allow-insecure-url allows it)": true, "x=--key": true,
		"-----BEGIN CERTIFICATE-----": false, "a--b": false, "<!--comment-->": false, "xn--bcher-kva": false, "-- ": false,
	} {
		if got := flagSyntax.MatchString(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

type literal struct {
	line int
	text string
}

// literalsOf reads the string literals of the Go files below root, except tests and cmd.
func literalsOf(t *testing.T, root string) map[string][]literal {
	t.Helper()
	found := map[string][]literal{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() && (rel == "cmd" || rel != "." && strings.HasPrefix(d.Name(), ".")) {
			return fs.SkipDir
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		src, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		files := token.NewFileSet()
		file := files.AddFile(rel, -1, len(src))
		var s scanner.Scanner
		s.Init(file, src, nil, 0)
		for {
			pos, tok, lit := s.Scan()
			if tok == token.EOF {
				return nil
			}
			if tok != token.STRING {
				continue
			}
			text, err := strconv.Unquote(lit)
			if err != nil {
				return err
			}
			found[rel] = append(found[rel], literal{file.Line(pos), text})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
