package sp_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/sp"
)

type values = map[string][]string

func TestEditSetsAndRemovesValues(t *testing.T) {
	t.Parallel()
	const a, b, c = "https://sp.example.gov/a", "https://sp.example.gov/b", "https://sp.example.gov/c"
	tests := []struct {
		name   string
		before idp.ServiceProvider
		edit   sp.Edit
		want   idp.ServiceProvider
		err    string
	}{
		{
			name:   "text, boolean and list",
			before: idp.ServiceProvider{Name: "old", Attributes: []string{"email"}},
			edit:   sp.Edit{Set: values{"name": {"new"}, "sign_response": {"true"}, "attributes": {"email", "phone"}}},
			want:   idp.ServiceProvider{Name: "new", SignResponse: true, Attributes: []string{"email", "phone"}},
		},
		{
			name:   "remove before add",
			before: idp.ServiceProvider{ACSURLs: []string{a}},
			edit:   sp.Edit{Set: values{"acs_urls": {b, a}}, Remove: values{"acs_urls": {a}}},
			want:   idp.ServiceProvider{ACSURLs: []string{b, a}},
		},
		{
			name:   "indexes stay with their addresses",
			before: idp.ServiceProvider{ACSURLs: []string{a, b, c}},
			edit:   sp.Edit{Remove: values{"acs_urls": {a}}},
			want:   idp.ServiceProvider{ACSURLs: []string{b, c}, ACSIndexes: []int{1, 2}},
		},
		{
			name:   "a new address gets the next index",
			before: idp.ServiceProvider{ACSURLs: []string{a, b}, ACSIndexes: []int{3, 7}},
			edit:   sp.Edit{Set: values{"acs_urls": {c}}},
			want:   idp.ServiceProvider{ACSURLs: []string{a, b, c}, ACSIndexes: []int{3, 7, 8}},
		},
		{
			name:   "an index of its own",
			before: idp.ServiceProvider{ACSURLs: []string{a}},
			edit:   sp.Edit{Set: values{"acs_urls": {b, a}, "acs_indexes": {"5", "2"}}},
			want:   idp.ServiceProvider{ACSURLs: []string{a, b}, ACSIndexes: []int{2, 5}},
		},
		{
			name: "indexes that do not fit",
			edit: sp.Edit{Set: values{"acs_urls": {a}, "acs_indexes": {"1", "2"}}},
			err:  "acs_indexes: has 2 values for 1 URLs",
		},
		{
			name: "index without an address",
			edit: sp.Edit{Set: values{"acs_indexes": {"1"}}},
			err:  "acs_indexes: needs a URL",
		},
		{
			name:   "empty a value",
			before: idp.ServiceProvider{LogoutURL: a, Agency: "X"},
			edit:   sp.Edit{Remove: values{"logout_url": {"true"}, "agency": nil}},
		},
		{
			name:   "help texts",
			before: idp.ServiceProvider{HelpText: map[string]string{"en": "old", "fr": "vieux"}},
			edit:   sp.Edit{Set: values{"help_text": {"en=a=b"}}, Remove: values{"help_text": {"fr"}}},
			want:   idp.ServiceProvider{HelpText: map[string]string{"en": "a=b"}},
		},
		{name: "unknown field", edit: sp.Edit{Set: values{"colour": {"red"}}}, err: "colour: is not a field"},
		{name: "entity ID", edit: sp.Edit{Set: values{"entity_id": {"x"}}}, err: "entity_id: is not a field"},
		{name: "name ID scope", edit: sp.Edit{Set: values{"name_id_scope": {"agency:X"}}}, err: "name_id_scope: is not a field"},
		{name: "name cannot go", edit: sp.Edit{Remove: values{"name": nil}}, err: "name: cannot be empty"},
		{name: "boolean", edit: sp.Edit{Set: values{"active": {"maybe"}}}, err: `active "maybe": is not true or false`},
		{name: "two names", edit: sp.Edit{Set: values{"name": {"a", "b"}}}, err: "name: takes one value"},
		{name: "nothing to remove", edit: sp.Edit{Remove: values{"attributes": {"ssn"}}}, err: `attributes "ssn": is not registered`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := tt.before
			err := tt.edit.Apply(&got)
			if tt.err != "" {
				var invalid *sp.InvalidError
				if !errors.As(err, &invalid) || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(got.HelpText) == 0 {
				got.HelpText = nil
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestEditReplacesCertificates(t *testing.T) {
	t.Parallel()
	old, fresh := newCert(t, rsaKey(), "old", testTime), newCert(t, rsaKey(), "new", testTime.AddDate(1, 0, 0))
	tests := []struct {
		name string
		edit sp.Edit
		want []string
		err  string
	}{
		{"add", sp.Edit{Set: values{"certs": {certs.EncodePEM(fresh)}}}, []string{certs.EncodePEM(old), certs.EncodePEM(fresh)}, ""},
		{"add the same", sp.Edit{Set: values{"certs": {certs.EncodePEM(old)}}}, []string{certs.EncodePEM(old)}, ""},
		{"exchange by PEM", sp.Edit{Set: values{"certs": {certs.EncodePEM(fresh)}}, Remove: values{"certs": {certs.EncodePEM(old)}}}, []string{certs.EncodePEM(fresh)}, ""},
		{"remove by fingerprint", sp.Edit{Remove: values{"certs": {strings.ToUpper(certs.CertSHA256(old)[:8])}}}, []string{}, ""},
		{"fingerprint too short", sp.Edit{Remove: values{"certs": {certs.CertSHA256(old)[:7]}}}, nil, "is not the fingerprint"},
		{"not there", sp.Edit{Remove: values{"certs": {certs.EncodePEM(fresh)}}}, nil, "is not the fingerprint"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := &idp.ServiceProvider{Certs: []string{certs.EncodePEM(old)}}
			err := tt.edit.Apply(p)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want %q", err, tt.err)
				}
				return
			}
			if diff := cmp.Diff(tt.want, p.Certs); err != nil || diff != "" {
				t.Errorf("%v (-want +got)\n%s", err, diff)
			}
		})
	}
}
