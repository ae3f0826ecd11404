package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"vernal/cmd/vernal/cli"
	"vernal/cmd/vernal/demo"
	"vernal/idp/idptest"
)

// Paths of the samples.
const (
	pathSignedIn = "/signed-in"
	pathCode     = "/code"
	pathACS      = "/saml/acs"
)

// runningDemo is the demo that the command runs, with the fields of its --json output.
type runningDemo struct {
	demoResult
	stop context.CancelFunc
	done chan error
}

// openDemo starts a demo on free ports in the folder, which endDemo ends.
func openDemo(t *testing.T, dir string) *runningDemo {
	t.Helper()
	ports, err := listenDemo("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return startDemo(t, ports, dir)
}

func startDemo(t *testing.T, ports *demo.Ports, dir string) *runningDemo {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	d := &runningDemo{stop: stop, done: make(chan error, 1)}
	read, write := io.Pipe()
	a := newProgram(strings.NewReader(""), write, io.Discard, getNoEnv, time.Now)
	a.JSON = true
	go func() {
		err := a.runDemo(ctx, ports, dir)
		_ = write.CloseWithError(err)
		d.done <- err
	}()
	if err := json.NewDecoder(read).Decode(&d.demoResult); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, read) }()
	return d
}

// year returns the preferred year.
func (d *runningDemo) year() string {
	return strings.TrimPrefix(d.MetadataURL, d.URL+"/api/saml/metadata")
}

func endDemo(t *testing.T, d *runningDemo) {
	t.Helper()
	text, err := os.ReadFile(d.Log)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte("level=ERROR")) {
		t.Errorf("errors in the log:\n%s", text)
	}
	d.stop()
	if err := <-d.done; err != nil {
		t.Errorf("end of the demo: %v", err)
	}
}

func TestDemoSignsInAtBothSamples(t *testing.T) {
	t.Parallel()
	d := openDemo(t, filepath.Join(t.TempDir(), "demo"))
	defer endDemo(t, d)
	v, a, b := newVisitor(t), d.Samples[0], d.Samples[1]
	year := d.year()

	home := v.get(a.URL + "/")
	wantText(t, home, "This is Sample A", demo.Email, demo.Password, "Sign in with Vernal", a.EntityID)
	if shown := regexp.MustCompile(`<code id="code">\d{3} \d{3}</code>`).Find(home.Body); shown == nil {
		t.Errorf("no code on the first page:\n%s", home.Text())
	}

	code := codeOf(t, d, 0)
	atA := v.signInAtDemo(d, 0, code)
	if atA.Status != http.StatusOK || atA.URL.String() != a.URL+pathSignedIn {
		t.Fatalf("%d %s:\n%s", atA.Status, atA.URL, atA.Text())
	}
	wantText(t, atA, "You are signed in to Sample A", "Vernal says that you are "+demo.Email, "the key of "+year,
		"xmldsig-more#rsa-sha256", "PasswordProtectedTransport:duo", "your browser could read it",
		"<Assertion xmlns=", "nameid-format:persistent")

	atB := v.send(v.agree(v.send(v.get(b.URL + pathSignedIn)))) // their form, our question, our response page
	if atB.Status != http.StatusOK || atB.URL.String() != b.URL+pathSignedIn {
		t.Fatalf("%d %s:\n%s", atB.Status, atB.URL, atB.Text())
	}
	wantText(t, atB, "You are signed in to Sample B", demo.Email, "the key of "+year, "xmlenc11#aes256-gcm",
		"http://idmanagement.gov/ns/assurance/aal/2", "EncryptedAssertion", "The Assertion inside")
	if nameID(t, atA) == nameID(t, atB) {
		t.Errorf("both samples know the person as %s", nameID(t, atA))
	}

	var now demo.Code
	if err := json.Unmarshal(v.get(a.URL+pathCode).Body, &now); err != nil {
		t.Error(err)
	}
	if same := strings.ReplaceAll(now.Code, " ", "") == code; same && !now.Used || now.Seconds < 1 || now.Seconds > 30 || len(now.Code) != 7 {
		t.Errorf("after the sign-in the code is %+v", now)
	}

	page := v.send(atA)
	wantText(t, page, "Sample B") // where they may still be signed in
	wantText(t, v.send(page), "You are signed out of Sample A")
	if page := v.get(a.URL + pathSignedIn); !strings.HasPrefix(page.URL.String(), d.URL+"/sign-in") {
		t.Errorf("signed out, and not asked to sign in again: %s", page.URL)
	}
}

// TestDemoRestartKeepsNamesAndKey checks that a second start with the same folder keeps the
// user's NameIDs and the signing key.
func TestDemoRestartKeepsNamesAndKey(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "demo")
	before := openDemo(t, dir)
	first := nameID(t, newVisitor(t).signInAtDemo(before, 0, codeOf(t, before, 0)))
	endDemo(t, before)

	ports, err := listenDemo("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	for l, address := range map[*net.Listener]string{
		&ports.IdP: before.URL, &ports.Samples[0]: before.Samples[0].URL, &ports.Samples[1]: before.Samples[1].URL,
	} {
		_ = (*l).Close()
		if *l, err = net.Listen("tcp", "127.0.0.1"+address[strings.LastIndex(address, ":"):]); err != nil {
			t.Fatal(err)
		}
	}
	d := startDemo(t, ports, dir)
	defer endDemo(t, d)
	if d.TOTPSecret != before.TOTPSecret || d.MetadataURL != before.MetadataURL {
		t.Errorf("person or key are others than before: %s, %s", d.TOTPSecret, d.MetadataURL)
	}
	// The code of this step may be used.
	if second := nameID(t, newVisitor(t).signInAtDemo(d, 0, codeOf(t, d, 1))); second != first {
		t.Errorf("Sample A knew %s, now %s", first, second)
	}
}

func TestDemoRefusesTakenPortOrFolder(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "vernal.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, listen, dir string
		code              int
		want              string
	}{
		{"no port", "localhost", "", cli.ExitUsage, `--listen "localhost" is not HOST:PORT, such as 127.0.0.1:8080`},
		{"port taken", taken.Addr().String(), "", cli.ExitError, "which the identity provider needs: choose other ports with --listen"},
		{"a folder of something else", "127.0.0.1:0", full, cli.ExitRefused, "contains files that do not belong to a demo: name a new folder with --data-dir"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out, talk bytes.Buffer
			a := newProgram(strings.NewReader(""), &out, &talk, getNoEnv, time.Now)
			if code := a.Report(a.demo(t.Context(), demoOptions{listen: tt.listen, dataDir: tt.dir})); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if !strings.Contains(talk.String(), tt.want) || out.Len() > 0 {
				t.Errorf("said %q, printed %q; want %q", &talk, &out, tt.want)
			}
		})
	}
}

func TestDemoPrintsAccountAndURLs(t *testing.T) {
	t.Parallel()
	r := openDemo(t, "")
	if r.Email != demo.Email || r.Password != demo.Password || len(r.Code) != 6 || r.TOTPSecret == "" ||
		!strings.HasPrefix(r.TOTPURL, "otpauth://totp/") || !strings.Contains(r.MetadataURL, r.URL+"/api/saml/metadata") {
		t.Errorf("printed %+v", r)
	}
	if len(r.Samples) != 2 || !strings.HasPrefix(r.Samples[0].URL, "http://a.localhost:") || !strings.HasPrefix(r.Samples[1].URL, "http://b.localhost:") {
		t.Errorf("samples %+v", r.Samples)
	}
	if _, err := os.Stat(filepath.Join(r.DataDir, "vernal.db")); err != nil {
		t.Error(err)
	}
	if page := newVisitor(t).get(r.RotationURL); page.Status != http.StatusOK || !strings.HasSuffix(r.RotationURL, "/rotation") {
		t.Errorf("%s: status %d", r.RotationURL, page.Status)
	} else {
		wantText(t, page, "Certificate rotation", "Sample A", "Sample B", "No sign-ins yet")
	}
	endDemo(t, r)
	if _, err := os.Stat(r.DataDir); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", r.DataDir, err)
	}
}

// TestSampleShowsRefusedResponse checks that a message that a sample refuses leads to its
// error page, with the cause, and that a request for another host is redirected to the
// sample's host.
func TestSampleShowsRefusedResponse(t *testing.T) {
	t.Parallel()
	d := openDemo(t, filepath.Join(t.TempDir(), "demo"))
	defer endDemo(t, d)
	v, s := newVisitor(t), d.Samples[0]
	post := func(form url.Values) *idptest.Page {
		return v.do(http.MethodPost, s.URL+pathACS, form, laxJar{v.jar})
	}
	page := post(url.Values{"SAMLResponse": {"PFJlc3BvbnNlLz4="}})
	if page.Status != http.StatusForbidden {
		t.Errorf("status %d", page.Status)
	}
	wantText(t, page, "Sample A did not accept the sign-in", "cannot unmarshal response", "<Response/>")
	wantText(t, post(url.Values{}), "Sample A did not accept the sign-in")

	// Another browser's response: the request was not this one's.
	theirs := newVisitor(t)
	answer := theirs.send(theirs.get(s.URL+pathSignedIn), "email", demo.Email, "password", demo.Password)
	answer = theirs.agree(theirs.send(answer, "code", codeOf(t, d, 0)))
	wantText(t, post(answer.Form().Fields), "does not match any of the possible request IDs")

	if page := v.get("http://127.0.0.1" + s.URL[strings.LastIndex(s.URL, ":"):] + "/"); page.URL.String() != s.URL+"/" {
		t.Errorf("on another host the page is %s", page.URL)
	}
	wantText(t, v.get(s.URL+"/nothing"), "Page not found")
}
