package assurance_test

import (
	"strings"
	"testing"

	"vernal/idp/assurance"
)

func TestNearestSuggestsKnownContext(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, ref, want string
	}{
		{"a letter left out", "urn:acr.login.gov:verfied", "urn:acr.login.gov:verified"},
		{"another case", "HTTP://idmanagement.gov/ns/assurance/AAL/2", "http://idmanagement.gov/ns/assurance/aal/2"},
		{"https", "https://idmanagement.gov/ns/assurance/ial/2", "http://idmanagement.gov/ns/assurance/ial/2"},
		{"a slash more", "http://idmanagement.gov/ns/assurance/aal/3/", "http://idmanagement.gov/ns/assurance/aal/3"},
		{"like several", "http://idmanagement.gov/ns/assurance/ial/7", "http://idmanagement.gov/ns/assurance/ial/0"},
		{"like none", "urn:of:tomorrow", ""},
		{"empty", "", ""},
		{"too long", strings.Repeat("u", 300), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 20 { // the same result every time among several
				if got := assurance.FindNearest(tt.ref); got != tt.want {
					t.Errorf("%q is like %q, want %q", tt.ref, got, tt.want)
				}
			}
		})
	}
	for name, want := range map[string]string{"zip_code": "zipcode", "address": "address1", "first": "", "": ""} {
		if got := assurance.FindNearestAttribute(name); got != want {
			t.Errorf("%q is like %q, want %q", name, got, want)
		}
	}
}
