package user

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// readAll returns the email addresses of a file with their lines, and "!" for a line with a problem.
func readAll(t *testing.T, file string) (list []string, err error) {
	t.Helper()
	next, err := readAddresses(strings.NewReader(file))
	for err == nil {
		var a address
		if a, err = next(); err != nil {
			break
		}
		text := fmt.Sprintf("%d %s", a.Line, a.Email)
		if a.problem != "" {
			text = fmt.Sprintf("%d !", a.Line)
		}
		list = append(list, text)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return list, err
}

func TestReadAddresses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		file string
		want []string
	}{
		"empty":             {"", nil},
		"comments":          {"# none\n\n", nil},
		"lines":             {"a@b.example\r\n\n # x\n c@d.example ", []string{"1 a@b.example", "4 c@d.example"}},
		"byte order mark":   {"\ufeffa@b.example\n", []string{"1 a@b.example"}},
		"comment first":     {"# staff\na@b.example\nnothing\n", []string{"2 a@b.example", "3 nothing"}},
		"columns":           {"role,email\nx,a@b.example\nx,\nx,c@d.example\n", []string{"2 a@b.example", "3 !", "4 c@d.example"}},
		"several emails":    {"emails\na@b.example c@d.example\n", []string{"2 a@b.example"}},
		"twice in columns":  {"email,role\na@b.example,x\na@b.example,x\na@b.example,y\n", []string{"2 a@b.example", "4 !"}},
		"JSON lines":        {`{"email":"a@b.example"}` + "\n" + `{"emails":[{"address":"c@d.example"}]}`, []string{"1 a@b.example", "2 c@d.example"}},
		"JSON array":        {`[{"email":"a@b.example"}]`, []string{"1 a@b.example"}},
		"deleted in export": {`{"deleted":true,"name_ids":{"A":"x"}}`, []string{"1 !"}},
	} {
		got, err := readAll(t, tt.file)
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, %v, want %q", name, got, err, tt.want)
		}
	}
	for name, file := range map[string]string{
		"long line":       "a@b.example\n" + strings.Repeat("x", maxLine+1),
		"unknown columns": "name,phone\nx,1\n",
		"broken JSON":     `[{"email":`,
	} {
		if got, err := readAll(t, file); err == nil {
			t.Errorf("%s: %q without an error", name, got)
		}
	}
}
