//go:build slow

package inspect_test

import (
	"fmt"
	"strings"
	"testing"

	"vernal/idp/inspect"
)

const many = 100_000

// numbered repeats a format with increasing numbers.
func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// A message is found within any amount of surrounding text, and the number of finds does not
// grow with it.
func TestFindReadsMessageInLongText(t *testing.T) {
	t.Parallel()
	const entry = `{"request":{"url":"https://a.example/?SAMLRequest=AAAA"}}`
	tests := []struct {
		name string
		text string
		want int
	}{
		{"HAR with pictures", `{"log":{"entries":[{"request":{"url":"https://a.example/"},"response":{"content":{"text":"` +
			strings.Repeat("QUJD", 10<<20/4) + `"}}},` + entry + `]}}`, 1},
		{"HAR of many requests", `{"log":{"entries":[` + numbered(`{"request":{"url":"https://a.example/?SAMLRequest=AAAA%d"}},`, many/4) + entry + `]}}`, 50},
		{"HAR of one request again and again", `{"log":{"entries":[` + strings.Repeat(entry+",", many/4) + entry + `]}}`, 1},
		{"HAR that was cut off", `{"log":{"entries":[` + entry + `,{"request":{"url":"https://a.exa`, 1},
		{"HAR of empty entries", `{"log":{"entries":[` + strings.Repeat(`{},`, many) + entry + `]}}`, 1},
		{"JSON nested deep", strings.Repeat("[", many) + `"SAMLRequest=AAAA"` + strings.Repeat("]", many), 0},
		{"objects nested deep", strings.Repeat(`{"a":`, many) + `"SAMLRequest=AAAA"` + strings.Repeat("}", many), 0},
		{"message before what is nested deep", `["SAMLRequest=AAAA",` + strings.Repeat("[", many), 1},
		{"JSON of many messages", `[` + numbered(`"SAMLRequest=AAAA%d",`, many/10) + `""]`, 50},
		{"JSON of many numbers", `[` + strings.Repeat(`1e999,`, many) + `"SAMLRequest=AAAA"]`, 1},
		{"page of many forms", `<form>` + numbered(`<input name="SAMLRequest" value="AAAA%d"></form><form>`, many/10), 50},
		{"form of many inputs", `<form>` + strings.Repeat(`<input name="SAMLRequest" value="AAAA">`, many) + `</form>`, 1},
		{"input of many attributes", `<form><input ` + strings.Repeat(`a="b" `, many) + `name="SAMLRequest" value="AAAA"></form>`, 1},
		{"words without end", strings.Repeat("SAMLReque", many) + " SAMLRequest=AAAA", 1},
		{"log of many lines", numbered("GET /?SAMLRequest=AAAA%d 302\n", many/10), 50},
		{"log of one message in many lines", strings.Repeat("GET /?SAMLRequest=AAAA 302\n", many/10), 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			all := inspect.Find(tt.text)
			if tt.want == 0 { // then the whole text is at most one message
				if len(all) != 1 || all[0].URL != "" {
					t.Errorf("%d messages", len(all))
				}
				return
			}
			if len(all) != tt.want || !strings.Contains(all[0].Query, "SAMLRequest=AAAA") {
				t.Errorf("%d messages, want %d", len(all), tt.want)
			}
		})
	}
}
