package assurance

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"vernal/idp"
)

func TestUnknownClassRefsAreBounded(t *testing.T) {
	t.Parallel()
	refs := []string{ial1}
	for range 100 {
		refs = append(refs, strings.Repeat("é", 5000))
	}
	r, err := Resolve(ContextRequest{Comparison: "", ClassRefs: refs}, sp(idp.IALAuthOnly))
	if err != nil || len(r.UnknownClassRefs) != 20 || len(r.UnknownClassRefs[19]) > 210 {
		t.Errorf("%d unknown values noted, %v", len(r.UnknownClassRefs), err)
	}
}

// The list in a request is stored until the sign-in is over, and anyone can send a request, so
// its total size is limited.
func TestCheckLength(t *testing.T) {
	t.Parallel()
	half := strings.Repeat("x", 4<<10)
	if err := (ContextRequest{ClassRefs: []string{half, half}}).CheckLength(); err != nil {
		t.Errorf("8 KiB are refused: %v", err)
	}
	err := ContextRequest{ClassRefs: []string{half, half, "x"}}.CheckLength()
	if refusal, ok := errors.AsType[*idp.Refusal](err); !ok || refusal.Code != idp.RefusedRequestTooLarge {
		t.Errorf("a byte more: %v", err)
	}
}

// A refusal of unknown values names the known ones, and each of them makes a request valid
// alone.
func TestUnknownContextNamesTheKnown(t *testing.T) {
	t.Parallel()
	all := &idp.ServiceProvider{IAL: idp.IALFacialMatch, AllowIALMax: true}
	_, err := Resolve(ContextRequest{ClassRefs: []string{"https://refeds.org/profile/mfa"}}, all)
	var why *idp.Refusal
	if !errors.As(err, &why) || why.Code != idp.RefusedAuthnContext || len(why.Args) != 1 {
		t.Fatalf("%+v", err)
	}
	named := strings.Split(why.Args[0], ", ")
	if !slices.Equal(named, ListClassRefs()) || len(named) < 10 {
		t.Errorf("named %v", named)
	}
	for _, ref := range named {
		if _, err := Resolve(ContextRequest{ClassRefs: []string{ref}}, all); err != nil {
			t.Errorf("%s is named and refused: %v", ref, err)
		}
	}
}
