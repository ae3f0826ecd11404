//go:build realsp

package realsp

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp/idptest/binary"
)

// TestProviderSignsInAfterRestore takes a backup while users are added and sign in, restores
// it into another folder, and serves that at the same URLs. mod_auth_mellon keeps running
// with its files as they are, and signs the same user in under the same NameID. What the
// restore ended stays ended.
func TestProviderSignsInAfterRestore(t *testing.T) {
	w := newIdP(t, binary.Build{}, "apache2", "chromium", "xmlsec1", "xmllint")
	w.startMellon(t)
	w.startBrowser(t)
	sp, person := w.sps["mellon"], w.idp.AddUser(t, "stays@example.org")
	b := w.profile(t)
	nameID := b.signIn(sp, "first", person)
	b.forget(sp.base)
	b.passThrough(sp, "second", person) // within the session, which the backup contains

	l := startLoad(t, w.idp, sp)
	kept := l.await(t)
	file := filepath.Join(t.TempDir(), "vernal.tar.gz")
	head := parseJSON[backupMade](t, w.idp.Run(t, "", "backup", file, "--json")).Head
	l.await(t)
	l.stop()
	lost := w.idp.AddUser(t, "lost@example.org")
	l.signIn(t, lost)
	c, used := w.profile(t), person.Code(t) // the backup does not know that the code is used
	c.open(sp.secret("third"))
	c.givePassword(person)
	c.enterCode(used)
	c.arrived(sp, "third", person)
	if !w.server.Stop() {
		t.Error("the server did not stop when asked")
	}

	original := listRecords(t, w.idp)
	restored := w.restore(t, file)
	records := listRecords(t, w.idp)
	if diff := cmp.Diff(original[:head.Seq], records[:head.Seq]); diff != "" {
		t.Errorf("audit trail up to record %d (-original +restored):\n%s", head.Seq, diff)
	}
	last := parseJSON[auditRecord](t, records[head.Seq-1])
	if next := parseJSON[auditRecord](t, records[head.Seq]); last.Hash != head.Hash || next.Kind != "restored" {
		t.Errorf("the trail of the backup ends with %+v, then comes %+v, want hash %s and the restore", last, next, head.Hash)
	}
	w.idp.Run(t, "", "audit", "verify")
	emails := w.listEmails(t)
	for _, email := range append(kept, person.Email) {
		if !slices.Contains(emails, email) {
			t.Errorf("%s is lost, who signed in before the backup", email)
		}
	}
	if slices.Contains(emails, lost.Email) {
		t.Errorf("%s exists, who was added after the backup", lost.Email)
	}

	w.server = w.idp.Serve(t)
	person.SkipCodes(restored.Report.At)
	binary.WaitUntil(t, startTime, "the second of the restore is over", func() error {
		// Requests say in whole seconds when they were made.
		if !time.Now().Truncate(time.Second).After(restored.Report.At) {
			return errors.New("not yet")
		}
		return nil
	})
	w.checkHeld(t, true)
	b.forget(sp.base)
	posted := len(b.listPosted())
	b.open(sp.secret("fourth"))
	b.givePassword(person) // the session has ended
	b.enterCode(used)
	b.expect(pageCode)
	if n := len(b.listPosted()); n != posted {
		t.Fatal("a code from before the restore was accepted")
	}
	b.giveCode(person)
	if again := b.arrived(sp, "fourth", person); again != nameID {
		t.Errorf("NameID after the restore is %s, was %s", again, nameID)
	}
	w.checkResponse(t, sp, b.last(), nameID) // with the certificate from before the restore

	w.idp.Run(t, "", "rotation", "resume")
	w.checkHeld(t, false)
	b.forget(sp.base)
	if again := b.passThrough(sp, "fifth", person); again != nameID {
		t.Errorf("NameID after the resumption is %s, was %s", again, nameID)
	}
}

// backupMade is the part of the output of `vernal backup` that the test needs, restoreMade
// that of `vernal restore`.
type backupMade struct {
	Head struct {
		Seq  int    `json:"seq"`
		Hash string `json:"hash"`
	} `json:"audit_head"`
}

type restoreMade struct {
	Authenticated bool `json:"authenticated"`
	Report        struct {
		At time.Time `json:"restored_at"`
	} `json:"report"`
}

type auditRecord struct {
	Kind string `json:"kind"`
	Hash string `json:"hash"`
}

// restore removes the data of the installation, as if its disk were lost, restores the backup
// into another folder and makes that the installation. The server must have stopped.
func (w *deployment) restore(t *testing.T, file string) restoreMade {
	t.Helper()
	key := filepath.Join(t.TempDir(), "master.key")
	if err := os.Rename(filepath.Join(w.idp.Dir, "vernal-data", "master.key"), key); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(w.idp.Dir, "vernal-data")); err != nil {
		t.Fatal(err)
	}
	w.idp = w.idp.WithDir(t.TempDir()) // the configuration is that of the backup
	data := filepath.Join(w.idp.Dir, "restored")
	made := parseJSON[restoreMade](t, w.idp.Run(t, "", "restore", file, "--data-dir", data, "--master-key", key, "--json"))
	if !made.Authenticated || made.Report.At.IsZero() {
		t.Fatalf("restored: %+v", made)
	}
	return made
}

// listRecords lists the audit records of the installation as they are stored.
func listRecords(t *testing.T, v *binary.Vernal) []string {
	t.Helper()
	return strings.Split(strings.TrimSuffix(v.Run(t, "", "audit", "export"), "\n"), "\n")
}

// listEmails lists the email addresses of all users.
func (w *deployment) listEmails(t *testing.T) (emails []string) {
	t.Helper()
	type user struct {
		Emails []struct {
			Address string `json:"address"`
		} `json:"emails"`
	}
	for _, u := range parseJSON[[]user](t, w.idp.Run(t, "", "user", "list", "--json")) {
		for _, e := range u.Emails {
			emails = append(emails, e.Address)
		}
	}
	return emails
}

// checkHeld checks whether automatic steps wait for the operator because of the restore.
func (w *deployment) checkHeld(t *testing.T, want bool) {
	t.Helper()
	out, err := w.idp.Try(t, "", "rotation", "status", "--json")
	var exit *exec.ExitError
	attention := errors.As(err, &exit) && exit.ExitCode() == 4
	if err != nil && !attention {
		t.Fatal(err)
	}
	st := parseJSON[struct {
		Attention []struct {
			Code string `json:"code"`
		} `json:"attention"`
	}](t, out)
	held := false
	for _, a := range st.Attention {
		held = held || a.Code == "restored"
	}
	// Around its dates the rotation needs attention for other reasons.
	if held != want || held && !attention {
		t.Errorf("held by the restore: %v, want %v; exit code 4: %v; attention: %+v", held, want, attention, st.Attention)
	}
}

// load adds users who sign in, until it is stopped.
type load struct {
	idp     *binary.Vernal
	sp      *provider
	ended   atomic.Bool
	workers sync.WaitGroup

	mu     sync.Mutex
	emails []string // of users who have signed in
}

func startLoad(t *testing.T, v *binary.Vernal, sp *provider) *load {
	l := &load{idp: v, sp: sp}
	for worker := range 3 {
		l.workers.Go(func() {
			for i := 0; !l.ended.Load() && !t.Failed(); i++ {
				p := binary.NewUser(fmt.Sprintf("load-%d-%d@example.org", worker, i))
				if _, err := l.idp.Try(t, p.Password+"\n", p.AddArgs()...); err != nil {
					t.Error(err)
					return
				}
				l.signIn(t, p)
			}
		})
	}
	t.Cleanup(l.stop)
	return l
}

// signIn signs the user in for the service provider, up to the page that posts the Response.
func (l *load) signIn(t *testing.T, p *binary.User) {
	page, err := l.idp.NewVisitor(p).SignIn(t, l.sp.secret("load"))
	if err == nil {
		_, err = binary.ReadResponse(page)
	}
	if err != nil {
		t.Errorf("sign in %s: %v", p.Email, err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.emails = append(l.emails, p.Email)
}

// await waits until more users have signed in, and returns all who have.
func (l *load) await(t *testing.T) (emails []string) {
	t.Helper()
	from := -1
	binary.WaitUntil(t, startTime, "users sign in", func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if from < 0 {
			from = len(l.emails)
		}
		emails = slices.Clone(l.emails)
		if len(emails) < from+3 {
			return fmt.Errorf("%d have, want %d", len(emails), from+3)
		}
		return nil
	})
	return emails
}

func (l *load) stop() {
	l.ended.Store(true)
	l.workers.Wait()
}

func parseJSON[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}
