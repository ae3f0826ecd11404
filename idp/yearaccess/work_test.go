package yearaccess_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"vernal/idp"
	"vernal/idp/sharelink"
	"vernal/idp/web"
	"vernal/idp/yearaccess"
)

// counted is the store of links, and records what is read.
type counted struct {
	idp.DocumentStore
	reads []string
}

func (c *counted) Documents(ctx context.Context, kind string, q idp.DocumentQuery) ([]idp.Document, error) {
	c.reads = append(c.reads, fmt.Sprintln("documents", q.Keys))
	return c.DocumentStore.Documents(ctx, kind, q)
}

// TestUnpublishedYearCostsWhatNeverMadeCosts checks that a request to a year that is not
// published costs the same as one to a year that was never made: the same reads in the same
// order.
func TestUnpublishedYearCostsWhatNeverMadeCosts(t *testing.T) {
	t.Parallel()
	w := newServer(t, false)
	w.AddProvider(spA)
	provider, err := w.Registry.Lookup(t.Context(), spA)
	if err != nil {
		t.Fatal(err)
	}
	store := &counted{DocumentStore: w.Store}
	gate := &yearaccess.Gate{
		Years: w.Years, Clock: w.Clock.Now, HasFields: w.Registry.HasPreview, Pages: &web.Pages{},
		Links: &sharelink.Service{Store: store, Sealer: w.Links.Sealer, Clock: w.Clock.Now},
	}
	refusal := idp.Refuse(idp.RefusedACSURL, "x", "")
	var steps []string
	note := func(step string, err error) {
		steps = append(steps, fmt.Sprintln(step, errors.Is(err, yearaccess.ErrNotPublished), err))
	}
	router := web.NewRouter(&web.Pages{})
	router.Handle("/auth{year}", web.Methods{http.MethodGet: func(w http.ResponseWriter, r *http.Request) error {
		for _, begin := range []func(*http.Request) (yearaccess.Visit, error){gate.Begin, gate.BeginServer} {
			visit, err := begin(r)
			if err != nil {
				return err
			}
			note("refuse", visit.Refuse(refusal))
			for _, failed := range []error{nil, refusal} {
				for _, verified := range []bool{true, false} {
					_, _, err = visit.Admit(provider, verified, failed)
					note("admit", err)
				}
				_, _, err = visit.Admit(nil, false, failed)
				note("admit a stranger", err)
			}
			_, _, err = gate.Recheck(r, provider, web.Year(r), "")
			note("recheck", err)
		}
		_, _, err := gate.OpenDocument(r)
		note("document", err)
		w.WriteHeader(http.StatusNoContent)
		return nil
	}})
	visit := func(y idp.Year, token string) (reads, path []string) {
		store.reads, steps = nil, nil
		r := httptest.NewRequest(http.MethodGet, "/auth"+string(y)+"?preview="+token, nil)
		r.AddCookie(w.cookie(spA, y, token))
		router.ServeHTTP(httptest.NewRecorder(), r)
		return store.reads, steps
	}
	_, wrongYear := w.link(spA, "2001")
	ended, revoked := w.link(spA, w.next)
	w.revoke(ended)
	for _, token := range []string{"x", wrongYear, revoked} {
		reads, path := visit(w.next, token)
		wantReads, wantPath := visit(neverMade, token)
		if !slices.Equal(reads, wantReads) || len(reads) == 0 {
			t.Errorf("token %q: reads %q, of a year that was never made %q", token, reads, wantReads)
		}
		if !slices.Equal(path, wantPath) || len(path) != 17 || slices.ContainsFunc(path, func(s string) bool { return !strings.Contains(s, " true ") }) {
			t.Errorf("token %q: steps %q, of a year that was never made %q", token, path, wantPath)
		}
	}
}
