//go:build realsp

package realsp

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
)

// embedded finds the certificate that a signature carries.
var embedded = regexp.MustCompile(`<(?:\w+:)?X509Certificate>([^<]*)<`)

// checkYear checks that a message posted to a service provider is signed with the key of the
// year whose endpoint URL it used and with no other year's, and contains that year's
// certificate.
func (m *move) checkYear(t *testing.T, what, key string, doc []byte, element string) {
	t.Helper()
	if element == assertionName {
		doc = assertionOf.Find(doc)
	}
	used := m.year(key)
	for year, cert := range m.certs {
		out, err := verifyBy(t, cert, doc, element)
		if valid := err == nil; valid != (year == used) {
			t.Errorf("%s on %s: signed by the key of %s is %v\n%s", what, used, year, valid, out)
		}
	}
	block, _ := pem.Decode(m.read(t, m.certs[used]))
	found := embedded.FindSubmatch(doc)
	if block == nil || found == nil {
		t.Fatalf("%s: no certificate in the signature, or none of %s:\n%s", what, used, doc)
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(found[1])), ""))
	if err != nil || !bytes.Equal(der, block.Bytes) {
		t.Errorf("%s: the certificate in the signature is not that of %s (%v)", what, used, err)
	}
}

// boardLine is the line of one service provider on the migration board.
type boardLine struct {
	EntityID    string   `json:"entity_id"`
	Move        string   `json:"move"`
	UnmovedFrom []string `json:"unmoved_from"`
	Years       []struct {
		Year     string `json:"year"`
		Requests int    `json:"requests_30_days"`
		Signed   bool   `json:"signed"`
	} `json:"years"`
}

// rotationStatus is the part of the output of `vernal rotation status` that the tests need.
type rotationStatus struct {
	Years []struct {
		Year  string `json:"year"`
		State string `json:"state"`
	} `json:"years"`
	Board struct {
		SPs []boardLine `json:"sps"`
	} `json:"board"`
}

// status asks the running server as an operator does.
func (m *move) status(t *testing.T) (st rotationStatus) {
	t.Helper()
	out, err := m.idp.Try(t, "", "rotation", "status", "--year", m.old, "--json")
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 4) { // 4: around its dates the rotation wants attention
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(out), &st); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return st
}

// state returns the state of a year.
func (st rotationStatus) state(year string) string {
	for _, y := range st.Years {
		if y.Year == year {
			return y.State
		}
	}
	return "planned"
}

// checkBoard checks that the board says of a provider how far it has come, and
// credits each request to the year that it was made to.
func (m *move) checkBoard(t *testing.T, what, key string) {
	t.Helper()
	requests := map[string]int{}
	var line boardLine
	for _, l := range m.status(t).Board.SPs {
		if l.EntityID == m.sps[key].entityID() {
			line = l
		}
	}
	for _, y := range line.Years {
		requests[y.Year] = y.Requests
		if !y.Signed {
			t.Errorf("%s: requests to %s are not signed", what, y.Year)
		}
	}
	if diff := cmp.Diff(m.requests[key], requests); diff != "" {
		t.Errorf("%s: requests by year on the board (-want +got):\n%s", what, diff)
	}
	move, unmovedFrom := "unmoved", []string{m.old}
	switch {
	case m.moved[key]:
		move = "both" // until fourteen days have passed
	case m.status(t).state(m.new) == "created":
		move, unmovedFrom = "moved", []string{} // there is no newer year to move to
	}
	if diff := cmp.Diff([]any{move, unmovedFrom}, []any{line.Move, line.UnmovedFrom}); diff != "" {
		t.Errorf("%s: move and the years to move from (-want +got):\n%s", what, diff)
	}
}

// forget removes the cookies of a service provider, as if the user had not been there today.
func (b *tab) forget(base string) {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		theirs, err := cdp.Call(ctx, target, network.GetCookies, network.GetCookiesParams{URLs: []string{base + "/"}})
		if err != nil {
			return err
		}
		if len(theirs.Cookies) == 0 {
			return fmt.Errorf("%s has set no cookie", base)
		}
		for _, c := range theirs.Cookies {
			remove := network.DeleteCookiesParams{Name: c.Name, Domain: c.Domain, Path: c.Path}
			if _, err := cdp.Call(ctx, target, network.DeleteCookies, remove); err != nil {
				return err
			}
		}
		return nil
	}))
}

// differs returns an error that names both; nil if they are the same.
func differs(want, got string) error {
	if want != got {
		return fmt.Errorf("got %s, want %s", got, want)
	}
	return nil
}
