// Package inspect is the command "vernal inspect", which decodes a SAML message and applies
// every rule of the server to it.
package inspect

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"vernal/certs"
	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/admin/ops"
	"vernal/idp/filetext"
	"vernal/idp/inspect"
	"vernal/metadata"
	"vernal/templates"
)

// Bounds, in bytes.
const (
	maxInput   = 64 << 20 // of the input: a HAR file may contain images, too
	maxMessage = 1 << 20  // of a message in it: metadata is the longest
)

// inspectFlags are the flags of the command.
type inspectFlags struct {
	at, key string
	number  int
}

// commands are the commands of this package.
type commands struct {
	*cli.App
	// offline is our metadata as configured, for use without an installation.
	offline func() (metadata.IdP, error)
}

// Command returns the command.
func Command(app *cli.App, offline func() (metadata.IdP, error)) *cobra.Command {
	a := &commands{app, offline}
	var f inspectFlags
	c := &cobra.Command{
		Use:   "inspect [TEXT|FILE|-]",
		Short: "Check a SAML message against every rule, and explain how to fix it",
		Long: `Decode a SAML message and check it against every rule of the server,
one by one: AuthnRequest, LogoutRequest, Response, LogoutResponse, and metadata.
TEXT contains the message: a URL, a form or its HTML page, a log line, a curl
command, a HAR file or a part of one, the list of developer tools, a SOAP
envelope, base64 or XML; a FILE that holds one; or "-" for standard input.
Changes by mail, logs, tickets, browsers and link scanners are undone: quoting,
line breaks, escapes, percent-encoding, rewritten links, UTF-16. Without TEXT,
it is read from standard input. Of several messages in a text the first is
taken, unless --message names another.

A request is valid for five minutes, and once. With --at, the rules are applied as
if it had arrived at that time. The message is not stored, and its ID stays unused.

An encrypted assertion is opened with --key, the private key of the service
provider: PEM, PKCS#8 or PKCS#1, not encrypted. The key is used in this process
alone: it is never written, and a running server does not get it. A
NameID that a LogoutRequest encrypts to us is opened with our own key of its
year. The user that it names is looked up as in the server, and no session ends.

The verdict comes first. The exit code is 0 if the message would be accepted, 3 if
it would be refused, and 1 if that is unknown: the text has no message, no
registry is available, the assertion is encrypted, or it depends on the browser
that brings the message.`,
		Example: `    vernal inspect 'https://login.example.gov/api/saml/auth2027?SAMLRequest=...'
    REFUSED: 1 of 12 rules fails: Signature
    AuthnRequest: https://app.example.gov (Orchard Desk), at 2027-03-01T09:00:00Z
    ok       Issuer         https://app.example.gov
    REFUSED  Signature
    ...
    vernal inspect --key sp.key <response.html
    ok: none of 9 rules fails
    Response: https://app.example.gov (Orchard Desk), at 2027-03-01T09:00:00Z
    ok       EncryptedAssertion  aes256-gcm, its key by rsa-oaep-mgf1p with sha1, to the certificate 3f1c9d20a4b7e855… (CN=app.example.gov, ends 2029-05-01)
    ...`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.runInspect(c, args, f) },
	}
	c.Flags().StringVar(&f.at, "at", "", "apply the rules as at this `TIME`, such as 2027-03-01T09:00:00Z")
	c.Flags().StringVar(&f.key, "key", "", "the `FILE` with the service provider's private key, to open an encrypted assertion")
	c.Flags().IntVar(&f.number, "message", 1, "the `NUMBER` of the message in a text that contains several")
	return c
}

func (a *commands) runInspect(c *cobra.Command, args []string, f inspectFlags) error {
	message := inspect.Message{}
	if f.at != "" {
		t, err := time.Parse(time.RFC3339, f.at)
		if err != nil {
			return cli.Usage(c, "--at %q is not a time such as 2027-03-01T09:00:00Z", f.at)
		}
		message.AssumedAt = t
	}
	if f.number < 1 {
		return cli.Usage(c, "--message must be 1 or more")
	}
	text, err := a.readInspectedText(args)
	if err != nil {
		return err
	}
	// Metadata in a single-byte encoding: JSON would lose bytes that are not UTF-8. The
	// finder detects UTF-16 by its zero bytes.
	if !utf8.ValidString(text) && !strings.Contains(text, "\x00") {
		if utf8Text, err := filetext.Decode([]byte(text)); err == nil {
			text = string(utf8Text)
		}
	}
	if err := pickMessage(&message, text, f.number); err != nil {
		return err
	}
	if f.key != "" {
		if message.OpenedAssertion, err = a.openAssertion(message, f.key); err != nil {
			return err
		}
	}
	return a.inspectMessage(c.Context(), message)
}

// readInspectedText returns the text: the argument, the file that it names or, without one,
// standard input.
func (a *commands) readInspectedText(args []string) (string, error) {
	input := a.In
	if len(args) > 0 && args[0] != "-" {
		f, err := os.Open(args[0])
		if err != nil { // usually text: too long for a name, or no such file
			return args[0], nil
		}
		defer f.Close()
		input = f
	}
	var b strings.Builder
	n, err := io.Copy(&b, io.LimitReader(input, maxInput+1))
	if err != nil {
		return "", fmt.Errorf("read the message: %w", err)
	}
	if n > maxInput {
		return "", fmt.Errorf("the text is over %d MiB: leave out the text around the message, or save the HAR file without contents", maxInput>>20)
	}
	return b.String(), nil
}

// pickMessage takes one of the messages in a text.
func pickMessage(m *inspect.Message, text string, number int) error {
	messages := inspect.Find(text)
	if len(messages) == 0 {
		seen := inspect.ClassifyText(text)
		err := fmt.Errorf("no SAML message found: %s", seen.Advice())
		if s, ok := seen.Suggestion(); ok {
			err = idp.Advise(err, s)
		}
		return err
	}
	if number > len(messages) {
		return fmt.Errorf("message %d not found in the text, which has %d", number, len(messages))
	}
	m.FoundMessage = messages[number-1]
	if len(messages) > 1 {
		m.Number, m.Total = number, len(messages)
	}
	// An escaped query is longer than the pasted text, so a byte count would confuse the user.
	if len(m.XML)+len(m.Query)+len(m.URLQuery) > maxMessage {
		return fmt.Errorf("the message is longer than the %d MiB that are inspected", maxMessage>>20)
	}
	return nil
}

// openAssertion decrypts the message in this process. The server gets the assertion and
// never the key.
func (a *commands) openAssertion(m inspect.Message, file string) (*inspect.OpenedAssertion, error) {
	data, err := cli.ReadFile(file, certs.MaxExternalFile)
	if err != nil {
		return nil, fmt.Errorf("read the private key: %w", err)
	}
	signer, err := certs.ParsePrivateKey(data)
	clear(data)
	if err != nil {
		return nil, fmt.Errorf("the private key in %s: %w", file, err)
	}
	key, ok := signer.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the private key in %s is not RSA", file)
	}
	assertion := inspect.Open(m.FoundMessage, key)
	if assertion == nil {
		a.Say("vernal: no encrypted assertion in the message, so --key is not needed")
	}
	return assertion, nil
}

func (a *commands) inspectMessage(ctx context.Context, m inspect.Message) error {
	report, err := a.askInspector(ctx, m)
	if err != nil {
		return err
	}
	set, err := templates.New()
	if err != nil {
		return err
	}
	report.Explain(set)
	if a.JSON {
		err = a.PrintJSON(report)
	} else {
		err = a.printReport(report)
	}
	switch {
	case err != nil:
		return err
	case report.Refused && report.Metadata:
		return cli.Refuse("the metadata is not what is registered")
	case report.Refused:
		return cli.Refuse("the message would be refused")
	case report.Unknown:
		return errors.New("it is unknown whether the message would be accepted: see the lines marked - and warning")
	}
	return nil
}

// askInspector asks the installation or, without one, decodes in this process.
func (a *commands) askInspector(ctx context.Context, m inspect.Message) (*inspect.Report, error) {
	client, release, err := a.Connect(ctx)
	if err == nil {
		defer release()
		return admin.Call(ctx, client, ops.Inspect, m)
	}
	idp, configErr := a.offline()
	if configErr != nil {
		return nil, err
	}
	a.Say("vernal: no registry to ask: %v", err)
	if m.AssumedAt.IsZero() {
		m.AssumedAt = a.Clock.Now()
	}
	return (&inspect.Service{IdP: idp}).Inspect(ctx, m)
}
