package sp_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/sp"
)

// corpusClock is a time at which all metadata in testdata is valid.
func corpusClock() time.Time { return time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC) }

// TestAddFromMetadata registers every provider of the corpus from its metadata.
func TestAddFromMetadata(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../testdata/metadata/*.xml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no metadata in testdata: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			doc, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r, _ := newRegistryAt(t, corpusClock)
			o := sp.Options{AllowInsecureURL: true}
			c, err := r.AddEdit(t.Context(), "", sp.Document{Data: doc}, sp.Edit{Set: values{"ial": {"verified"}}}, o, "test")
			if err != nil {
				t.Fatal(err)
			}
			p := c.Provider
			if p.Agency != "" || !slices.Equal(p.NameIDFormats, []string{idp.NameIDFormatPersistent}) ||
				p.IAL != idp.IALVerified || p.State != idp.StateApproved || !p.Active || len(p.Certs) == 0 {
				t.Errorf("got %+v", p)
			}
			if _, err := r.Lookup(t.Context(), p.EntityID); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestEditFromMetadata(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../testdata/metadata/ruby-saml.xml")
	if err != nil {
		t.Fatal(err)
	}
	r, _ := newRegistry(t)
	o := sp.Options{AllowInsecureURL: true}
	added, err := r.AddEdit(t.Context(), "", sp.Document{Data: doc}, sp.Edit{}, o, "test")
	if err != nil {
		t.Fatal(err)
	}
	id := added.Provider.EntityID
	changed := sp.Edit{
		Set:    values{"acs_urls": {"https://else.example/acs"}, "certs": {sp.PEM(goodCert(t))}, "attributes": {"phone"}, "name": {"Mine"}},
		Remove: values{"acs_urls": added.Provider.ACSURLs},
	}
	if _, err := r.ApplyEdit(t.Context(), id, sp.Document{}, changed, o, "test"); err != nil {
		t.Fatal(err)
	}
	c, err := r.ApplyEdit(t.Context(), id, sp.Document{Data: doc}, sp.Edit{}, o, "test")
	if err != nil {
		t.Fatal(err)
	}
	p := c.Provider
	if !slices.Equal(p.ACSURLs, added.Provider.ACSURLs) || !slices.Equal(p.Certs, added.Provider.Certs) {
		t.Errorf("metadata's values are not there: %v", p)
	}
	if p.Name != "Mine" || !slices.Equal(p.Attributes, []string{"email", "phone"}) {
		t.Errorf("the operator's values are gone: %q, %v", p.Name, p.Attributes)
	}

	var invalid *sp.InvalidError
	mustAdd(t, r, newProvider(t, entity), sp.Options{})
	if _, err := r.ApplyEdit(t.Context(), entity, sp.Document{Data: doc}, sp.Edit{}, o, "test"); !errors.As(err, &invalid) || invalid.Problems[0].Field != "entity_id" {
		t.Errorf("metadata of somebody else: %v", err)
	}
	if _, err := r.AddEdit(t.Context(), "", sp.Document{Data: []byte("<html/>")}, sp.Edit{}, o, "test"); !errors.As(err, &invalid) || invalid.Problems[0].Field != "metadata" {
		t.Errorf("no metadata: %v", err)
	}
}

func TestAddEditReplacesDefaults(t *testing.T) {
	t.Parallel()
	r, _ := newRegistry(t)
	c, err := r.AddEdit(t.Context(), entity, sp.Document{}, sp.Edit{Set: values{
		"acs_urls": {"https://sp.example.gov/acs"}, "certs": {sp.PEM(goodCert(t))},
		"attributes": {"phone"}, "name_id_formats": {"emailAddress"},
	}}, sp.Options{}, "test")
	if err != nil {
		t.Fatal(err)
	}
	p := c.Provider
	if !slices.Equal(p.Attributes, []string{"phone"}) || !slices.Equal(p.NameIDFormats, []string{"emailAddress"}) {
		t.Errorf("got %v, %v", p.Attributes, p.NameIDFormats)
	}
	if p.Name != string(entity) || !strings.Contains(strings.Join(c.Warnings, "\n"), "no name is given") {
		t.Errorf("name %q, warnings %q", p.Name, c.Warnings)
	}
}
