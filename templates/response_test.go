package templates

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var trickyValues = []struct{ name, value string }{
	{"empty", ""},
	{"plain", "state-123_~"},
	{"quotes", `a"b'c` + "`"},
	{"markup", `<script>&lt;</script>&amp;&`},
	{"plus and percent", "a+b%20c%zz"},
	{"unicode", "Zürich \u202e 日本 🌱 \u2028"},
	{"line ends", "a\nb\r\nc\rd\t"},
	{"action", "{{.}} {0} [[x]]"},
	{"sentinel", sentinels[slotXML] + sentinels[slotRelay]},
	{"control", "\x01\x7f"},
}

// TestFastResponseMatchesTemplate compares the fast path with html/template, byte by byte.
func TestFastResponseMatchesTemplate(t *testing.T) {
	t.Parallel()
	s := mustNew(t)
	check := func(t *testing.T, p ResponsePage) {
		t.Helper()
		var want bytes.Buffer
		// Line ends are where the two differ on purpose: stand-ins go through.
		mark, unmark := strings.NewReplacer("\n", "\uE00A", "\r", "\uE00D"), strings.NewReplacer("\uE00A", "&#10;", "\uE00D", "&#13;")
		d := responseData{ResponsePage: p, SAMLResponse: base64.StdEncoding.EncodeToString(p.XML)}
		d.RelayState, d.SPName, d.Brand, d.Nonce = mark.Replace(p.RelayState), mark.Replace(p.SPName), mark.Replace(p.Brand), mark.Replace(p.Nonce)
		if err := s.selectLanguage(p.Lang).writeHTML(&want, "response", d); err != nil {
			t.Fatal(err)
		}
		got, err := s.AppendResponse([]byte("before"), p)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff("before"+unmark.Replace(want.String()), string(got)); diff != "" {
			t.Error(diff)
		}
	}
	for _, tt := range trickyValues {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			xml := []byte(tt.value)
			check(t, ResponsePage{ACSURL: "https://a.example/acs", XML: xml, RelayState: tt.value, HasRelay: true})
			check(t, ResponsePage{ACSURL: "https://a.example/acs", XML: xml, RelayState: tt.value})
			check(t, ResponsePage{ACSURL: "HTTP://a.example/acs?q=" + tt.value, HasRelay: true,
				Base: Base{SPName: tt.value, Brand: tt.value, Nonce: tt.value}})
		})
	}
	t.Run("every length and byte", func(t *testing.T) {
		t.Parallel()
		var all []byte
		for i := range 4000 {
			all = append(all, byte(i*i>>3))
		}
		for n := 0; n < len(all); n += 97 {
			check(t, ResponsePage{ACSURL: "https://a.example/acs", XML: all[:n]})
		}
	})
}

// TestResponseFormHoldsWhatWasGiven checks that a browser would send exactly the given values.
func TestResponseFormHoldsWhatWasGiven(t *testing.T) {
	t.Parallel()
	s := mustNew(t)
	for _, tt := range trickyValues {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			const acs = "https://sp.example/acs?a=1&b=2"
			xml := []byte("<Response>" + tt.value + "\xfb\xff</Response>")
			for _, has := range []bool{true, false} {
				page, err := s.AppendResponse(nil, ResponsePage{Base: Base{Nonce: "n+1/="}, ACSURL: acs, XML: xml, RelayState: tt.value, HasRelay: has})
				if err != nil {
					t.Fatal(err)
				}
				doc := parseHTML(t, page)
				form := find(doc, "form")
				if len(form) != 1 || attr(form[0], "action") != acs || attr(form[0], "method") != "post" {
					t.Fatalf("form: %+v", form)
				}
				want := []string{"hidden SAMLResponse=" + base64.StdEncoding.EncodeToString(xml)}
				if has {
					want = append(want, "hidden RelayState="+tt.value)
				}
				var got []string
				for _, in := range find(form[0], "input") {
					got = append(got, attr(in, "type")+" "+attr(in, "name")+"="+attr(in, "value"))
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
				if b := find(form[0], "button"); len(b) != 1 || attr(b[0], "name") != "" {
					t.Error("the form wants one button without a name")
				}
				if sc := find(doc, "script"); len(sc) != 1 || attr(sc[0], "nonce") != "n+1/=" {
					t.Error("the page wants one script with the nonce")
				}
			}
		})
	}
}

func TestResponseRefusesSchemes(t *testing.T) {
	t.Parallel()
	s := mustNew(t)
	for _, acs := range []string{"", "javascript:alert(1)", "javascript://x/%0aalert(1)", "data:text/html,x", "//a.example/", "/acs", " https://a.example/", "ftp://a.example/"} {
		if page, err := s.AppendResponse(nil, ResponsePage{ACSURL: acs}); err == nil || page != nil {
			t.Errorf("%q was taken", acs)
		}
	}
}

func TestResponsePageAllocatesNothing(t *testing.T) {
	s := mustNew(t)
	p := benchPage()
	buf := make([]byte, 0, 32<<10)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := s.AppendResponse(buf, p); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func benchPage() ResponsePage {
	return ResponsePage{Base: Base{SPName: spName, Nonce: "bm9uY2U"}, ACSURL: "https://sp.example/acs",
		XML: bytes.Repeat([]byte("<Response>\xfb\xef</Response>"), 250), RelayState: "/deep/link?x=1", HasRelay: true}
}

func BenchmarkResponse(b *testing.B) {
	s := mustNew(b)
	p := benchPage()
	buf := make([]byte, 0, 32<<10)
	b.ReportAllocs()
	for b.Loop() {
		page, err := s.AppendResponse(buf[:0], p)
		if err != nil {
			b.Fatal(err)
		}
		buf = page
	}
	b.SetBytes(int64(len(buf)))
}
