package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/shellquote"
)

// demoResult is what `vernal demo --json` prints, once everything answers.
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
	// Config is what the other commands find the demo by, as --config.
	Config string `json:"config"`
	Log    string `json:"log"`
}

type demoSample struct {
	Name     string `json:"name"`
	URL      string `json:"url"`
	EntityID string `json:"entity_id"`
}

// printDemo prints what to open and what to type.
func (a *app) printDemo(d *demo) error {
	c := d.deps.config
	code, err := d.person.Code(context.Background())
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(d.result(code))
	}
	folder := c.dataDir() + "  (kept; --data-dir)"
	if d.scratch {
		folder = c.dataDir() + "  (goes away at the end)"
	}
	shown := code.String()
	if watched(a.out) {
		shown = "on the last line here"
	}
	w := a.out
	fmt.Fprint(w, "\nVernal runs, with two sample service providers to sign in to.\n")
	section(w, "Open", [][2]string{
		{d.samples[0].name, d.samples[0].url},
		{d.samples[1].name, d.samples[1].url + "  (then go on here: it asks for no password)"},
	})
	section(w, "Sign in as", [][2]string{
		{"Email", d.person.Email},
		{"Password", d.person.Password},
		{"Code", shown},
		{"", "each code works once: to sign in again, wait for the next"},
	})
	section(w, "The code in an authenticator app of your own", [][2]string{
		{"TOTP secret", d.person.Secret},
		{"otpauth URL", d.person.URL},
	})
	section(w, "The identity provider", [][2]string{
		{"Pages", c.BaseURL},
		{"Metadata", d.yearMetadata() + "  (the key of " + string(d.year()) + ")"},
		{"", c.BaseURL + "/api/saml/metadata  (all years)"},
		{"Rotation", d.rotationURL() + "  (who uses which year)"},
		{"Mail", d.mail.url() + "  (what it sends, caught here)"},
	})
	section(w, "Behind it", [][2]string{
		{"Data", folder},
		{"Log", d.log},
		{"Look inside", shellquote.Quote(os.Args[0]) + " sp list --config " + shellquote.Quote(c.file)},
		{"Error IDs", shellquote.Quote(os.Args[0]) + " errors show ID --config " + shellquote.Quote(c.file)},
	})
	_, err = fmt.Fprint(w, "\nCtrl-C ends the demo.\n\n")
	return err
}

// result is what programs are told.
func (d *demo) result(code demoCode) demoResult {
	c := d.deps.config
	r := demoResult{
		URL: c.BaseURL, MetadataURL: d.yearMetadata(), RotationURL: d.rotationURL(), MailURL: d.mail.url(), Email: d.person.Email, Password: d.person.Password,
		TOTPSecret: d.person.Secret, TOTPURL: d.person.URL, Code: strings.ReplaceAll(code.Code, " ", ""), DataDir: c.dataDir(), Config: c.file, Log: d.log,
	}
	for _, s := range d.samples {
		r.Samples = append(r.Samples, demoSample{Name: s.name, URL: s.url, EntityID: s.entityID()})
	}
	return r
}

// section prints names and values in two columns under a heading; all sections
// have their values in the same column.
func section(w io.Writer, heading string, rows [][2]string) {
	fmt.Fprintf(w, "\n%s\n", heading)
	for _, r := range rows {
		fmt.Fprintf(w, "  %-13s%s\n", r[0], idp.OneLine(r[1]))
	}
}

// showCodes waits for the end of ctx and meanwhile, if a person watches, keeps
// the current code on the last line.
func (a *app) showCodes(ctx context.Context, d *demo) {
	if !watched(a.out) || a.json {
		if !a.json {
			fmt.Fprintf(a.out, "The current code is always on the page of %s.\n", d.samples[0].name)
		}
		<-ctx.Done()
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if code, err := d.person.Code(ctx); err == nil {
			fmt.Fprintf(unfiltered(a.out), "\r\x1b[K  %-13s%s", "Code now", code)
		}
		select {
		case <-ctx.Done():
			fmt.Fprint(unfiltered(a.out), "\r\x1b[K")
			return
		case <-tick.C:
		}
	}
}

// watched tells whether what is printed goes to a terminal that can write a
// line anew.
func watched(w io.Writer) bool {
	return os.Getenv("TERM") != "dumb" && isTerminal(w)
}
