// Package cli contains the parts that all commands share: streams, flags, the client of the
// installation, tables, confirmation and exit codes. It contains no command.
//
// The rules of the command line:
//
//   - Standard output carries only data. Messages go to standard error. --json
//     makes the data JSON, with the field names of the records and times in whole
//     seconds, and the error a JSON object: see ReportedError. A list of records is
//     an array, unless another record goes with the list. Control characters that
//     would act on a terminal are filtered: see terminal.go.
//   - After a change a command reports it and suggests the next step.
//   - A command that destroys something needs its name (--yes NAME), never y or n.
//   - Errors are one line that begins with the program's name, lower case, without
//     a full stop. Further lines are indented.
//   - Exit codes: 0 done, 1 error, 2 wrong usage, 3 refused, 4 done, and something
//     needs attention.
package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"

	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/admin/ops"
	"vernal/idp/outbound"
)

// App contains the parts that every command needs: the standard streams, the environment, the
// shared flags, and the connection to the installation.
type App struct {
	In       io.Reader
	Out, Err io.Writer
	Getenv   func(string) string
	Clock    idp.Clock
	// Connect returns a client of the running server or, without one, of a service in
	// this process. Call close when done.
	Connect func(ctx context.Context) (client *admin.Client, close func(), err error)
	// Outbound returns the client for URLs; nil for one without exceptions.
	Outbound func() (*outbound.Client, error)
	// CommandLine renders a suggestion as a line to type.
	CommandLine func(idp.Suggestion) string

	ConfigFile string
	JSON       bool

	client     *admin.Client // nil before the first Ask
	disconnect func()
}

// outboundClient returns the client for URLs.
func (a *App) outboundClient() (*outbound.Client, error) {
	if a.Outbound == nil {
		return new(outbound.Client), nil
	}
	return a.Outbound()
}

// Ask sends one command to the installation and returns its answer. The first call connects, and
// Close ends the connection.
func Ask[Req, Res any](ctx context.Context, a *App, op ops.Op[Req, Res], req Req) (answer Res, err error) {
	if err := a.connect(ctx); err != nil {
		return answer, err
	}
	return admin.Call(ctx, a.client, op, req)
}

// Receive sends one command and writes the returned data to w.
func Receive[Req, Res any](ctx context.Context, a *App, op admin.Stream[*ops.Service, Req, Res], req Req, w io.Writer) (answer Res, err error) {
	if err := a.connect(ctx); err != nil {
		return answer, err
	}
	return admin.Receive(ctx, a.client, op, req, w)
}

// connect connects unless it already has.
func (a *App) connect(ctx context.Context) (err error) {
	if a.client == nil {
		a.client, a.disconnect, err = a.Connect(ctx)
	}
	return err
}

// Close ends the connection to the installation, if one is open.
func (a *App) Close() {
	if a.client != nil {
		a.disconnect()
		a.client = nil
	}
}

// ReportAnswer sends one command to the installation and prints the answer with report.
func ReportAnswer[Req, Res any](ctx context.Context, a *App, op ops.Op[Req, Res], req Req, report func(Res) error) error {
	answer, err := Ask(ctx, a, op, req)
	if err != nil {
		return err
	}
	return report(answer)
}

// Read requests data and prints it: as JSON with --json, otherwise with text.
func Read[Req, Res any](ctx context.Context, a *App, op ops.Op[Req, Res], req Req, text func(Res) error) error {
	return ReportAnswer(ctx, a, op, req, func(answer Res) error {
		return a.Print(answer, func() error { return text(answer) })
	})
}

// Change requests a change and reports it with say. With --json it also prints the answer.
func Change[Req, Res any](ctx context.Context, a *App, op ops.Op[Req, Res], req Req, say func(Res)) error {
	return ReportAnswer(ctx, a, op, req, func(answer Res) error {
		say(answer)
		return a.Print(answer, nil)
	})
}

// Say writes a line to standard error.
func (a *App) Say(format string, args ...any) { fmt.Fprintf(a.Err, format+"\n", args...) }

// Print writes data to standard output: v as JSON with --json, otherwise with text. text is nil
// if Say has already reported the data.
func (a *App) Print(v any, text func() error) error {
	switch {
	case a.JSON:
		return a.PrintJSON(v)
	case text != nil:
		return text()
	}
	return nil
}

// PrintJSON writes data as JSON.
func (a *App) PrintJSON(v any) error {
	data, err := MarshalJSON(v, "")
	if err == nil {
		_, err = NewJSONWriter(a.Out).Write(append(data, '\n'))
	}
	return err
}

// subSecond matches a time of a record with a fraction of a second.
var subSecond = regexp.MustCompile(`("(?:[a-z_]+_)?(?:at|since|until|from|to|before|after)": "\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d+(Z|[+-]\d\d:\d\d)"`)

// MarshalJSON returns data as JSON with an indent, times in seconds.
func MarshalJSON(v any, prefix string) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent(prefix, "  ")
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return subSecond.ReplaceAll(bytes.TrimRight(b.Bytes(), "\n"), []byte(`$1$2"`)), nil
}
