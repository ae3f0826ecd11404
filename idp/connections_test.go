package idp_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// connectors are the names that connect to other servers.
var connectors = map[string][]string{
	"net/http":   {"Client", "Transport", "DefaultClient", "DefaultTransport", "Get", "Head", "Post", "PostForm", "ProxyFromEnvironment"},
	"net":        {"Dial", "DialTimeout", "DialTCP", "DialUDP", "DialIP", "DialUnix", "Dialer"},
	"crypto/tls": {"Dial", "DialWithDialer", "Dialer"},
	"net/smtp":   {"Dial", "SendMail"},
	"net/rpc":    {"Dial", "DialHTTP", "DialHTTPPath"},
}

// connecting lists the packages and files that connect without idp/outbound, with the reason.
var connecting = map[string]string{
	"idp/outbound":          "it is the client",
	"idp/admin":             "the admin socket is a file",
	"idp/notify/mail.go":    "mail speaks SMTP, to the server in the configuration",
	"idp/rehearsal/walk.go": "it acts as a user's browser at base_url: with the proxy of the environment, cookies, and --connect",
	"idp/idptest":           "tests only",
	"idp/idptest/binary":    "tests only",
}

// Only idp/outbound bounds calls and checks where they go, so nothing else makes any.
func TestCallsGoThroughOutbound(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != ".." && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		file := strings.TrimPrefix(filepath.ToSlash(name), "../")
		pkg := path.Dir(file)
		for _, use := range listConnectors(t, name) {
			used[pkg], used[file] = true, true
			if connecting[pkg] == "" && connecting[file] == "" {
				t.Errorf("%s connects to other servers; use idp/outbound", use)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for place := range connecting {
		if !used[place] {
			t.Errorf("%s makes no connections: remove it from the list", place)
		}
	}
}

// listConnectors returns the places of a file that name a connector.
func listConnectors(t *testing.T, name string) (uses []string) {
	t.Helper()
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string][]string{}
	for _, i := range f.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		local := path.Base(p)
		if i.Name != nil {
			local = i.Name.Name
		}
		if list, ok := connectors[p]; ok {
			names[local] = list
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := s.X.(*ast.Ident); ok && slices.Contains(names[x.Name], s.Sel.Name) {
			uses = append(uses, set.Position(s.Pos()).String()+": "+x.Name+"."+s.Sel.Name)
		}
		return true
	})
	return uses
}
