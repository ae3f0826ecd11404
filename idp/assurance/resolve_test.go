package assurance

import (
	"errors"
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

// What a request lists is kept while somebody signs in, and anybody can send
// one: it is bounded as a whole.
func TestCheckLength(t *testing.T) {
	t.Parallel()
	half := strings.Repeat("x", 4<<10)
	if err := (Ask{ClassRefs: []string{half, half}}).CheckLength(); err != nil {
		t.Errorf("8 KiB are refused: %v", err)
	}
	err := Ask{ClassRefs: []string{half, half, "x"}}.CheckLength()
	if refusal, ok := errors.AsType[*idp.Refusal](err); !ok || refusal.Code != idp.RefusedRequestTooLarge {
		t.Errorf("a byte more: %v", err)
	}
}
