package main

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"vernal/cmd/vernal/config"
	"vernal/idp/guide"
	"vernal/templates"
)

var (
	consoleBlock = regexp.MustCompile("(?s)```console\n(.*?)```")
	shellBlock   = regexp.MustCompile("(?s)```sh\n(.*?)```|(?:^|\n\n)((?:    [^\n]*\n)+)")
	piped        = regexp.MustCompile(`^echo '([^']*)' \| (.*)$`)
)

// document is the README or a guide with example values.
type document struct{ name, text string }

func readDocuments(t *testing.T) []document {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	all := []document{{"README", string(readme)}}
	for _, topic := range readGuides(t).Topics() {
		text, err := topic.Markdown(guide.Example())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, document{topic.Name, text})
	}
	return all
}

func readGuides(t *testing.T) *guide.Book {
	t.Helper()
	book, err := guide.Load(templates.Guides())
	if err != nil {
		t.Fatal(err)
	}
	return book
}

// prepared is what a folder holds before the command lines of a guide run: each entry
// is the lines that the guide does without. Others get all lines.
var prepared = map[string]int{"README": 0, "install": 0, "service-providers": 1, "checks": 1, "users": 2}

var preparation = []string{
	"exec vernal init --base-url https://login.agency.example",
	"exec vernal sp add --entity-id https://records.agency.example --name Records --acs-url https://records.agency.example/saml/acs --cert sp.crt",
	"stdin password\nexec vernal user add --email ada@agency.example --password-stdin --totp",
}

// TestReadmeAndGuideCommandsRun runs the console blocks of the README and of each guide as an operator
// would type them, in a folder of their own that holds sp.crt.
func TestReadmeAndGuideCommandsRun(t *testing.T) {
	t.Parallel()
	cert, err := os.ReadFile("../../testdata/keys/sp1.crt")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	total := 0
	for _, d := range readDocuments(t) {
		lines, ok := prepared[d.name]
		if !ok {
			lines = len(preparation)
		}
		var commands, files strings.Builder
		commands.WriteString(strings.Join(preparation[:lines], "\n") + "\n")
		n := 0
		for _, command := range consoleLines(d.text) {
			n++
			if m := piped.FindStringSubmatch(command); m != nil {
				fmt.Fprintf(&commands, "stdin typed%d\n", n)
				fmt.Fprintf(&files, "-- typed%d --\n%s\n", n, m[1])
				command = m[2]
			}
			fmt.Fprintf(&commands, "exec %s\n", command)
		}
		if n == 0 {
			continue
		}
		total += n
		fmt.Fprintf(&files, "-- password --\nseven quiet herons wade east\n-- sp.crt --\n%s", cert)
		if err := os.WriteFile(filepath.Join(dir, d.name+".txt"), []byte(commands.String()+files.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if total < 40 {
		t.Fatalf("found %d command lines, want more", total)
	}
	testscript.Run(t, testscript.Params{Dir: dir})
}

// consoleLines lists the command lines of the console blocks of a text.
func consoleLines(text string) (lines []string) {
	for _, block := range consoleBlock.FindAllStringSubmatch(text, -1) {
		for line := range strings.Lines(block[1]) {
			if command, ok := strings.CutPrefix(strings.TrimSpace(line), "$ "); ok {
				lines = append(lines, command)
			}
		}
	}
	return lines
}

// TestReadmeAndGuideCommandsExist checks that the command lines that
// TestReadmeAndGuideCommandsRun does not run, because they need a running server or
// another file, name commands and flags that exist.
func TestReadmeAndGuideCommandsExist(t *testing.T) {
	t.Parallel()
	total := 0
	for _, d := range readDocuments(t) {
		var lines []string
		for _, block := range shellBlock.FindAllStringSubmatch(d.text, -1) {
			lines = append(lines, strings.Split(strings.ReplaceAll(block[1]+block[2], "\\\n", ""), "\n")...)
		}
		for _, m := range regexp.MustCompile("`(vernal [^`]+)`").FindAllStringSubmatch(d.text, -1) {
			lines = append(lines, strings.Join(strings.Fields(m[1]), " "))
		}
		for _, line := range lines {
			line = strings.TrimSpace(line)
			if !strings.HasPrefix(line, "vernal ") {
				continue
			}
			total++
			if err := checkCommandLine(line); err != nil {
				t.Errorf("%s: %s: %v", d.name, line, err)
			}
		}
	}
	if total < 60 {
		t.Errorf("checked %d command lines, want more", total)
	}
}

var shellWord = regexp.MustCompile(`(?:[^\s'"]|'[^']*'|"[^"]*")+`)

// checkCommandLine reports a command or flag that does not exist.
func checkCommandLine(line string) error {
	line, _, _ = strings.Cut(line, " #")
	line, _, _ = strings.Cut(line, " >")
	words := shellWord.FindAllString(line, -1)[1:]
	for i, word := range words {
		words[i] = strings.NewReplacer("'", "", `"`, "").Replace(word)
	}
	if words[0] == "help" {
		return nil // TestHelp
	}
	command, rest, err := newCommandTree().Find(words)
	if err != nil {
		return err
	}
	if command.HasSubCommands() && !slices.Contains(rest, "--help") {
		return fmt.Errorf("no command of %q", command.CommandPath())
	}
	for _, word := range rest {
		name, _, _ := strings.Cut(strings.TrimPrefix(word, "--"), "=")
		if strings.HasPrefix(word, "--") && name != "help" && command.Flag(name) == nil {
			return fmt.Errorf("no flag %s", word)
		}
	}
	return nil
}

// TestGuideTopicsAreNoCommands checks that no guide has the name of a command, because
// `vernal help NAME` shows the command.
func TestGuideTopicsAreNoCommands(t *testing.T) {
	t.Parallel()
	taken := map[string]bool{}
	for _, c := range newCommandTree().Commands() {
		taken[c.Name()] = true
	}
	for _, topic := range readGuides(t).Topics() {
		if taken[topic.Name] {
			t.Errorf("%s is also a command or another guide", topic.Name)
		}
		taken[topic.Name] = true
	}
}

// TestReadmeIsShort bounds the README, because longer text belongs in a guide.
func TestReadmeIsShort(t *testing.T) {
	t.Parallel()
	readme := readDocuments(t)[0]
	if n := len(strings.Fields(readme.text)); n > 1500 {
		t.Errorf("the README has %d words, want at most 1500", n)
	}
	for _, m := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(readme.text, -1) {
		info, err := os.Stat(filepath.Join("../..", m[1]))
		if err != nil {
			t.Error(err)
		} else if path.Ext(m[1]) == ".png" && info.Size() > 150<<10 {
			t.Errorf("%s has %d bytes", m[1], info.Size())
		}
	}
	err := fs.WalkDir(templates.Guides(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && readGuides(t).Lookup(strings.TrimSuffix(path.Base(name), ".md")) == nil {
			t.Errorf("%s is in no index", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// TestGuideConfigurationsLoad loads the configuration blocks of the guides, each with what every
// installation has. The files that they name are in the folder of the test.
func TestGuideConfigurationsLoad(t *testing.T) {
	t.Parallel()
	blocks := 0
	for _, d := range readDocuments(t) {
		for _, m := range yamlBlock.FindAllStringSubmatch(d.text, -1) {
			blocks++
			dir := t.TempDir()
			text := strings.ReplaceAll(m[1], "/etc/vernal/", dir+"/")
			files := map[string]string{"logo.svg": `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><path d="M0 0h8v8z"/></svg>`}
			for _, name := range regexp.MustCompile(regexp.QuoteMeta(dir)+`/(\S+)`).FindAllStringSubmatch(text, -1) {
				files[name[1]] = "plum-jam-on-nine-windows\n"
			}
			for _, line := range []string{"base_url: https://login.agency.example\n", "trusted_proxies: [127.0.0.1]\n"} {
				if key, _, _ := strings.Cut(line, ":"); !strings.Contains("\n"+text, "\n"+key+":") {
					text = line + text
				}
			}
			files["vernal.yaml"] = text
			for name, content := range files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := config.Load(filepath.Join(dir, "vernal.yaml"), getNoEnv); err != nil {
				t.Errorf("%s: %v\n%s", d.name, err, m[1])
			}
		}
	}
	if blocks < 5 {
		t.Errorf("found %d blocks, want more", blocks)
	}
}
