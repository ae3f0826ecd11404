package ops_test

import (
	"errors"
	"testing"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/admin"
	"vernal/idp/admin/ops"
	"vernal/idp/audit"
)

// TestEveryExportPageIsRecorded checks that every page of an export is recorded under the
// caller's name, because a caller of the socket chooses where an export begins.
func TestEveryExportPageIsRecorded(t *testing.T) {
	t.Parallel()
	s, f := newService(t)
	client := overSocket(t, s, t.TempDir())
	ctx := t.Context()
	u, _, err := s.Accounts.Create(ctx, account.NewUser{Email: "ana@example.gov", Password: "plum jam on nine windows", TOTP: true}, "test")
	if err != nil {
		t.Fatal(err)
	}
	last := uint64(0)
	recorded := func() []idp.AuditRecord {
		t.Helper()
		records, err := audit.Records(ctx, f.Store, last, 100)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(records); n > 0 {
			last = records[n-1].Seq
		}
		return records
	}
	recorded()
	for _, tt := range []struct {
		name           string
		o              account.ExportOptions
		secrets, count string
	}{
		{"from the beginning", account.ExportOptions{}, "false", "1"},
		{"after the first mark", account.ExportOptions{After: "p", Secrets: true}, "true", "1"},
		{"after a user", account.ExportOptions{After: "p" + string(u.ID), Secrets: true}, "true", "0"},
		{"deleted users", account.ExportOptions{After: "d"}, "false", "0"},
	} {
		page, err := admin.Call(ctx, client, ops.ExportUsers, tt.o)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := len(page.Records) > 0 && page.Records[0].PasswordHash != ""; got != (tt.secrets == "true" && tt.count == "1") {
			t.Errorf("%s: secrets in the page: %v", tt.name, got)
		}
		records := recorded()
		if len(records) != 1 {
			t.Errorf("%s: %d records, want 1", tt.name, len(records))
			continue
		}
		rec := records[0]
		if err := audit.UsersExported.CheckRecord(&rec); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if rec.Actor != admin.Self().Actor() || rec.Detail["secrets"] != tt.secrets || rec.Detail["count"] != tt.count {
			t.Errorf("%s: %+v", tt.name, rec.AuditEvent)
		}
	}
	_, err = admin.Call(ctx, client, ops.ExportUsers, account.ExportOptions{After: "pana@example.gov", Secrets: true})
	if e, ok := errors.AsType[*admin.Error](err); !ok || e.Code != admin.CodeInvalid {
		t.Errorf("an email address as the mark: %v", err)
	}
	if records := recorded(); len(records) != 0 {
		t.Errorf("a refused export left %+v", records)
	}
}
