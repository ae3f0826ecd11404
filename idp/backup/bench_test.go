package backup_test

import (
	"fmt"
	"io"
	"runtime"
	"testing"

	"vernal/idp"
	"vernal/idp/backup"
)

// BenchmarkBackup makes backups of installations with many users, and reports the size and the
// memory that one backup allocates at most.
func BenchmarkBackup(b *testing.B) {
	for _, users := range []int{1000, 100000} {
		b.Run(fmt.Sprint(users), func(b *testing.B) {
			f := newDeployment(b, nil)
			const batch = 500
			for n := 0; n < users; n += batch {
				list := make([]idp.ImportedUser, batch)
				for i := range list {
					id := fmt.Sprintf("user-%07d", n+i)
					list[i] = idp.ImportedUser{
						User: &idp.User{
							ID: idp.UserID(id), Emails: []idp.Email{{Address: id + "@example.gov"}}, CreatedAt: start,
							PasswordHash: "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$c29tZWhhc2hzb21laGFzaHNvbWVoYXNoc29tZWhhc2g",
						},
						NameIDs: map[idp.NameIDScope]idp.NameID{"agency:A": idp.NameID("name-" + id)},
						Event:   idp.AuditEvent{Kind: idp.AuditUserImport, Outcome: "ok", User: idp.UserID(id)},
					}
				}
				if _, err := f.Store.ImportUsers(b.Context(), list); err != nil {
					b.Fatal(err)
				}
			}
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			var s *backup.Summary
			b.ResetTimer()
			for b.Loop() {
				var err error
				if s, err = f.Backups.WriteArchive(b.Context(), io.Discard, backup.Options{}); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			runtime.ReadMemStats(&after)
			b.SetBytes(s.Members[0].Size)
			b.ReportMetric(float64(s.Bytes)/1e6, "MB-file")
			b.ReportMetric(float64(s.Members[0].Size)/1e6, "MB-store")
			b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(b.N)/1e6, "MB-allocated/op")
		})
	}
}
