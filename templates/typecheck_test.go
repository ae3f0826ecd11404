package templates

import (
	"fmt"
	"io/fs"
	"path"
	"reflect"
	"strings"
	"testing"
	"text/template"
	"text/template/parse"
)

// pageTypes says which struct each file of pages/ is rendered with.
var pageTypes = map[string]any{
	"signin.html": SignInPage{}, "code.html": CodePage{}, "account.html": AccountPage{},
	"signedout.html": SignedOutPage{}, "confirm.html": ConfirmPage{}, "logout.html": LogoutPage{}, "response.html": responseData{},
	"preview.html": PreviewPage{}, "error.html": ErrorPage{}, "error.txt": ErrorPage{}, "refusal.html": RefusalPage{}, "refusal.txt": RefusalPage{}, "lack.html": LackPage{}, "attributes.html": AttributesPage{},
	"demohome.html": DemoHomePage{}, "demosignedin.html": DemoSignedInPage{}, "demoerror.html": DemoErrorPage{}, "demomail.txt": DemoMailPage{},
	"stay.html": StayPage{}, "sessionended.html": SessionEndedPage{},
	"guide.html": GuidePage{}, "guides.html": GuidesPage{},
	"consent.html": ConsentPage{},
	"board.html":   BoardPage{}, "wall.html": WallPage{},
	"retired.html": RetiredPage{}, "retired.txt": RetiredPage{}, "notfound.html": NotFoundPage{}, "notfound.txt": NotFoundPage{},
	"noyear.html": NoYearPage{}, "noyear.txt": NoYearPage{},
}

// TestTemplatesMatchTheirStructs checks each page against its struct, on every branch:
// a template finds out that a field is missing only when it gets there.
func TestTemplatesMatchTheirStructs(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(embedded, "pages/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		base := path.Base(file)
		if base == "layout.html" || base == "parts.html" {
			continue
		}
		t.Run(base, func(t *testing.T) {
			t.Parallel()
			data, ok := pageTypes[base]
			if !ok {
				t.Fatal("no struct for this page")
			}
			if p, isPage := data.(Page); isPage && base != "response.html" && pageFileName(p) != strings.TrimSuffix(base, path.Ext(base)) {
				t.Errorf("%T is written with the file %s", data, pageFileName(p))
			}
			for _, problem := range typeProblems(t, file, data) {
				t.Error(problem)
			}
		})
	}
}

func typeProblems(t *testing.T, file string, data any) []string {
	t.Helper()
	set := template.New(path.Base(file)).Funcs(pageFuncs(fallback, nil, ""))
	names := []string{file}
	root := path.Base(file)
	if path.Ext(file) == ".html" {
		names, root = append([]string{"pages/layout.html", "pages/parts.html"}, file), "layout"
	}
	if _, err := set.ParseFS(embedded, names...); err != nil {
		t.Fatal(err)
	}
	c := &typeChecker{set: set, done: make(map[string]bool)}
	c.template(root, reflect.TypeOf(data))
	return c.problems
}

// typeChecker walks a template with the type of its dot. It does not follow variables, because
// ours hold strings.
type typeChecker struct {
	set      *template.Template
	done     map[string]bool
	problems []string
}

func (c *typeChecker) template(name string, dot reflect.Type) {
	if at := fmt.Sprint(name, dot); !c.done[at] {
		c.done[at] = true
		c.walk(c.set.Lookup(name).Root, dot, dot)
	}
}

func (c *typeChecker) walk(n parse.Node, dot, root reflect.Type) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, n := range n.Nodes {
				c.walk(n, dot, root)
			}
		}
	case *parse.ActionNode:
		c.pipe(n.Pipe, dot, root)
	case *parse.IfNode:
		c.pipe(n.Pipe, dot, root)
		c.walk(n.List, dot, root)
		c.walk(n.ElseList, dot, root)
	case *parse.WithNode:
		c.walk(n.List, c.pipe(n.Pipe, dot, root), root)
		c.walk(n.ElseList, dot, root)
	case *parse.RangeNode:
		c.walk(n.List, c.pipe(n.Pipe, dot, root).Elem(), root)
		c.walk(n.ElseList, dot, root)
	case *parse.TemplateNode:
		c.template(n.Name, c.pipe(n.Pipe, dot, root))
	}
}

// pipe returns the type of a pipeline: known for a single field, else any.
func (c *typeChecker) pipe(p *parse.PipeNode, dot, root reflect.Type) reflect.Type {
	last := reflect.TypeFor[any]()
	for _, cmd := range p.Cmds {
		for _, arg := range cmd.Args {
			switch arg := arg.(type) {
			case *parse.FieldNode:
				last = c.chain(arg.String(), arg.Ident, dot)
			case *parse.VariableNode:
				if arg.Ident[0] == "$" {
					last = c.chain(arg.String(), arg.Ident[1:], root)
				}
			case *parse.DotNode:
				last = dot
			case *parse.PipeNode:
				c.pipe(arg, dot, root)
			}
		}
	}
	if len(p.Cmds) == 1 && len(p.Cmds[0].Args) == 1 {
		return last
	}
	return reflect.TypeFor[any]()
}

// chain follows .A.B from a type.
func (c *typeChecker) chain(what string, names []string, from reflect.Type) reflect.Type {
	for _, name := range names {
		if m, ok := from.MethodByName(name); ok {
			from = m.Type.Out(0)
			continue
		}
		if from.Kind() == reflect.Pointer {
			from = from.Elem()
		}
		if from.Kind() != reflect.Struct {
			c.problems = append(c.problems, fmt.Sprintf("%s: %s has no fields", what, from))
			return reflect.TypeFor[any]()
		}
		f, ok := from.FieldByName(name)
		if !ok {
			c.problems = append(c.problems, fmt.Sprintf("%s: %s has no %s", what, from, name))
			return reflect.TypeFor[any]()
		}
		from = f.Type
	}
	return from
}

func TestTypeCheckFindsMissingFields(t *testing.T) {
	t.Parallel()
	got := strings.Join(typeProblems(t, "pages/refusal.html", AccountPage{}), "\n")
	for _, want := range []string{".Refusal: templates.AccountPage has no Refusal", ".StartURL", "ErrorID"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
}
