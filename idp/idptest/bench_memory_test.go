//go:build linux

package idptest_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vernal/idp/idptest/binary"
)

const (
	// benchUsers is how many users the store has.
	benchUsers = 3000
	// atOnce is how many of them sign in at the same time.
	atOnce = 64
)

// BenchmarkMemory measures the memory of `vernal serve` on one core, in MiB of Pss_Anon,
// because the mapped store is page cache: a fresh installation, one with many users, and the
// peak while users sign in with their passwords, all at once.
func BenchmarkMemory(b *testing.B) {
	v := binary.New(b, b.TempDir(), "localhost")
	p := serveOnOneCore(b, v)
	fresh := idleMemory(b, p)
	var file strings.Builder
	for i := range benchUsers {
		fmt.Fprintf(&file, "{\"email\":\"user%d@example.gov\"}\n", i)
	}
	v.Run(b, file.String(), "user", "import", "-")
	var people []*binary.User
	for i := range atOnce {
		people = append(people, v.AddUser(b, fmt.Sprintf("person%d@example.gov", i)))
	}
	p.Stop()
	p = serveOnOneCore(b, v)
	idle := idleMemory(b, p)

	peak, stop := 0.0, make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				peak = max(peak, memoryOf(b, p))
			}
		}
	})
	for b.Loop() {
		spread(atOnce, atOnce, func(k int) {
			if err := passFirstFactor(v.BaseURL, people[k]); err != nil {
				b.Error(err)
			}
		})
	}
	close(stop)
	watching.Wait()
	b.ReportMetric(fresh, "MiB-fresh")
	b.ReportMetric(idle, "MiB-idle")
	b.ReportMetric(peak, "MiB-peak")
}

// serveOnOneCore starts the server on the first core that this process may use.
func serveOnOneCore(b *testing.B, v *binary.Vernal) *binary.Process {
	b.Helper()
	runtime.LockOSThread() // a process inherits the cores of the thread that starts it
	defer runtime.UnlockOSThread()
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		b.Fatal(err)
	}
	for core := 0; one.Count() == 0; core++ {
		if all.IsSet(core) {
			one.Set(core)
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = unix.SchedSetaffinity(0, &all) }()
	return v.Boot(b, "/readyz")
}

// idleMemory returns the memory of a server that has had nothing to do for some seconds.
func idleMemory(b *testing.B, p *binary.Process) float64 {
	b.Helper()
	time.Sleep(3 * time.Second)
	return memoryOf(b, p)
}

// memoryOf returns the anonymous memory of a process in MiB.
func memoryOf(b *testing.B, p *binary.Process) float64 {
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", p.PID()))
	if err != nil {
		b.Error(err)
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) > 1 && fields[0] == "Pss_Anon:" {
			kib, err := strconv.Atoi(fields[1])
			if err != nil {
				b.Error(err)
			}
			return float64(kib) / 1024
		}
	}
	b.Error("the kernel does not show Pss_Anon")
	return 0
}

// passFirstFactor signs a user in as far as the page that asks for a code. It comes back as
// often as the server says that too many others wait.
func passFirstFactor(base string, person *binary.User) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	client := binary.Client()
	client.Jar = jar
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if _, err := sendForm(client, http.MethodGet, base+"/account", nil); err != nil {
		return err
	}
	form := url.Values{"email": {person.Email}, "password": {person.Password}}
	for range 200 {
		switch status, err := sendForm(client, http.MethodPost, base+"/sign-in", form); {
		case err != nil:
			return err
		case status == http.StatusSeeOther:
			return nil
		case status != http.StatusServiceUnavailable:
			return fmt.Errorf("%s: status %d", person.Email, status)
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("%s: always asked to come back", person.Email)
}

func sendForm(client *http.Client, method, target string, form url.Values) (status int, err error) {
	req, err := http.NewRequest(method, target, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}
