package sp_test

import (
	"errors"
	"strings"
	"testing"

	"vernal/idp"
	"vernal/idp/sp"
)

func TestChooseACS(t *testing.T) {
	t.Parallel()
	const a, b = "https://sp.example.gov/a", "https://sp.example.gov/b"
	tests := []struct {
		name    string
		indexes []int
		url     string
		hasURL  bool
		index   int
		hasIdx  bool
		compat  string
		sign    string
		want    string
		refused idp.RefusalCode
	}{
		{name: "default is the first", want: a},
		{name: "by address", url: b, hasURL: true, want: b},
		{name: "by position", index: 1, hasIdx: true, want: b},
		{name: "position 0", index: 0, hasIdx: true, want: a},
		{name: "by registered index", indexes: []int{4, 9}, index: 9, hasIdx: true, want: b},
		{name: "position does not count beside indexes", indexes: []int{4, 9}, index: 1, hasIdx: true, refused: idp.RefusedACSIndex},
		{name: "default with indexes is the first", indexes: []int{4, 0}, want: a},
		{name: "unknown address", url: "https://evil.example/a", hasURL: true, refused: idp.RefusedACSURL},
		{name: "empty address", hasURL: true, refused: idp.RefusedACSURL},
		{name: "other case", url: "https://SP.example.gov/a", hasURL: true, refused: idp.RefusedACSURL},
		{name: "slash at the end", url: a + "/", hasURL: true, refused: idp.RefusedACSURL},
		{name: "query at the end", url: a + "?x", hasURL: true, refused: idp.RefusedACSURL},
		{name: "prefix", url: a[:len(a)-1], hasURL: true, refused: idp.RefusedACSURL},
		{name: "index too high", index: 2, hasIdx: true, refused: idp.RefusedACSIndex},
		{name: "index below zero", index: -1, hasIdx: true, refused: idp.RefusedACSIndex},
		{name: "address and its index", url: a, hasURL: true, index: 0, hasIdx: true, want: a},
		{name: "address and another's index", url: a, hasURL: true, index: 1, hasIdx: true, want: a},
		{name: "address and an index of none", url: b, hasURL: true, index: 7, hasIdx: true, want: b},
		{name: "unknown address and a registered index", url: "https://evil.example/a", hasURL: true, index: 0, hasIdx: true, refused: idp.RefusedACSURL},
		{name: "Login.gov: unknown address", compat: idp.CompatLoginGov, url: "https://evil.example/a", hasURL: true, want: a},
		{name: "Login.gov: query at the end", compat: idp.CompatLoginGov, url: b + "?loa=1", hasURL: true, want: a},
		{name: "Login.gov: registered address", compat: idp.CompatLoginGov, url: b, hasURL: true, want: b},
		{name: "Login.gov: unknown address and a registered index", compat: idp.CompatLoginGov, url: "https://evil.example/a", hasURL: true, index: 1, hasIdx: true, want: a},
		{name: "Login.gov: unknown index", compat: idp.CompatLoginGov, index: 7, hasIdx: true, refused: idp.RefusedACSIndex},
		{name: "Login.gov, unsigned: unknown address", compat: idp.CompatLoginGov, sign: idp.SignRequestsOptional, url: "https://evil.example/a", hasURL: true, refused: idp.RefusedACSURL},
		{name: "another compat: unknown address", compat: "Login.gov", url: "https://evil.example/a", hasURL: true, refused: idp.RefusedACSURL},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, err := sp.Parse(&idp.ServiceProvider{EntityID: "sp", ACSURLs: []string{a, b}, ACSIndexes: tt.indexes, Compat: tt.compat, SignRequests: tt.sign})
			if err != nil {
				t.Fatal(err)
			}
			got, err := p.ChooseACS(tt.url, tt.hasURL, tt.index, tt.hasIdx)
			if tt.refused == "" {
				if err != nil || got != tt.want {
					t.Fatalf("got %q, %v; want %q", got, err, tt.want)
				}
				return
			}
			var refusal *idp.Refusal
			if !errors.As(err, &refusal) || refusal.Code != tt.refused || got != "" {
				t.Fatalf("got %q, %v; want a refusal %s", got, err, tt.refused)
			}
			for _, said := range append(refusal.Args, refusal.Seen) {
				if said != tt.url && (strings.Contains(said, a) || strings.Contains(said, b)) {
					t.Errorf("the refusal quotes a registered address: %q", said)
				}
			}
		})
	}
}

func TestFormActionListsRegisteredOrigins(t *testing.T) {
	t.Parallel()
	p, err := sp.Parse(&idp.ServiceProvider{
		EntityID:  "sp",
		ACSURLs:   []string{"https://SP.example.gov:8443/acs?x=1", "https://other.example.gov/acs"},
		LogoutURL: "https://out.example.gov/slo",
		RedirectURIs: []string{
			"https://app.example.gov/home", "https://app.example.gov/again", "https://sp.example.gov:8443/home",
			"https://evil.example;script-src/", "javascript:alert(1)",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, address, want string }{
		{"default ACS", "https://SP.example.gov:8443/acs?x=1", "https://sp.example.gov:8443 https://app.example.gov"},
		{"other ACS", "https://other.example.gov/acs", "https://other.example.gov https://app.example.gov https://sp.example.gov:8443"},
		{"logout", "https://out.example.gov/slo", "https://out.example.gov https://app.example.gov https://sp.example.gov:8443"},
		{"not the provider's", "https://else.example/acs", "'none'"},
		{"empty", "", "'none'"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := p.FormAction(tt.address); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
