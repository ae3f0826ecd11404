package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"vernal/idp/admin"
	"vernal/idp/audit"
)

var shownErrorID = regexp.MustCompile(`\b[0-9A-HJKMNP-TV-Z]{16}\b`)

// TestDemoShowsErrors is a refusal in a running demo, shown by the error ID on its
// page with the command that the demo prints.
func TestDemoShowsErrors(t *testing.T) {
	t.Parallel()
	d := openDemo(t, filepath.Join(t.TempDir(), "demo"))
	defer endDemo(t, d)
	page := newVisitor(t).get(d.deps.config.BaseURL + "/api/saml/auth" + string(d.year()) + "?SAMLRequest=none")
	id := shownErrorID.FindString(page.Text())
	if page.Status != http.StatusBadRequest || id == "" {
		t.Fatalf("status %d, error ID %q:\n%s", page.Status, id, page.Text())
	}

	var out, errOut bytes.Buffer
	a := &app{in: strings.NewReader(""), out: &out, err: &errOut, getenv: noEnv, clock: time.Now, lockWait: time.Second}
	result := d.result(demoCode{})
	if code := a.run([]string{"errors", "show", id, "--config", result.Config, "--json"}); code != exitDone {
		t.Fatalf("exit code %d: %s", code, errOut.String())
	}
	var shown errorStory
	if err := json.Unmarshal(out.Bytes(), &shown); err != nil {
		t.Fatal(err)
	}
	if len(shown.Records) != 1 || shown.Records[0].Kind != "refusal" || shown.Records[0].ErrorID != id {
		t.Errorf("shown: %+v", shown)
	}
}

// The demo is wired as the server is: what its user does is in the audit trail, and
// a wrong code names them.
func TestDemoRecordsWrongCode(t *testing.T) {
	t.Parallel()
	d := openDemo(t, filepath.Join(t.TempDir(), "demo"))
	defer endDemo(t, d)
	v := newVisitor(t)
	page := v.send(v.get(d.deps.config.BaseURL+"/sign-in"), "email", d.person.Email, "password", d.person.Password)
	v.send(page, "code", "000000")
	client := admin.OverSocket(d.deps.config.DataDir)
	defer client.Close()
	found, err := client.FindAudit(t.Context(), admin.AuditQuery{Filter: audit.Filter{Kind: "refusal", User: d.person.id}, Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Records) != 1 || found.Records[0].Outcome != "code" {
		t.Errorf("recorded: %+v", found.Records)
	}
}
