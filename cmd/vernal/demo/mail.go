package demo

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"vernal/idp/web"
	"vernal/templates"
)

// serveMail accepts mail and shows it until the demo ends.
func (d *Demo) serveMail() {
	context.AfterFunc(d.ctx, func() {
		_ = d.Ports.Mail.Close()
		_ = d.mailbox.Close()
	})
	d.group.Go(func() error { return d.mailbox.Serve(d.Ports.Mail) })
	d.serve("mail", d.Ports.MailPage, http.HandlerFunc(d.showMail))
}

// showMail shows every mail as text, the latest first. It answers only under its own host
// name, so that another site's name that resolves here (DNS rebinding) reads nothing.
func (d *Demo) showMail(w http.ResponseWriter, r *http.Request) {
	if r.Host != d.Ports.MailPage.Addr().String() || r.URL.Path != "/" {
		http.NotFound(w, r)
		return
	}
	pages := &web.Pages{Set: d.pages, Langs: d.Server.Languages}
	page := templates.DemoMailPage{Base: pages.Base(r, "")}
	for _, mail := range slices.Backward(d.mailbox.Mails()) {
		head := fmt.Sprintf("To: %s\nSubject: %s\nDate: %s\n", strings.Join(mail.To, ", "), mail.Header("Subject"), mail.Header("Date"))
		page.Mails = append(page.Mails, templates.DemoMail{Head: head, Text: mail.Text()})
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Language", string(page.Lang))
	if err := d.pages.WriteText(w, page); err != nil {
		http.Error(w, "the mails cannot be shown: restart the demo", http.StatusInternalServerError)
	}
}
