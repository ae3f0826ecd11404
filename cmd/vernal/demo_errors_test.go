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

	auditcmd "vernal/cmd/vernal/audit"
	"vernal/cmd/vernal/cli"
	"vernal/idp/admin"
	"vernal/idp/admin/ops"
	"vernal/idp/audit"
)

var shownErrorID = regexp.MustCompile(`\b[0-9A-HJKMNP-TV-Z]{16}\b`)

// TestDemoShowsErrors is a refusal in a running demo, shown by the error ID on its
// page with the command that the demo prints.
func TestDemoShowsErrors(t *testing.T) {
	t.Parallel()
	d := openDemo(t, filepath.Join(t.TempDir(), "demo"))
	defer endDemo(t, d)
	page := newVisitor(t).get(d.URL + "/api/saml/auth" + d.year() + "?SAMLRequest=none")
	id := shownErrorID.FindString(page.Text())
	if page.Status != http.StatusBadRequest || id == "" {
		t.Fatalf("status %d, error ID %q:\n%s", page.Status, id, page.Text())
	}

	var out, errOut bytes.Buffer
	a := newProgram(strings.NewReader(""), &out, &errOut, getNoEnv, time.Now)
	if code := a.run([]string{"errors", "show", id, "--config", d.Config, "--json"}); code != cli.ExitDone {
		t.Fatalf("exit code %d: %s", code, errOut.String())
	}
	var shown auditcmd.ErrorReport
	if err := json.Unmarshal(out.Bytes(), &shown); err != nil {
		t.Fatal(err)
	}
	if len(shown.Records) != 1 || shown.Records[0].Kind != "refusal" || shown.Records[0].ErrorID != id {
		t.Errorf("shown: %+v", shown)
	}
}

// TestDemoRecordsWrongCode checks that the demo is wired like the server: its user's actions
// are in the audit trail, and the record of a wrong code names the user.
func TestDemoRecordsWrongCode(t *testing.T) {
	t.Parallel()
	d := openDemo(t, filepath.Join(t.TempDir(), "demo"))
	defer endDemo(t, d)
	v := newVisitor(t)
	page := v.send(v.get(d.URL+"/sign-in"), "email", d.Email, "password", d.Password)
	v.send(page, "code", "000000")
	client := admin.NewSocketClient(d.DataDir)
	defer client.Close()
	found, err := admin.Call(t.Context(), client, ops.FindAudit, ops.AuditQuery{Filter: audit.Filter{Kind: "refusal"}, Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Records) != 1 || found.Records[0].Outcome != "code" || found.Records[0].User == "" {
		t.Errorf("recorded: %+v", found.Records)
	}
}
