package idp_test

import (
	"go/parser"
	"go/token"
	goversion "go/version"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

// layers is the order of imports. A package may import packages of the layers above its own,
// and packages within a layer do not import each other. Read from the bottom, the list follows
// the path of a request.
var layers = []struct {
	name     string
	packages []string
}{
	{"vocabulary and small tools", []string{"idp", "idp/smtptest", "idp/durable", "idp/gate", "idp/suggest", "idp/shellquote", "idp/secretfile", "idp/budget", "idp/filetext", "idp/blocklist", "idp/idptest/binary"}},
	{"calls to other servers", []string{"idp/outbound"}},
	{"the browser for tests", []string{"idp/idptest/chromium"}},
	{"rules of the rotation", []string{"idp/rotation"}},
	{"texts and pages", []string{"templates"}},
	{"certificates of partners", []string{"idp/partnercert"}},
	{"keys and parsers", []string{"idp/seal", "idp/xmltree", "certs"}},
	{"our keys by year", []string{"idp/keyring"}},
	{"the audit trail", []string{"idp/audit"}},
	{"XML signatures", []string{"idp/xmldsig"}},
	{"XML encryption, and logos", []string{"idp/xmlenc", "idp/logo"}},
	{"SAML messages", []string{"idp/saml"}},
	{"assurance and consent", []string{"idp/assurance", "idp/consent", "idp/idptest/corpus"}},
	{"state: what is kept, and who writes it", []string{"metadata", "idp/account", "idp/session", "idp/rotator", "certs/token", "idp/rekey", "idp/sharelink", "idp/maillink", "idp/backup", "idp/store/storetest", "idp/store/bolt"}},
	{"service providers", []string{"idp/sp"}},
	{"their messages, and ledgers of what they did", []string{"idp/logoutscope", "idp/inbound", "idp/usage"}},
	{"reports and signatures", []string{"idp/migration", "idp/rehearsal", "idp/inspect", "idp/signing"}},
	{"notices", []string{"idp/notify"}},
	{"mails to users", []string{"idp/usermail"}},
	{"the end of a restore", []string{"idp/restore", "idp/accountjobs"}},
	{"the services of an installation", []string{"idp/installation"}},
	{"installations for tests", []string{"idp/idptest/fixture"}},
	{"web", []string{"idp/web"}},
	{"access to years", []string{"idp/yearaccess"}},
	{"checks of the installation", []string{"idp/doctor"}},
	{"common parts of the pages for users", []string{"idp/journey"}},
	{"handlers, which meet only through a stored request", []string{"idp/authn", "idp/accounthttp", "idp/signup", "idp/recovery", "idp/sso", "idp/logout", "idp/discovery", "idp/adminhttp", "idp/developers", "idp/guide"}},
	{"wiring", []string{"idp/server", "idp/admin"}},
	{"operations of the commands", []string{"idp/admin/ops"}},
	{"test harness and demo", []string{"idp/idptest", "idp/idptest/walk", "cmd/vernal/demo"}},
	{"what commands share", []string{"cmd/vernal/cli"}},
	{"commands by noun", []string{"cmd/vernal/audit", "cmd/vernal/backup", "cmd/vernal/deploy", "cmd/vernal/doctor", "cmd/vernal/inspect", "cmd/vernal/metadata", "cmd/vernal/rotation", "cmd/vernal/session", "cmd/vernal/sp", "cmd/vernal/user"}},
	{"the configuration", []string{"cmd/vernal/config"}},
	{"the program", []string{"cmd/vernal"}},
}

// only lists the packages that may import a library, or one of our packages that all others
// reach through their own interface.
var only = map[string][]string{
	"github.com/russellhaering/goxmldsig":            {"idp/xmldsig", "idp/rehearsal", "idp/idptest"}, // those two for the type of crewjam/saml's clock
	"go.etcd.io/bbolt":                               {"idp/store/bolt"},
	"github.com/gorilla/mux":                         {"idp/web", "idp/server"},
	"github.com/prometheus/client_golang/prometheus": {"idp/adminhttp"},
	"github.com/ThalesGroup/crypto11":                {"certs/token"},
	"github.com/miekg/pkcs11":                        {"certs/token"},
	"github.com/emersion/go-smtp":                    {"idp/smtptest"},
	"github.com/crewjam/saml/samlsp":                 {"cmd/vernal/demo"},
	"filippo.io/age":                                 {"idp/backup"},
	"vernal/idp/smtptest":                            {"cmd/vernal/demo", "idp/idptest"},
	"vernal/idp/store/bolt":                          {"cmd/vernal", "idp/idptest/fixture"},
	"github.com/yuin/goldmark":                       {"idp/guide"},
	"vernal/idp/usage":                               {"idp/migration", "idp/installation"},
	"vernal/idp/migration":                           {"idp/notify", "idp/adminhttp", "idp/installation", "idp/admin/ops", "cmd/vernal/rotation"},
}

func TestImportsPointOneWay(t *testing.T) {
	t.Parallel()
	rank := map[string]int{}
	layerOf := map[string]string{}
	for i, layer := range layers {
		for _, p := range layer.packages {
			rank["vernal/"+p], layerOf["vernal/"+p] = i+1, layer.name
		}
	}
	for file, imports := range importsOf(t, "..") {
		pkg := "vernal/" + path.Dir(file)
		for _, imp := range imports {
			if allowed, ok := only[imp]; ok && !slices.Contains(allowed, strings.TrimPrefix(pkg, "vernal/")) {
				t.Errorf("%s imports %s; only %v may", file, imp, allowed)
			}
			if !strings.HasPrefix(imp, "vernal/") {
				continue
			}
			if rank[pkg] == 0 {
				t.Errorf("%s: package %s has no layer; give it one in this test", file, pkg)
			}
			if rank[imp] >= rank[pkg] {
				t.Errorf("%s (%s) imports %s (%s), which is not above it", file, layerOf[pkg], imp, layerOf[imp])
			}
		}
	}
}

// importsOf reads the imports of every Go file under root except tests.
func importsOf(t *testing.T, root string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != root && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		found[rel] = nil
		for _, i := range f.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			found[rel] = append(found[rel], p)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 20 {
		t.Fatalf("found %d Go files only: the test looks in the wrong place", len(found))
	}
	return found
}

// Every direct dependency is named in the README with its reason.
func TestDependenciesAreExplained(t *testing.T) {
	t.Parallel()
	gomod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	f, err := modfile.Parse("go.mod", gomod, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range f.Require {
		if !r.Indirect && !strings.Contains(string(readme), "`"+r.Mod.Path+"`") {
			t.Errorf("the README does not say why we depend on %s", r.Mod.Path)
		}
	}
}

// leastGo is the first Go release that fixes CVE-2026-56859: encoding/xml, which some of our
// dependencies use, followed nested elements without a bound.
const leastGo = "go1.26.6"

var readmeGo = regexp.MustCompile(`You need Go (1\.[0-9]+(?:\.[0-9]+)?) or newer`)

// go.mod and the README name the same Go version, and it contains the security fix.
func TestGoVersionHasOneFloor(t *testing.T) {
	t.Parallel()
	gomod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	f, err := modfile.Parse("go.mod", gomod, nil)
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	m := readmeGo.FindSubmatch(readme)
	if m == nil {
		t.Fatalf("the README does not match %s", readmeGo)
	}
	if string(m[1]) != f.Go.Version {
		t.Errorf("the README says Go %s, go.mod says %s", m[1], f.Go.Version)
	}
	if goversion.Compare("go"+f.Go.Version, leastGo) < 0 {
		t.Errorf("go.mod says go %s, want %s or newer", f.Go.Version, leastGo)
	}
}
