package watch

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/link"
	"vernal/idp/web"
)

const (
	// calendarYears is how far the feed looks ahead, calendarPast how long it
	// remembers.
	calendarYears = 3
	calendarPast  = 400 * 24 * time.Hour
)

// showCalendar is the plan as a feed, for whoever holds its address.
func (h *Handler) showCalendar(w http.ResponseWriter, r *http.Request) error {
	if err := h.open(r, link.Calendar); err != nil {
		return err
	}
	st, err := h.Rotation.StatusWith(r.Context(), nil)
	if err != nil {
		return err
	}
	plan, err := h.Rotation.Plan(r.Context(), calendarYears)
	if err != nil {
		return err
	}
	feed := calendar(st, plan, !h.Rotation.Policy.Manual, hostOf(h.Pages.BaseURL))
	sum := sha256.Sum256(feed)
	header := w.Header()
	header.Set("Content-Type", "text/calendar; charset=utf-8")
	header.Set("Content-Disposition", `inline; filename="vernal.ics"`)
	// Kept by the reader alone, and asked for anew each time: an address that
	// was taken back is to stop at once.
	header.Set("Cache-Control", "private, no-cache")
	header.Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(feed))
	return nil
}

// open checks the token in the path. Whatever is wrong with it, the answer is
// that of an address that we do not have.
func (h *Handler) open(r *http.Request, kind link.Kind) error {
	l, err := h.Links.Check(r.Context(), kind, web.Param(r, "token"))
	switch {
	case err == nil:
		web.EventOf(r).Note(slog.String("link", l.ID))
		return nil
	case errors.Is(err, idp.ErrNotFound):
		return web.ErrNotFound
	}
	return err
}

// calendar is the feed: what comes, and what happened within calendarPast. It is
// the same for a whole day of an unchanged plan. It names no service provider,
// as calendars are kept by others.
func calendar(st certs.Status, plan []certs.Coming, automatic bool, host string) []byte {
	var events []icalEvent
	seen := map[string]bool{}
	add := func(e occasion) {
		uid := string(e.Year) + "-" + e.what() + "@" + host
		if seen[uid] {
			return
		}
		seen[uid] = true
		event := icalEvent{UID: uid, Day: e.At, Stamp: st.At.Truncate(24 * time.Hour), Summary: "Vernal: " + e.summary(), Description: e.description(automatic)}
		if e.ByHand {
			event.Alarms = []int{14, 1}
		}
		events = append(events, event)
	}
	for _, c := range plan {
		// Of what happens by itself, the ends of certificates: that an older year
		// is expiring is the day on which a newer one becomes preferred.
		if c.Step != "" || c.From == c.To || c.From == certs.Expiring && c.To == certs.Grace {
			add(occasion{Coming: c})
		}
	}
	for _, e := range history(st) {
		add(e)
	}
	slices.SortStableFunc(events, func(a, b icalEvent) int {
		return cmp.Or(a.Day.Compare(b.Day), cmp.Compare(a.UID, b.UID))
	})
	c := &ical{}
	c.begin("Vernal rotation")
	for _, e := range events {
		c.event(e)
	}
	return c.end()
}

// history is what happened to the years, as far back as the feed goes.
func history(st certs.Status) (past []occasion) {
	for _, y := range st.Years {
		for _, e := range []struct {
			step certs.StepKind
			at   time.Time
		}{
			{certs.StepCreate, y.CreatedAt}, {certs.StepPublish, y.PublishedAt}, {certs.StepPrefer, y.PreferredAt},
			{"", y.CertEndAt}, {certs.StepRetire, y.RetiredAt}, {certs.StepDestroy, y.KeyDestroyedAt},
		} {
			if e.at.IsZero() || e.at.After(st.At) || st.At.Sub(e.at) > calendarPast {
				continue
			}
			past = append(past, occasion{Coming: certs.Coming{At: e.at, Year: y.Year, Step: e.step}, past: true, revoked: !y.RevokedAt.IsZero()})
		}
	}
	return past
}

// occasion is what there is an event for: a step, or without one the end of a
// certificate.
type occasion struct {
	certs.Coming
	past, revoked bool
}

// what names the occasion within its year.
func (o occasion) what() string {
	if o.Step == "" {
		return "certificate-end"
	}
	return string(o.Step)
}

// phrases are what happens at a step, before and after its date, and what that
// means.
var phrases = map[certs.StepKind]struct{ coming, past, means string }{
	certs.StepCreate: {"the key of %s is made", "the key of %s was made",
		"Nothing of the year is to be seen from outside before it is published."},
	certs.StepCSR: {"the key of %s is made", "the key of %s was made",
		"It waits for its certificate: have the request signed."},
	certs.StepImport: {"the certificate of %s is due", "the certificate of %s came",
		"A year whose certificate has not come cannot be published."},
	certs.StepPublish: {"%s is published", "%s was published",
		"Its addresses and metadata are open: service providers can move to it from this day. Tell them."},
	certs.StepPrefer: {"%s becomes preferred", "%s became preferred",
		"New integrations are given it; the older year goes on for who still uses it. Ask those who have not moved."},
	certs.StepRetire: {"%s is retired", "%s was retired",
		"Its addresses answer 410 from now on. A year that service providers still use is not retired: see who they are before."},
	certs.StepDestroy: {"the key of %s is destroyed", "the key of %s was destroyed",
		"Its certificate is kept."},
	"": {"our signing certificate (%s) ends", "our signing certificate (%s) ended",
		"Service providers that look at the end of a certificate no longer take what this year signs. Who uses it has to have moved by now."},
}

func (o occasion) summary() string {
	p, ok := phrases[o.Step]
	switch {
	case !ok:
		return fmt.Sprintf("%s %s", o.Step, o.Year)
	case o.revoked && o.Step == certs.StepRetire:
		return fmt.Sprintf("%s was revoked", o.Year)
	case o.past:
		return fmt.Sprintf(p.past, o.Year)
	}
	return fmt.Sprintf(p.coming, o.Year)
}

// description says what it means and what to do.
func (o occasion) description(automatic bool) string {
	lines := []string{phrases[o.Step].means}
	if !o.past {
		lines = append(lines, o.todo(automatic))
		if o.Waits != "" && !o.ByHand {
			lines = append(lines, "It is later than its date in the calendar: vernal rotation plan says why.")
		}
		if o.Stuck {
			lines = append(lines, "It waits for a person, and has no date: vernal rotation plan says why.")
		}
	}
	if o.Step == certs.StepPublish || o.Step == certs.StepPrefer || o.Step == certs.StepRetire || o.Step == "" {
		lines = append(lines, "Who has moved: vernal rotation status, or the board on the admin listener.")
	}
	lines = append(lines, "All dates are at 00:00 UTC.")
	return strings.Join(slices.DeleteFunc(lines, func(s string) bool { return s == "" }), "\n")
}

// todo is who does it, and how.
func (o occasion) todo(automatic bool) string {
	switch {
	case o.Step == "":
		return ""
	case !o.ByHand && automatic || o.Step == certs.StepDestroy:
		return "The server does it by itself."
	case o.Step == certs.StepRetire:
		return fmt.Sprintf("To do by hand: vernal rotation retire %s --yes %s", o.Year, o.Year)
	}
	return fmt.Sprintf("To do by hand: vernal rotation %s %s", o.Step, o.Year)
}
