package assurance

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vernal/idp"
)

func TestRecognizedDropsUnknownClassRefs(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		refs, want []string
	}{
		{"nothing", nil, nil},
		{"known ones in their order", []string{ns + "ial/1", " " + ns + "aal/2\n"}, []string{ns + "ial/1", ns + "aal/2"}},
		{"unknown ones", []string{"urn:x:" + strings.Repeat("y", 4000), ns + "ial/1", ""}, []string{ns + "ial/1"}},
		{"attributes", []string{req + "email,none,EMAIL%2Cphone", ns + "ial/1", req + "all_emails"}, []string{ns + "ial/1", req + "email,phone,all_emails"}},
		{"a list of nothing stays a list", []string{req}, []string{req}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, SelectRecognized(tt.refs)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// The decision about an accepted request does not depend on what Recognized omits.
func TestRecognizedDecidesTheSame(t *testing.T) {
	t.Parallel()
	refs := []string{"urn:x", ns + "aal/xyz", req, req + "email,none", req + "first_name%2Cx", req + "ascii,phone"}
	for u := range contexts {
		refs = append(refs, u)
	}
	slices.Sort(refs)
	rapid.Check(t, func(t *rapid.T) {
		p := sp(rapid.SampledFrom([]string{idp.IALAuthOnly, idp.IALVerified, idp.IALFacialMatch}).Draw(t, "ial"))
		p.AllowIALMax = rapid.Bool().Draw(t, "ialmax")
		a := ContextRequest{
			Comparison: rapid.SampledFrom([]string{"", "exact", "minimum", "maximum", "better"}).Draw(t, "comparison"),
			ClassRefs:  rapid.SliceOfN(rapid.SampledFrom(refs), 0, 8).Draw(t, "refs"),
			IsUnsigned:   rapid.Bool().Draw(t, "unsigned"),
		}
		want, err := Resolve(a, p)
		if err != nil {
			return
		}
		a.ClassRefs = SelectRecognized(a.ClassRefs)
		got, err := Resolve(a, p)
		if err != nil {
			t.Fatalf("refused without them: %v", err)
		}
		want.DroppedAttributes, want.UnknownClassRefs, got.DroppedAttributes, got.UnknownClassRefs = nil, nil, nil, nil
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(Requirement{})); diff != "" {
			t.Fatalf("decided otherwise (-all +recognized):\n%s", diff)
		}
	})
}
