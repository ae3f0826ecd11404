package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"vernal/idp/smtptest"
	"vernal/idp/web"
	"vernal/templates"
)

// demoMail catches what the demo mails, and shows it.
type demoMail struct {
	box       *smtptest.Server
	mail, web net.Listener
	pages     *web.Pages
}

// demoOperator is whom the demo's notices go to.
const demoOperator = "operator@demo.example"

// openDemoMail opens the mail server and its page, each on a free port.
func openDemoMail() (*demoMail, error) {
	m := &demoMail{box: &smtptest.Server{}}
	var err error
	if m.mail, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("listen for mail: %w", err)
	}
	if m.web, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		_ = m.mail.Close()
		return nil, fmt.Errorf("listen for the page of mail: %w", err)
	}
	return m, nil
}

// Close ends both.
func (m *demoMail) Close() error {
	_, _ = m.mail.Close(), m.web.Close()
	return m.box.Close()
}

// url is where the mail is shown.
func (m *demoMail) url() string { return "http://" + m.web.Addr().String() + "/" }

// serveMail takes mail and shows it until ctx ends.
func (d *demo) serveMail(ctx context.Context, set *templates.Set) {
	d.mail.pages = &web.Pages{Set: set, Langs: d.deps.config.Langs()}
	srv := &http.Server{Handler: http.HandlerFunc(d.mail.show), ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() {
		_ = d.mail.Close()
		_ = srv.Close()
	})
	d.group.Go(func() error { return d.mail.box.Serve(d.mail.mail) })
	d.group.Go(func() error {
		if err := srv.Serve(d.mail.web); ctx.Err() == nil {
			return fmt.Errorf("show mail: %w", err)
		}
		return nil
	})
}

// show is every mail as text, the latest first. A name that leads here from
// another site's page is not ours.
func (m *demoMail) show(w http.ResponseWriter, r *http.Request) {
	if r.Host != m.web.Addr().String() || r.URL.Path != "/" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	page := templates.DemoMailPage{Base: m.pages.Base(r, "")}
	for _, mail := range slices.Backward(m.box.Mails()) {
		head := fmt.Sprintf("To: %s\nSubject: %s\nDate: %s\n", strings.Join(mail.To, ", "), mail.Header("Subject"), mail.Header("Date"))
		page.Mails = append(page.Mails, templates.DemoMail{Head: head, Text: mail.Text()})
	}
	w.Header().Set("Content-Language", string(page.Lang))
	if err := m.pages.Set.DemoMail(w, page); err != nil {
		http.Error(w, "something went wrong in the demo", http.StatusInternalServerError)
	}
}
