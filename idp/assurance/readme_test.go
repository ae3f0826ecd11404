package assurance

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the attribute table of the README")

const (
	readmeFile  = "../../README.md"
	readmeBegin = "<!-- Made from idp/assurance/table.go by: go test ./idp/assurance -run Readme -update -->\n"
	readmeEnd   = "<!-- end of the attributes -->\n"
)

func TestReadmeTableMatchesAttributes(t *testing.T) {
	b, err := os.ReadFile(readmeFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begun := strings.Cut(string(b), readmeBegin)
	got, after, ended := strings.Cut(rest, readmeEnd)
	if !begun || !ended {
		t.Fatal("the README has no place for the attributes")
	}
	var want strings.Builder
	want.WriteString("| attribute | NameFormat | released when | value |\n| --- | --- | --- | --- |\n")
	for _, r := range Table() {
		want.WriteString("| `" + r.Name + "` | " + r.Format() + " | " + r.When() + " | " + r.Text() + " |\n")
	}
	if *update {
		if err := os.WriteFile(readmeFile, []byte(before+readmeBegin+want.String()+readmeEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want.String(), got); diff != "" {
		t.Errorf("run go test ./idp/assurance -run Readme -update (-want +got):\n%s", diff)
	}
}
