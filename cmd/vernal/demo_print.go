package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"vernal/cmd/vernal/cli"
	"vernal/cmd/vernal/demo"
	"vernal/idp"
	"vernal/idp/shellquote"
)

// demoResult is the output of `vernal demo --json`, once every part answers.
type demoResult struct {
	URL         string       `json:"url"`
	MetadataURL string       `json:"metadata_url"`
	RotationURL string       `json:"rotation_url"`
	MailURL     string       `json:"mail_url"`
	Samples     []demoSample `json:"samples"`
	Email       string       `json:"email"`
	Password    string       `json:"password"`
	TOTPSecret  string       `json:"totp_secret"`
	TOTPURL     string       `json:"totp_url"`
	Code        string       `json:"code"`
	DataDir     string       `json:"data_dir"`
	// Config is the value of --config with which other commands find the demo.
	Config string `json:"config"`
	Log    string `json:"log"`
}

type demoSample struct {
	Name     string `json:"name"`
	URL      string `json:"url"`
	EntityID string `json:"entity_id"`
}

// printDemo prints the URLs to open and the text to type.
func (a *app) printDemo(d *demo.Demo, c *Config, scratch bool) error {
	code, err := d.User.Code(context.Background())
	if err != nil {
		return err
	}
	r := demoResult{
		URL: c.BaseURL, MetadataURL: d.YearMetadata(), RotationURL: d.RotationURL(), MailURL: d.MailURL(), Email: demo.Email, Password: demo.Password,
		TOTPSecret: d.User.Secret, TOTPURL: d.User.URL, Code: strings.ReplaceAll(code.Code, " ", ""), DataDir: c.DataDir, Config: c.File, Log: demoLogPath(c),
	}
	for _, s := range d.Samples {
		r.Samples = append(r.Samples, demoSample{Name: s.Name, URL: s.URL, EntityID: s.EntityID()})
	}
	if a.JSON {
		return a.PrintJSON(r)
	}
	folder := r.DataDir + "  (kept; --data-dir)"
	if scratch {
		folder = r.DataDir + "  (goes away at the end)"
	}
	shown := code.String()
	if canRewriteLine(a.Out) {
		shown = "on the last line here"
	}
	w := a.Out
	fmt.Fprint(w, "\nVernal runs, with two sample service providers to sign in to.\n")
	printSection(w, "Open", [][2]string{
		{r.Samples[0].Name, r.Samples[0].URL},
		{r.Samples[1].Name, r.Samples[1].URL + "  (then go on here: it asks for no password)"},
	})
	printSection(w, "Sign in as", [][2]string{
		{"Email", r.Email},
		{"Password", r.Password},
		{"Code", shown},
		{"", "each code works once: to sign in again, wait for the next"},
	})
	printSection(w, "The code in an authenticator app of your own", [][2]string{
		{"TOTP secret", r.TOTPSecret},
		{"otpauth URL", r.TOTPURL},
	})
	printSection(w, "The identity provider", [][2]string{
		{"Pages", r.URL},
		{"Metadata", r.MetadataURL + "  (the key of " + string(d.Year()) + ")"},
		{"", r.URL + "/api/saml/metadata  (all years)"},
		{"Rotation", r.RotationURL + "  (who uses which year)"},
		{"Mail", r.MailURL + "  (what it sends, caught here)"},
	})
	printSection(w, "Behind it", [][2]string{
		{"Data", folder},
		{"Log", r.Log},
		{"Look inside", shellquote.Quote(os.Args[0]) + " sp list --config " + shellquote.Quote(r.Config)},
		{"Error IDs", shellquote.Quote(os.Args[0]) + " errors show ID --config " + shellquote.Quote(r.Config)},
	})
	_, err = fmt.Fprint(w, "\nCtrl-C ends the demo.\n\n")
	return err
}

// printSection prints names and values in two columns under a heading. All sections have their values
// in the same column.
func printSection(w io.Writer, heading string, rows [][2]string) {
	fmt.Fprintf(w, "\n%s\n", heading)
	for _, r := range rows {
		fmt.Fprintf(w, "  %-13s%s\n", r[0], idp.ReplaceControls(r[1]))
	}
}

// showCodes waits for the end of the demo and meanwhile, on a terminal, keeps the
// current code on the last line.
func (a *app) showCodes(d *demo.Demo) {
	if !canRewriteLine(a.Out) || a.JSON {
		if !a.JSON {
			fmt.Fprintf(a.Out, "The current code is always on the page of %s.\n", d.Samples[0].Name)
		}
		<-d.Done()
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if code, err := d.User.Code(context.Background()); err == nil {
			fmt.Fprintf(cli.UnwrapWriter(a.Out), "\r\x1b[K  %-13s%s", "Code now", code)
		}
		select {
		case <-d.Done():
			fmt.Fprint(cli.UnwrapWriter(a.Out), "\r\x1b[K")
			return
		case <-tick.C:
		}
	}
}

// canRewriteLine reports whether the output is a terminal that can rewrite a line.
func canRewriteLine(w io.Writer) bool {
	return os.Getenv("TERM") != "dumb" && cli.IsTerminal(w)
}
