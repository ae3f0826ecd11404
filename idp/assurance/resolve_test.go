package assurance

import (
	"strings"
	"testing"

	"vernal/idp"
)

func TestUnknownIsBounded(t *testing.T) {
	t.Parallel()
	refs := []string{ial1}
	for range 100 {
		refs = append(refs, strings.Repeat("é", 5000))
	}
	r, err := Resolve(Ask{Comparison: "", ClassRefs: refs}, sp(idp.IALAuthOnly))
	if err != nil || len(r.Unknown) != 20 || len(r.Unknown[19]) > 210 {
		t.Errorf("%d unknown values noted, %v", len(r.Unknown), err)
	}
}
