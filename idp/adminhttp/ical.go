package adminhttp

import (
	"bytes"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// ical writes iCalendar (RFC 5545): lines end in CRLF and are folded at 75 octets.
type ical struct{ out bytes.Buffer }

// icalEvent is an all-day event.
type icalEvent struct {
	// UID never changes, so that a calendar moves the event and does not duplicate it.
	UID string
	// Day is in UTC.
	Day time.Time
	// Stamp is the UTC day on which the plan was read (DTSTAMP).
	Stamp                time.Time
	Summary, Description string
	// Alarms are how many days before to remind.
	Alarms []int
}

// icalLine is the maximum length of a line in octets (RFC 5545 §3.1).
const icalLine = 75

func (c *ical) property(name, value string) {
	line := name + ":" + value
	for room := icalLine; len(line) > room; room = icalLine - 1 {
		cut := room
		for cut > room-utf8.UTFMax && !utf8.RuneStart(line[cut]) {
			cut-- // do not split a character: some readers do not unfold
		}
		c.out.WriteString(line[:cut])
		c.out.WriteString("\r\n ")
		line = line[cut:]
	}
	c.out.WriteString(line)
	c.out.WriteString("\r\n")
}

// text writes a property of type TEXT (RFC 5545 §3.3.11).
func (c *ical) text(name, value string) { c.property(name, icalText(value)) }

// icalText escapes special characters and removes control characters: a carriage return
// would begin a new property.
func icalText(s string) string {
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

// begin opens a calendar with a name, and asks readers to reload it twice a day.
func (c *ical) begin(name string) {
	c.property("BEGIN", "VCALENDAR")
	c.property("VERSION", "2.0")
	c.property("PRODID", "-//Vernal//Rotation plan//EN")
	c.property("CALSCALE", "GREGORIAN")
	c.text("NAME", name)
	c.text("X-WR-CALNAME", name)
	c.property("REFRESH-INTERVAL;VALUE=DURATION", "PT12H")
	c.property("X-PUBLISHED-TTL", "PT12H")
}

func (c *ical) event(e icalEvent) {
	const day = "20060102"
	c.property("BEGIN", "VEVENT")
	c.text("UID", e.UID)
	c.property("DTSTAMP", e.Stamp.UTC().Format("20060102T150405Z"))
	c.property("DTSTART;VALUE=DATE", e.Day.UTC().Format(day))
	c.property("DTEND;VALUE=DATE", e.Day.UTC().AddDate(0, 0, 1).Format(day))
	c.property("TRANSP", "TRANSPARENT") // the day remains free for meetings
	c.text("SUMMARY", e.Summary)
	c.text("DESCRIPTION", e.Description)
	for _, days := range e.Alarms {
		c.property("BEGIN", "VALARM")
		c.property("ACTION", "DISPLAY")
		c.text("DESCRIPTION", e.Summary)
		c.property("TRIGGER", "-P"+strconv.Itoa(days)+"D")
		c.property("END", "VALARM")
	}
	c.property("END", "VEVENT")
}

// end closes the calendar and returns it.
func (c *ical) end() []byte {
	c.property("END", "VCALENDAR")
	return c.out.Bytes()
}
