package templates

import (
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

func TestStaticPrefixFollowsContent(t *testing.T) {
	t.Parallel()
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	variants := []fstest.MapFS{
		{"a.css": file("one")},
		{"a.css": file("two")},
		{"b.css": file("one")},
		{"a.css": file("one"), "b.css": file("")},
		{},
	}
	seen := make(map[string]bool)
	for _, v := range variants {
		prefix, err := staticPrefix(v)
		if err != nil || !regexp.MustCompile(`^/static/[0-9a-f]{16}/$`).MatchString(prefix) {
			t.Errorf("prefix %q, %v", prefix, err)
		}
		seen[prefix] = true
	}
	if len(seen) != len(variants) {
		t.Errorf("%d prefixes for %d contents", len(seen), len(variants))
	}
}

// TestStaticFilesExistAndAreLicensed checks that files referred to by pages and stylesheets
// exist, that files are small, and that third-party files come with their licence.
func TestStaticFilesExistAndAreLicensed(t *testing.T) {
	t.Parallel()
	files := Static()
	size := 0
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(files, name)
		size += len(b)
		for _, m := range regexp.MustCompile(`url\(([^)]+)\)`).FindAllStringSubmatch(string(b), -1) {
			if path.Ext(name) == ".css" && m[1] != "" {
				if _, err := fs.Stat(files, path.Join(path.Dir(name), m[1])); err != nil {
					t.Errorf("%s refers to %s: %v", name, m[1], err)
				}
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if size > 200<<10 {
		t.Errorf("%d bytes of static files", size)
	}
	for _, name := range []string{"NOTICE.txt", "css/LICENSE-USWDS.md", "fonts/LICENSE-PublicSans.txt"} {
		if _, err := fs.Stat(files, name); err != nil {
			t.Error(err)
		}
	}
	for _, m := range regexp.MustCompile(`static "([^"]+)"`).FindAllStringSubmatch(allPages(t), -1) {
		if _, err := fs.Stat(files, m[1]); err != nil {
			t.Errorf("a page refers to %s: %v", m[1], err)
		}
	}
}

// TestEveryClassHasRule checks that each class of our pages has a rule, and each of our own
// rules a page, so that the stylesheets are regenerated when pages change.
func TestEveryClassHasRule(t *testing.T) {
	t.Parallel()
	css := make(map[string]string)
	for _, name := range []string{"uswds", "vernal"} {
		b, err := fs.ReadFile(Static(), "css/"+name+".css")
		if err != nil {
			t.Fatal(err)
		}
		css[name] = string(b)
	}
	pages := allPages(t)
	has := func(css, class string) bool {
		return regexp.MustCompile(`\.` + class + `[^\w-]`).MatchString(css)
	}
	for _, class := range regexp.MustCompile(`\b(usa|vernal)-[a-z_-]+`).FindAllString(pages, -1) {
		if !has(css["uswds"], class) && !has(css["vernal"], class) {
			t.Errorf("class %s has no rule: see gen_css.go", class)
		}
	}
	for _, m := range regexp.MustCompile(`\.(vernal-[a-z-]+)`).FindAllStringSubmatch(css["vernal"], -1) {
		if !strings.Contains(pages, m[1]) {
			t.Errorf("class %s has a rule and no page", m[1])
		}
	}
}

// TestStylesKeepOrder checks that the visible order is the order in which the Tab key and a
// screen reader reach the content (WCAG 2.4.3).
func TestStylesKeepOrder(t *testing.T) {
	t.Parallel()
	b, err := fs.ReadFile(Static(), "css/vernal.css")
	if err != nil {
		t.Fatal(err)
	}
	if m := regexp.MustCompile(`[\s;{](order:|flex-direction: (row|column)-reverse)[^;]*`).Find(b); m != nil {
		t.Errorf("the stylesheet changes the order: %s", m)
	}
}

// allPages returns the source of every page.
func allPages(t *testing.T) string {
	t.Helper()
	files, err := fs.Glob(embedded, "pages/*")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		b, err := fs.ReadFile(embedded, file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}
