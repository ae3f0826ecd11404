package adminhttp

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/rotation"
	"vernal/idp/sharelink"
)

// unfold gives the lines of a calendar as they were before folding, and fails
// on what RFC 5545 does not allow.
func unfold(t *testing.T, file string) []string {
	t.Helper()
	if !strings.HasSuffix(file, "\r\n") {
		t.Errorf("the last line has no end: %q", file[max(0, len(file)-20):])
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(file, "\r\n"), "\r\n") {
		if len(line) > 75 || strings.ContainsAny(line, "\r\n") || !utf8.ValidString(line) {
			t.Errorf("line of %d octets: %q", len(line), line)
		}
	}
	return strings.Split(strings.TrimSuffix(strings.ReplaceAll(file, "\r\n ", ""), "\r\n"), "\r\n")
}

func TestCalendarTextIsFoldedAndEscaped(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, value, want string
	}{
		{"short", "ends", "ends"},
		{"as long as may be", strings.Repeat("x", 73), strings.Repeat("x", 73)},
		{"one more", strings.Repeat("x", 74), strings.Repeat("x", 74)},
		{"three lines", strings.Repeat("x", 200), strings.Repeat("x", 200)},
		{"two octets", strings.Repeat("ä", 100), strings.Repeat("ä", 100)},
		{"three octets", "x" + strings.Repeat("年", 100), "x" + strings.Repeat("年", 100)},
		{"four octets", "xyz" + strings.Repeat("🌱", 100), "xyz" + strings.Repeat("🌱", 100)},
		{"marks", `a,b;c\d`, `a\,b\;c\\d`},
		{"lines", "a\nb", `a\nb`},
		{"a property of its own", "a\r\nATTENDEE:mailto:x@example", `a\nATTENDEE:mailto:x@example`},
		{"lone return", "a\rb", "ab"},
		{"controls", "a\x00\x1b\x7f\u0085b\tc", "ab c"},
		{"not UTF-8", "a\xff\xfeb", "a\uFFFDb"},
		{"escapes at the fold", strings.Repeat(",", 60), strings.Repeat(`\,`, 60)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := &ical{}
			c.writeText("N", tt.value)
			if diff := cmp.Diff([]string{"N:" + tt.want}, unfold(t, c.out.String())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// events reads a feed into its events: property to value.
func events(t *testing.T, lines []string) (all []map[string]string) {
	t.Helper()
	if lines[0] != "BEGIN:VCALENDAR" || lines[len(lines)-1] != "END:VCALENDAR" {
		t.Fatalf("%q", lines)
	}
	var event map[string]string
	alarm := false
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		switch {
		case line == "BEGIN:VEVENT":
			event = map[string]string{}
		case line == "END:VEVENT":
			all = append(all, event)
		case line == "BEGIN:VALARM" || line == "END:VALARM":
			alarm = !alarm
		case alarm && name == "TRIGGER":
			event["alarms"] += value
		case !alarm && event != nil:
			event[name] = value
		}
	}
	return all
}

// TestCalendarListsEachRotationStep checks that each step of the plan has its day, and that
// a past step keeps its event under the same UID.
func TestCalendarListsEachRotationStep(t *testing.T) {
	t.Parallel()
	w := populated(t)
	path, _ := w.link(sharelink.Link{Kind: sharelink.Calendar})
	rec := w.get(path)
	for name, want := range map[string]string{"Content-Type": "text/calendar; charset=utf-8", "Cache-Control": "private, no-cache", "Referrer-Policy": "no-referrer"} {
		if got := rec.Header().Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	all := events(t, unfold(t, rec.Body.String()))
	got := map[string]string{}
	for _, e := range all {
		uid := strings.TrimSuffix(e["UID"], "@login.example.gov")
		if got[uid] != "" || uid == e["UID"] {
			t.Errorf("UID %q", e["UID"])
		}
		got[uid] = e["DTSTART;VALUE=DATE"] + " " + e["SUMMARY"] + e["alarms"]
		if e["DTSTAMP"] != "20310302T000000Z" || e["DESCRIPTION"] == "" {
			t.Errorf("%v", e)
		}
	}
	for uid, want := range map[string]string{
		"2031-prefer":          "20310302 Vernal: 2031 became preferred",
		"2030-certificate-end": "20310401 Vernal: our signing certificate (2030) ends",
		"2030-retire":          "20310701 Vernal: 2030 is retired",
		"2030-destroy":         "20310731 Vernal: the key of 2030 is destroyed",
		"2032-create":          "20320115 Vernal: the key of 2032 is created",
		"2032-publish":         "20320201 Vernal: 2032 is published",
		"2032-prefer":          "20320301 Vernal: 2032 becomes preferred",
		"2033-prefer":          "20330301 Vernal: 2033 becomes preferred",
	} {
		if got[uid] != want {
			t.Errorf("%s: %q, want %q", uid, got[uid], want)
		}
	}
	if body := rec.Body.String(); strings.Contains(body, "example.gov/saml") || strings.Contains(body, "Bureau") {
		t.Errorf("the feed names a service provider:\n%s", body)
	}

	// Asked again on the same day, nothing is sent.
	w.Clock.Advance(time.Hour)
	again := w.get(path, "If-None-Match", rec.Header().Get("ETag"))
	if again.Code != http.StatusNotModified || again.Body.Len() != 0 {
		t.Errorf("asked again: %d %d", again.Code, again.Body.Len())
	}
	// A year later, what was foretold has happened, under the same UID.
	for _, at := range []time.Time{time.Date(2031, 7, 1, 1, 0, 0, 0, time.UTC), time.Date(2032, 1, 15, 1, 0, 0, 0, time.UTC)} {
		w.Clock.Set(at)
		w.automatic()
	}
	for _, e := range events(t, unfold(t, w.get(path).Body.String())) {
		if e["UID"] == "2032-create@login.example.gov" && e["SUMMARY"] != "Vernal: the key of 2032 was created" {
			t.Errorf("%v", e)
		}
	}
}

// TestCalendarRemindsOfManualSteps checks that each manual step has a reminder that says how
// to take it.
func TestCalendarRemindsOfManualSteps(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	w.watch.Rotation.Policy.Manual = true
	w.watch.CommandLine = func(s idp.Suggestion) string { return fmt.Sprintf("do:%s%v%v", s.Do, s.Subjects, s.Options) }
	path, _ := w.link(sharelink.Link{Kind: sharelink.Calendar})
	found := map[string]map[string]string{}
	for _, e := range events(t, unfold(t, w.get(path).Body.String())) {
		found[strings.TrimSuffix(e["UID"], "@login.example.gov")] = e
	}
	for uid, want := range map[string]struct{ alarms, command string }{
		"2032-publish":         {"-P14D-P1D", "do:rotation.publish[2032][]"},
		"2030-retire":          {"-P14D-P1D", "do:rotation.retire[2030][{yes 2030}]"},
		"2030-certificate-end": {"", ""},
		"2031-prefer":          {"", ""}, // it has happened
	} {
		if e := found[uid]; e["alarms"] != want.alarms || !strings.Contains(e["DESCRIPTION"], want.command) {
			t.Errorf("%s: %v", uid, e)
		}
	}
}

// TestCalendarShowsRolledBackStepOnce checks that a rolled back step is planned again and
// has a single event.
func TestCalendarShowsRolledBackStepOnce(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	path, _ := w.link(sharelink.Link{Kind: sharelink.Calendar})
	_, err := w.watch.Rotation.Take(t.Context(), rotation.Step{Kind: rotation.StepRollback, Year: "2030", HoldEndAt: w.Clock.Now().Add(10 * 24 * time.Hour), Reason: "not ready"}, "test", false)
	w.ok(err)
	var got []string
	for _, e := range events(t, unfold(t, w.get(path).Body.String())) {
		if e["UID"] == "2031-prefer@login.example.gov" {
			got = append(got, e["DTSTART;VALUE=DATE"]+" "+e["SUMMARY"])
		}
	}
	if diff := cmp.Diff([]string{"20310312 Vernal: 2031 becomes preferred"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
