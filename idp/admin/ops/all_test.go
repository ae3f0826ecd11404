package ops_test

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/idp/admin"
	"vernal/idp/admin/ops"
)

// requests has a request for every operation, in an order in which they follow on one
// another. Where the answer would hold a random value, the request is a dry run or one that
// is refused.
var requests = []struct{ path, request string }{
	{"ping", `{}`},
	{"sp/add", `{"entity_id":"urn:a","metadata":null,"edit":{"set":{"acs_urls":["https://a.example/acs"],"sign_requests":["optional"]}},"options":{}}`},
	{"sp/edit", `{"entity_id":"urn:a","metadata":null,"edit":{"set":{"name":["A"]}},"options":{}}`},
	{"sp/show", `{"entity_id":"urn:a"}`},
	{"sp/list", `{}`},
	{"user/add", `{"email":"ana@example.gov","password":"plum jam on nine windows"}`},
	{"user/show", `{"email":"ana@example.gov"}`},
	{"user/list", `{}`},
	{"user/lock", `{"email":"ana@example.gov","reason":"test"}`},
	{"user/unlock", `{"email":"ana@example.gov"}`},
	{"user/set-password", `{"email":"ana@example.gov","password":"nine jars of plum jam"}`},
	{"user/reset-mfa", `{"email":"ana@example.gov","totp_secret":"JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"}`},
	{"user/verify", `{"email":"ana@example.gov","profile":{"level":"verified","first_name":"Ana","last_name":"Ruiz"}}`},
	{"user/import", `{"lines":[{"line":1,"record":{"emails":[{"address":"bo@example.gov"}]}}]}`},
	{"user/export", `{}`},
	{"user/edit", `{"email":"ana@example.gov","lang":"en","add_emails":["ana.ruiz@example.gov"]}`},
	{"user/invite", `{"lines":[{"email":"new@example.gov"},{"email":"ana@example.gov"}]}`},
	{"user/delete", `{"email":"ana@example.gov"}`},
	{"session/list", `{}`},
	{"session/end", `{"email":"bo@example.gov"}`},
	{"inspect", `{"XML":"PHg+"}`},
	{"year/list", `{}`},
	{"metadata/show", `{"year":"2030"}`},
	{"rotation/status", `{}`},
	{"rotation/plan", `{"years":1}`},
	{"rotation/step", `{"step":"create","year":"2032","dry_run":true}`},
	{"rotation/csr", `{"year":"2032","dry_run":true}`},
	{"rotation/import", `{"year":"2032","cert":"","dry_run":true}`},
	{"rotation/export", `{"year":"x"}`},
	{"rotation/preview", `{"year":"2031","entity_id":"urn:a","days":1}`},
	{"rotation/rehearse/begin", `{"year":"2031","certificate":""}`},
	{"rotation/rehearse/end", `{"id":"none","failed":[]}`},
	{"rotation/report", `{"dry_run":true}`},
	{"link/create", `{"kind":"wall","days":1,"dry_run":true}`},
	{"link/list", `{}`},
	{"link/revoke", `{"id":"none"}`},
	{"backup/write", `{"file":"-"}`},
	{"backup/record", `{"file":"-"}`},
	{"sp/remove", `{"entity_id":"urn:a"}`},
	{"doctor/examine", `{}`},
	{"rekey/state", `{}`},
	{"rekey/begin", `{"new_key":"short"}`},
	{"rekey/finish", `{}`},
	{"rekey/cancel", `{}`},
	{"audit/find", `{"kind":"sp.add","limit":10}`},
	{"audit/verify", `{"progress":{}}`},
	{"audit/lines", `{"after":0,"limit":1}`},
	{"audit/checkpoint", `{"seq":0,"hash":""}`},
	{"audit/check", `{"checkpoints":[],"last":{"seq":0,"hash":""}}`},
	{"audit/prune", `{"seq":0}`},
	{"rekey/all", `{"unknown":true}`}, // it works in the background
}

// TestEveryOperationOverSocketAndInProcess checks that every operation returns the same
// fields or the same error over the socket and in process. Both refuse other users and
// unknown fields, and record the caller's name.
func TestEveryOperationOverSocketAndInProcess(t *testing.T) {
	t.Parallel()
	socket, socketFixture := newRotation(t)
	process, processFixture := newRotation(t)
	over := overSocket(t, socket, t.TempDir())
	in := admin.NewProcessClient(process.Endpoint(os.Geteuid()), admin.Self())
	stranger := admin.NewProcessClient(process.Endpoint(1000), admin.Caller{UID: 1001})
	var paths []string
	for _, r := range ops.All() {
		paths = append(paths, r.Name())
	}
	for _, r := range requests {
		i := slices.Index(paths, r.path)
		if i < 0 {
			t.Errorf("%s is no operation, or is here twice", r.path)
			continue
		}
		paths = slices.Delete(paths, i, i+1)
		want, wantErr := in.Send(t.Context(), r.path, []byte(r.request))
		got, err := over.Send(t.Context(), r.path, []byte(r.request))
		if diff := cmp.Diff(codeOf(wantErr), codeOf(err)); diff != "" {
			t.Errorf("%s: errors %v and %v", r.path, wantErr, err)
		}
		if diff := cmp.Diff(fieldsOf(t, want), fieldsOf(t, got)); diff != "" {
			t.Errorf("%s: fields (-in process +over the socket):\n%s", r.path, diff)
		}
		for name, c := range map[string]*admin.Client{"in process": in, "over the socket": over} {
			if _, err := c.Send(t.Context(), r.path, []byte(`{"no_such_field":1}`)); codeOf(err) != admin.CodeBadRequest {
				t.Errorf("%s %s: an unknown field: %v", r.path, name, err)
			}
		}
		if _, err := stranger.Send(t.Context(), r.path, []byte(r.request)); codeOf(err) != admin.CodeForbidden {
			t.Errorf("%s: another user: %v", r.path, err)
		}
	}
	if len(paths) > 0 {
		t.Errorf("no request for %v", paths)
	}
	recorded := auditKinds(t, processFixture.Store)
	if diff := cmp.Diff(recorded, auditKinds(t, socketFixture.Store)); diff != "" {
		t.Errorf("recorded (-in process +over the socket):\n%s", diff)
	}
	if !slices.Contains(recorded, "sp.add "+admin.Self().Actor()) {
		t.Errorf("recorded: %q", recorded)
	}
}

func codeOf(err error) admin.Code {
	var e *admin.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// fieldsOf returns the paths of the fields in a JSON answer.
func fieldsOf(t *testing.T, data []byte) []string {
	t.Helper()
	if data == nil {
		return nil
	}
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	found := map[string]bool{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		found[path] = true
		switch v := v.(type) {
		case map[string]any:
			for name, member := range v {
				walk(path+"."+name, member)
			}
		case []any:
			for _, member := range v {
				walk(path+"[]", member)
			}
		}
	}
	walk("", v)
	return slices.Sorted(maps.Keys(found))
}
