package backup

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/backup"
	"vernal/idp/rotation"
)

// TestCheckSaysWhichYearsCanSign checks the result for each place of a key: a token is not there,
// and a year that is over needs no key.
func TestCheckSaysWhichYearsCanSign(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	a := s.command(t.TempDir())
	in, r, err := a.openBackup(s.file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	files, err := extractTo(t.Context(), filepath.Join(t.TempDir(), "backup"), r)
	if err != nil {
		t.Fatal(err)
	}
	files.manifest.Years = []backup.Year{
		{Year: "2031", State: rotation.Preferred, Key: backup.KeyInFile},
		{Year: "2032", State: rotation.Published, Key: backup.KeyInFile}, // its file is missing
		{Year: "2033", State: rotation.Published, Key: backup.KeyInToken},
		{Year: "2034", State: rotation.Published, Key: backup.NoKey},
		{Year: "2030", State: rotation.Revoked, Key: backup.NoKey},
	}
	got := map[idp.Year]string{}
	for _, y := range checkYears(files, s.Master) {
		got[y.Year] = y.Result
	}
	want := map[idp.Year]string{"2031": yearOK, "2032": yearFailed, "2033": yearNotChecked, "2034": yearFailed}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
