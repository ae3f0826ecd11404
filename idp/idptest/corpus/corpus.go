// Package corpus reads testdata/saml: messages, each with its verdict. The README there
// describes the files.
//
// The tests of package saml check every message in one loop. The tests of package logout
// send every message over HTTP, to check whose sessions end.
package corpus

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"vernal/idp/saml"
)

// The endpoints that can receive a message.
const (
	Auth         = "auth"
	Logout       = "logout"
	RemoteLogout = "remotelogout"
)

// Case is one file of the corpus.
type Case struct {
	Name, Description string
	// Endpoint is the kind of endpoint URL that receives it, by SOAP if the Content-Type
	// says so.
	Endpoint    string
	Now         time.Time
	Inbound          saml.HTTPRequest
	Destination string
	Certs       []string // names in testdata/keys
	Signing     string   // required or optional
	// Verdict is "accepted", or "refused CODE FIELD".
	Verdict string
	// Status is the last part of the deciding status code of the answer to an accepted
	// LogoutRequest. Ends lists the users whose sessions end.
	Status string
	EndedUsers   []string
	// AcceptedJSON is the parsed message as JSON. Message is its XML, for readers.
	AcceptedJSON, Message string
}

// Root returns the repository's testdata folder, relative to the folder of a test.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "testdata")
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	t.Fatal("no go.mod above the test")
	return ""
}

// Folder returns the folder with the files.
func Folder(t testing.TB) string { return filepath.Join(Root(t), "saml") }

// Read reads all cases.
func Read(t testing.TB) []*Case {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(Folder(t), "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []*Case
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c, err := parse(a)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		c.Name = strings.TrimSuffix(filepath.Base(file), ".txtar")
		cases = append(cases, c)
	}
	return cases
}

func parse(a *txtar.Archive) (*Case, error) {
	c := &Case{Endpoint: Auth, Inbound: saml.HTTPRequest{Method: "GET"}, Signing: "required"}
	for line := range strings.Lines(string(a.Comment)) {
		line = strings.TrimSpace(line)
		if text, ok := strings.CutPrefix(line, "#"); ok || line == "" {
			c.Description += strings.TrimSpace(text) + "\n"
			continue
		}
		key, value, _ := strings.Cut(line, ":")
		if err := c.set(key, strings.TrimSpace(value)); err != nil {
			return nil, err
		}
	}
	for _, f := range a.Files {
		switch f.Name {
		case "query":
			c.Inbound.RawQuery = strings.TrimSuffix(string(f.Data), "\n")
		case "body":
			c.Inbound.Body = bytes.TrimSuffix(f.Data, []byte("\n"))
		case "accepted.json":
			c.AcceptedJSON = string(f.Data)
		case "message.xml":
			c.Message = strings.TrimSuffix(string(f.Data), "\n")
		default:
			return nil, fmt.Errorf("unknown file %q", f.Name)
		}
	}
	return c, c.check()
}

func (c *Case) set(key, value string) (err error) {
	switch key {
	case "verdict":
		c.Verdict = value
	case "endpoint":
		c.Endpoint = value
	case "status":
		c.Status = value
	case "ends":
		c.EndedUsers = strings.Fields(value)
	case "now":
		c.Now, err = time.Parse(time.RFC3339, value)
	case "method":
		c.Inbound.Method = value
	case "content-type":
		c.Inbound.ContentType = value
	case "destination":
		c.Destination = value
	case "certs":
		c.Certs = strings.Fields(value)
	case "sign_requests":
		c.Signing = value
	default:
		err = fmt.Errorf("unknown line %q", key)
	}
	return err
}

func (c *Case) check() error {
	ok := c.Verdict == "accepted"
	switch {
	case c.Verdict == "" || c.Now.IsZero() || ok != (c.AcceptedJSON != ""):
		return errors.New("verdict, time or accepted.json is missing")
	case !slices.Contains([]string{Auth, Logout, RemoteLogout}, c.Endpoint):
		return fmt.Errorf("unknown endpoint %q", c.Endpoint)
	case (ok && c.Endpoint != Auth) != (c.Status != ""):
		return errors.New("an accepted LogoutRequest, and nothing else, has a status")
	case len(c.EndedUsers) > 0 && c.Status != "Success":
		return errors.New("sessions end with a status that is no Success")
	}
	return nil
}

// IsSOAP reports whether the message comes in an envelope.
func (c *Case) IsSOAP() bool { return c.Endpoint == RemoteLogout && c.HasSOAPType() }

// HasSOAPType reports whether the Content-Type is one of SOAP's.
func (c *Case) HasSOAPType() bool {
	return c.Inbound.ContentType == "text/xml" || c.Inbound.ContentType == "application/soap+xml"
}

// Format returns the case in the format of its file.
func (c *Case) Format() []byte {
	var b strings.Builder
	for line := range strings.Lines(c.Description) {
		fmt.Fprintf(&b, "# %s\n", strings.TrimSpace(line))
	}
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\n", key, value)
		}
	}
	line("verdict", c.Verdict)
	if c.Endpoint != Auth {
		line("endpoint", c.Endpoint)
		line("status", c.Status)
		line("ends", strings.Join(c.EndedUsers, " "))
	}
	line("now", c.Now.Format(time.RFC3339))
	line("method", c.Inbound.Method)
	line("content-type", c.Inbound.ContentType)
	fmt.Fprintf(&b, "destination: %s\ncerts: %s\n", c.Destination, strings.Join(c.Certs, " "))
	if c.Endpoint == Auth {
		line("sign_requests", c.Signing)
	}
	a := &txtar.Archive{Comment: []byte(b.String())}
	add := func(name, data string) {
		if data != "" {
			a.Files = append(a.Files, txtar.File{Name: name, Data: []byte(strings.TrimSuffix(data, "\n") + "\n")})
		}
	}
	add("query", c.Inbound.RawQuery)
	add("body", string(c.Inbound.Body))
	add("message.xml", c.Message)
	add("accepted.json", c.AcceptedJSON)
	return txtar.Format(a)
}

// Certs loads certificates of testdata/keys by their names.
func Certs(t testing.TB, names ...string) []*x509.Certificate {
	t.Helper()
	var certs []*x509.Certificate
	for _, name := range names {
		cert, err := x509.ParseCertificate(readPEM(t, name+".crt"))
		if err != nil {
			t.Fatal(err)
		}
		certs = append(certs, cert)
	}
	return certs
}

// KeyFile returns the path of a private key in testdata/keys.
func KeyFile(t testing.TB, name string) string { return filepath.Join(Root(t), "keys", name+".key") }

// Key loads a private key of testdata/keys.
func Key(t testing.TB, name string) *rsa.PrivateKey {
	t.Helper()
	key, err := x509.ParsePKCS8PrivateKey(readPEM(t, name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	return key.(*rsa.PrivateKey)
}

func readPEM(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(Root(t), "keys", file))
	if err != nil {
		t.Fatal(err)
	}
	b, _ := pem.Decode(data)
	return b.Bytes
}
