package adminhttp

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"vernal/idp"
	"vernal/idp/rotation"
	"vernal/idp/sharelink"
	"vernal/idp/web"
	"vernal/templates"
)

const (
	// calendarYears is how far the feed looks ahead, calendarPast how far back.
	calendarYears = 3
	maxPastTime  = 400 * 24 * time.Hour
)

// showCalendar answers with the plan as a feed, for every holder of its URL.
func (h *Handler) showCalendar(w http.ResponseWriter, r *http.Request) error {
	if err := h.checkToken(r, sharelink.Calendar); err != nil {
		return err
	}
	st, err := h.Rotation.Status(r.Context(), nil)
	if err != nil {
		return err
	}
	plan, err := h.Rotation.Plan(r.Context(), calendarYears)
	if err != nil {
		return err
	}
	phrases := templates.PhrasesIn(h.Pages.Base(r, "").Lang)
	f := &feed{host: parseHost(h.Pages.BaseURL), phrases: phrases, command: h.renderCommand}
	calendar := f.write(st, plan)
	sum := sha256.Sum256(calendar)
	header := w.Header()
	header.Set("Content-Type", "text/calendar; charset=utf-8")
	header.Set("Content-Disposition", `inline; filename="vernal.ics"`)
	// Readers must ask each time, because a revoked URL must stop at once.
	header.Set("Cache-Control", "private, no-cache")
	header.Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(calendar))
	return nil
}

// checkToken checks the token in the path. Every failure gets the same answer as an unknown URL.
func (h *Handler) checkToken(r *http.Request, kind sharelink.Kind) error {
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

type feed struct {
	host    string
	phrases *templates.Phrases
	command idp.CommandLine
}

// write returns the feed: future steps, and those within calendarPast. It is the same for a
// whole day of an unchanged plan. It names no service provider, because external services
// store calendars.
func (f *feed) write(st rotation.Status, plan []rotation.UpcomingStep) []byte {
	var events []icalEvent
	seen := map[string]bool{}
	add := func(y idp.Year, step rotation.StepKind, event icalEvent) {
		what := string(step)
		if what == "" {
			what = "certificate-end"
		}
		event.UID, event.Stamp, event.Summary = string(y)+"-"+what+"@"+f.host, st.At.Truncate(24*time.Hour), "Vernal: "+event.Summary
		if !seen[event.UID] {
			events = append(events, event)
		}
		seen[event.UID] = true
	}
	for _, c := range plan {
		// Without a step, list only ends of certificates: an older year expires on the day
		// on which a newer one becomes preferred.
		if c.Step != "" || c.FromState == c.ToState || c.FromState == rotation.Expiring && c.ToState == rotation.Grace {
			add(c.Year, c.Step, f.newStepEvent(c))
		}
	}
	for _, y := range st.Years {
		for _, t := range y.ListTakenSteps(st.At) {
			if st.At.Sub(t.At) <= maxPastTime {
				add(y.Year, t.Kind, icalEvent{Day: t.At, Summary: f.phrases.PastText(t.Kind, y.Year), Description: f.describe(t.Kind)})
			}
		}
	}
	slices.SortStableFunc(events, func(a, b icalEvent) int {
		return cmp.Or(a.Day.Compare(b.Day), cmp.Compare(a.UID, b.UID))
	})
	c := &ical{}
	c.begin(f.phrases.Text("calendar.name"))
	for _, e := range events {
		c.writeEvent(e)
	}
	return c.end()
}

// newStepEvent returns the event of a future step, with the operator's task.
func (f *feed) newStepEvent(c rotation.UpcomingStep) icalEvent {
	e := icalEvent{Day: c.At, Summary: f.phrases.FutureText(c.Step, c.Year)}
	var lines []string
	switch {
	case c.Step == "":
	case c.ByHand:
		e.Alarms = []int{14, 1}
		lines = append(lines, f.phrases.Text("calendar.by_hand", f.command(c.Step.Suggest(c.Year))))
	default:
		lines = append(lines, f.phrases.Text("calendar.server"))
	}
	plan := f.command(idp.Suggest(idp.DoRotationPlan))
	switch {
	case c.Stuck:
		lines = append(lines, f.phrases.Text("calendar.stuck", plan))
	case len(c.Waits) > 0 && !c.ByHand:
		lines = append(lines, f.phrases.Text("calendar.late", plan))
	}
	e.Description = f.describe(c.Step, lines...)
	return e
}

// describe returns the meaning of a step, followed by the lines of more.
func (f *feed) describe(step rotation.StepKind, more ...string) string {
	lines := append([]string{f.phrases.Meaning(step)}, more...)
	if step == "" || step.AffectsSPs() {
		lines = append(lines, f.phrases.Text("calendar.moved", f.command(idp.Suggest(idp.DoRotationStatus))))
	}
	return strings.Join(append(lines, f.phrases.Text("calendar.utc")), "\n")
}

// ical writes iCalendar (RFC 5545): lines that end in CRLF and are at most 75
// octets long, the longer ones folded.
type ical struct{ out bytes.Buffer }

// icalEvent is an event of a whole day.
type icalEvent struct {
	// UID names the event permanently, so that a subscribed calendar moves the event instead
	// of duplicating it.
	UID string
	// Day is the day of its date in UTC.
	Day time.Time
	// Stamp is the moment for which the event is computed (DTSTAMP).
	Stamp                time.Time
	Summary, Description string
	// Alarms are the numbers of days before Day at which to remind.
	Alarms []int
}

// maxLineLength is the most octets of a line, without its end (RFC 5545 §3.1).
const maxLineLength = 75

// writeProperty writes a line as it is.
func (c *ical) writeProperty(name, value string) {
	line := name + ":" + value
	for room := maxLineLength; len(line) > room; room = maxLineLength - 1 {
		cut := room
		for cut > room-utf8.UTFMax && !utf8.RuneStart(line[cut]) {
			cut-- // a folded character breaks clients that read line by line
		}
		c.out.WriteString(line[:cut])
		c.out.WriteString("\r\n ")
		line = line[cut:]
	}
	c.out.WriteString(line)
	c.out.WriteString("\r\n")
}

// writeText writes a line whose value is a text (RFC 5545 §3.3.11).
func (c *ical) writeText(name, value string) { c.writeProperty(name, escapeText(value)) }

// escapeText escapes the characters that have a meaning in a value, and leaves out characters that no
// line may contain: a carriage return would begin a property.
func escapeText(s string) string {
	var out strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case r == '\\' || r == ';' || r == ',':
			out.WriteByte('\\')
			out.WriteRune(r)
		case r == '\n':
			out.WriteString(`\n`)
		case r == '\t':
			out.WriteByte(' ')
		case r < 0x20 || r >= 0x7f && r < 0xa0:
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// begin opens a calendar with a name. It asks readers to load the calendar again twice a day.
func (c *ical) begin(name string) {
	c.writeProperty("BEGIN", "VCALENDAR")
	c.writeProperty("VERSION", "2.0")
	c.writeProperty("PRODID", "-//Vernal//Rotation plan//EN")
	c.writeProperty("CALSCALE", "GREGORIAN")
	c.writeText("NAME", name)
	c.writeText("X-WR-CALNAME", name)
	c.writeProperty("REFRESH-INTERVAL;VALUE=DURATION", "PT12H")
	c.writeProperty("X-PUBLISHED-TTL", "PT12H")
}

func (c *ical) writeEvent(e icalEvent) {
	const day = "20060102"
	c.writeProperty("BEGIN", "VEVENT")
	c.writeText("UID", e.UID)
	c.writeProperty("DTSTAMP", e.Stamp.UTC().Format("20060102T150405Z"))
	c.writeProperty("DTSTART;VALUE=DATE", e.Day.UTC().Format(day))
	c.writeProperty("DTEND;VALUE=DATE", e.Day.UTC().AddDate(0, 0, 1).Format(day))
	c.writeProperty("TRANSP", "TRANSPARENT") // the day stays free for meetings
	c.writeText("SUMMARY", e.Summary)
	c.writeText("DESCRIPTION", e.Description)
	for _, days := range e.Alarms {
		c.writeProperty("BEGIN", "VALARM")
		c.writeProperty("ACTION", "DISPLAY")
		c.writeText("DESCRIPTION", e.Summary)
		c.writeProperty("TRIGGER", "-P"+strconv.Itoa(days)+"D")
		c.writeProperty("END", "VALARM")
	}
	c.writeProperty("END", "VEVENT")
}

// end closes the calendar and returns it.
func (c *ical) end() []byte {
	c.writeProperty("END", "VCALENDAR")
	return c.out.Bytes()
}
