package templates

import (
	"strings"
	"testing"
)

func TestHelpTextIsSanitized(t *testing.T) {
	t.Parallel()
	const name = `A & "B" <i>`
	tests := []struct {
		name, text, want string
	}{
		{"none", "  \n", ""},
		{"plain", "Line one\n\n2 & 3 %{sp_name}\n", "<p>Line one</p><p>2 &amp; 3 A &amp; &#34;B&#34; &lt;i&gt;</p>"},
		{"allowed", "<p>a<br>b</p><ol><li>c</li></ol><ul><li><strong>d</strong></li></ul><em>e</em><b>f</b>",
			"<p>a<br>b</p><ol><li>c</li></ol><ul><li><strong>d</strong></li></ul><em>e</em><b>f</b>"},
		{"attributes go", `<p class="x" style="color:red" onclick="x()">a</p>`, "<p>a</p>"},
		{"link", `<a href="https://x.example/a?b=1&amp;c=2" target="_blank" id="x">a</a>`,
			`<a class="usa-link" href="https://x.example/a?b=1&amp;c=2" target="_blank" rel="noopener noreferrer">a</a>`},
		{"mail", `<a href="mailto:help@x.example" target="_top">a</a>`, `<a class="usa-link" href="mailto:help@x.example">a</a>`},
		{"script address", "<a href=\" java\tscript:alert(1)\">a</a><a href='data:text/html,x'>b</a><a href='//x.example'>c</a><a href='/sign-in'>d</a><a>e</a>", "abcde"},
		{"quotes in an address", `<a href='https://x.example/"><script>'>a</a>`, `<a class="usa-link" href="https://x.example/%22%3E%3Cscript%3E">a</a>`},
		{"other elements", `<h1>a</h1><div>b<img src=x onerror=y></div><form action=/x><input name=password>c</form>`, "abc"},
		{"hidden elements", `a<script>alert(1)</script><style>b{}</style><textarea><b>c</b></textarea><iframe src=x>d</iframe><!-- e -->f`, "af"},
		{"foreign elements", `a<svg><a href="https://x.example">b</a></svg><math><mi>c</mi></math>d`, "ad"},
		{"unclosed", `<p>a <b>b<p>c</div>d`, "<p>a <b>b</b></p><p><b>cd</b></p>"},
		{"placeholders", `<p>%{app_name} %{sp_name}<a href="%{sp_create_link}">new</a></p>`, "<p>Vernal A &amp; &#34;B&#34; &lt;i&gt;new</p>"},
		{"placeholder in an address", `<a href="https://x.example/?q=%{sp_name}">a</a>`, `<a class="usa-link" href="https://x.example/?q=%{sp_name}">a</a>`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := tt.want
			if want != "" {
				want = `<div lang="en">` + want + "</div>"
			}
			if got := string(renderHelp("en", map[string]string{"en": tt.text}, name, "Vernal")); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// TestHelpFallsBackToEnglish checks that English replaces a missing language, and is marked
// for users of screen readers.
func TestHelpFallsBackToEnglish(t *testing.T) {
	t.Parallel()
	texts := map[string]string{"en": "Help", "es": "Ayuda"}
	tests := []struct {
		name  string
		lang  Lang
		texts map[string]string
		want  string
	}{
		{"its own", "es", texts, `lang="es"><p>Ayuda<`},
		{"in its stead", "fr", texts, `lang="en"><p>Help<`},
		{"none", "fr", map[string]string{"es": "Ayuda"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := string(renderHelp(tt.lang, tt.texts, "", "Vernal"))
			if !strings.Contains(got, tt.want) || (got == "") != (tt.want == "") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// FuzzHelp checks that for any text, a browser finds only elements on the list.
func FuzzHelp(f *testing.F) {
	f.Add(`<p>a<a href="https://x.example" target="_blank">b</a>`)
	f.Add(`<svg><style><img src=x onerror=alert(1)></style></svg>`)
	f.Add("<a href='java\x00script:x'><b><p></table>")
	f.Fuzz(func(t *testing.T, text string) {
		out := string(renderHelp("en", map[string]string{"en": text}, "SP", "Vernal"))
		for n := range parseHTML(t, []byte(out)).Descendants() {
			if n.Data == "div" || n.Data == "html" || n.Data == "head" || n.Data == "body" || n.DataAtom == 0 {
				continue
			}
			if open, _ := (&helpWriter{fill: strings.NewReplacer()}).openTag(n); open == "" {
				t.Fatalf("%q gives %q, with <%s>", text, out, n.Data)
			}
			for _, a := range n.Attr {
				if n.Data != "a" || a.Key != "class" && a.Key != "href" && a.Key != "target" && a.Key != "rel" {
					t.Fatalf("%q gives %q, with %s=%q", text, out, a.Key, a.Val)
				}
			}
		}
	})
}
