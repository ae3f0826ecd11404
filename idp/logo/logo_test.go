package logo_test

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/png"
	"strings"
	"testing"

	"vernal/idp/logo"
	"vernal/idp/xmltree"
)

const open = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9">` + "\n"

// plain is a drawing as editors save it.
const plain = `<?xml version="1.0" encoding="UTF-8"?>
<!-- Made by an editor -->
<svg xmlns="http://www.w3.org/2000/svg" xmlns:i="http://www.inkscape.org/namespaces/inkscape" xmlns:xlink="http://www.w3.org/1999/xlink" i:version="1.3" version="1.1" viewBox="0 0 24 24" data-name="x">
<title>Agency</title>
<metadata><i:rdf onload="x"/></metadata>
<i:view><i:grid/></i:view>
<defs><linearGradient id="a"><stop offset="0" stop-color="#fff"/></linearGradient><linearGradient id="b" xlink:href="#a"/></defs>
<style>.c{fill:#123456;stroke:rgb(1, 2, 3)}</style>
<g transform="translate(1 2)" style="opacity:.5"><path id="curl" class="c" fill="url(#b)" d="M0 0h9z"/></g>
</svg>`

func TestDrawingIsKeptWithoutWhatEditorsAdd(t *testing.T) {
	t.Parallel()
	got, err := logo.Parse([]byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	if got.Type != logo.TypeSVG || !strings.HasSuffix(got.Name(), ".svg") {
		t.Errorf("type %q, name %q", got.Type, got.Name())
	}
	text := string(got.Data)
	for _, want := range []string{`viewBox="0 0 24 24"`, `fill="url(#b)"`, `href="#a"`, `d="M0 0h9z"`, `transform="translate(1 2)"`, ".c{fill:#123456"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in %s", want, text)
		}
	}
	for _, bad := range []string{"inkscape", "metadata", "onload", "data-name", "xlink", "<!--", "<?xml"} {
		if strings.Contains(text, bad) {
			t.Errorf("%q is left in %s", bad, text)
		}
	}
}

func TestDangerousDrawingsAreRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, body string
		line       int
	}{
		{"script", "<script>alert(1)</script>", 2},
		{"script in a group", "<g>\n<g>\n<script/></g></g>", 4},
		{"script after a comment with a tag", "<!-- <a>\n<b> -->\n<script/>", 4},
		{"script after foreign elements", "<metadata>\n<g/>\n</metadata>\n<script/>", 5},
		{"script with a prefix", `<s:script xmlns:s="http://www.w3.org/2000/svg"/>`, 2},
		{"event attribute", `<path onclick="alert(1)"/>`, 2},
		{"event attribute in capitals", `<path ONLOAD="alert(1)"/>`, 2},
		{"event attribute of a namespace", `<path xlink:onload="alert(1)"/>`, 2},
		{"foreignObject", `<foreignObject><body xmlns="http://www.w3.org/1999/xhtml"/></foreignObject>`, 2},
		{"image", `<image href="https://evil.example/x.png"/>`, 2},
		{"use", `<use href="#a"/>`, 2},
		{"use of another file", `<use xlink:href="https://evil.example/x.svg#a"/>`, 2},
		{"link", `<a href="javascript:alert(1)"><path/></a>`, 2},
		{"animation of a link", `<animate attributeName="href" values="javascript:alert(1)"/>`, 2},
		{"set", `<set attributeName="onclick" to="alert(1)"/>`, 2},
		{"pattern", `<pattern id="p"/>`, 2},
		{"filter", `<filter id="f"><feImage href="x"/></filter>`, 2},
		{"href out of the file", `<linearGradient href="https://evil.example/#a"/>`, 2},
		{"xlink:href out of the file", `<linearGradient xlink:href="//evil.example/#a"/>`, 2},
		{"href with data", `<linearGradient href="data:image/svg+xml,x"/>`, 2},
		{"fill from another file", `<path fill="url(https://evil.example/#a)"/>`, 2},
		{"fill with an escape", `<path fill="u\72l(https://evil.example/#a)"/>`, 2},
		{"fill with two", `<path fill="url(#a) url(//evil.example)"/>`, 2},
		{"mask from another file", `<path mask="URL( '//evil.example/m' )"/>`, 2},
		{"style with url", `<path style="fill:url(#a)"/>`, 2},
		{"style with url of another file", `<path style="background:URL(//evil.example)"/>`, 2},
		{"style with an escape", `<path style="fill:\75rl(//evil.example)"/>`, 2},
		{"style with a comment", `<path style="fill:ur/**/l(//evil.example)"/>`, 2},
		{"style with image-set", `<path style="background:image-set('//evil.example' 1x)"/>`, 2},
		{"style with expression", `<path style="width:expression(alert(1))"/>`, 2},
		{"style element with import", `<style>@import "//evil.example/x.css";</style>`, 2},
		{"style element with font", `<style>@font-face{src:url(//evil.example)}</style>`, 2},
		{"style element with markup", `<style><g/></style>`, 2},
		{"style element with escaped markup", `<style>&lt;/style&gt;&lt;script&gt;</style>`, 2},
		{"iframe", `<iframe src="//evil.example"/>`, 2},
		{"handler", `<handler/>`, 2},
	}
	for _, tt := range tests {
		_, err := logo.Parse([]byte(open + tt.body + "</svg>"))
		refused, ok := errors.AsType[*logo.Error](err)
		if !ok {
			t.Errorf("%s: error %v, want *logo.Error", tt.name, err)
		} else if refused.Line != tt.line || refused.Reason == "" {
			t.Errorf("%s: line %d, want %d (%v)", tt.name, refused.Line, tt.line, err)
		}
	}
}

func TestOtherFilesAreRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, file string
		line       int
	}{
		{"empty", "", 0},
		{"text", "logo", 0},
		{"GIF", "GIF89a\x01\x00", 0},
		{"HTML", "<html>\n<body></body></html>", 1},
		{"svg without namespace", `<svg viewBox="0 0 1 1"/>`, 1},
		{"no size", `<svg xmlns="http://www.w3.org/2000/svg"/>`, 1},
		{"document type", "\n<!DOCTYPE svg [<!ENTITY a \"b\">]>\n" + open + "</svg>", 2},
		{"stylesheet", "<?xml version=\"1.0\"?>\n<?xml-stylesheet href=\"//evil.example\"?>" + open + "</svg>", 2},
		{"not closed", open + "<g>", 2},
		{"too long", open + strings.Repeat(" ", logo.MaxBytes) + "</svg>", 0},
		{"too deep", open + strings.Repeat("<g>", 40) + strings.Repeat("</g>", 40) + "</svg>", 2},
		{"damaged PNG", "\x89PNG\r\n\x1a\nxxxx", 0},
	}
	for _, tt := range tests {
		_, err := logo.Parse([]byte(tt.file))
		refused, ok := errors.AsType[*logo.Error](err)
		if !ok || refused.Line != tt.line {
			t.Errorf("%s: error %v, want line %d", tt.name, err, tt.line)
		}
	}
}

// encodePNG returns a PNG with one red pixel.
func encodePNG(t *testing.T, width, height int) []byte {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	img.Set(0, 0, color.NRGBA{R: 255, A: 128})
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestPNGIsWrittenAgain(t *testing.T) {
	t.Parallel()
	const hidden = "<script>alert(1)</script>"
	got, err := logo.Parse(append(encodePNG(t, 3, 2), hidden...))
	if err != nil {
		t.Fatal(err)
	}
	if got.Type != logo.TypePNG || bytes.Contains(got.Data, []byte(hidden)) {
		t.Errorf("type %q, bytes after the image kept", got.Type)
	}
	img, err := png.Decode(bytes.NewReader(got.Data))
	if err != nil {
		t.Fatal(err)
	}
	if img.Bounds() != image.Rect(0, 0, 3, 2) || color.NRGBAModel.Convert(img.At(0, 0)) != (color.NRGBA{R: 255, A: 128}) {
		t.Errorf("bounds %v, pixel %v", img.Bounds(), img.At(0, 0))
	}
}

// A few kilobytes can require gigabytes.
func TestLargePNGIsRefusedBeforeItIsDecoded(t *testing.T) {
	t.Parallel()
	if _, err := logo.Parse(encodePNG(t, 1025, 1)); err == nil {
		t.Error("a PNG with 1025 pixels in a row was accepted")
	}
	if _, err := logo.Parse(encodePNG(t, 1, 1025)); err == nil {
		t.Error("a PNG with 1025 rows was accepted")
	}
}

// FuzzParse checks that the result of Parse is stable, and contains nothing that runs or
// loads.
func FuzzParse(f *testing.F) {
	f.Add([]byte(plain))
	for _, body := range []string{`<path style="fill:#fff" fill="url(#a)"/>`, `<style>a{b:c}</style>`, `<a:b xmlns:a="urn:a"/>`, `<linearGradient xlink:href="#a" href="#b"/>`, "<text>&lt;script&gt;<![CDATA[x]]></text>"} {
		f.Add([]byte(open + body + "</svg>"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := logo.Parse(data)
		if err != nil {
			if _, ok := errors.AsType[*logo.Error](err); !ok {
				t.Errorf("error of type %T", err)
			}
			return
		}
		if got.Type != logo.TypeSVG || len(got.Data) > logo.MaxBytes {
			return
		}
		again, err := logo.Parse(got.Data)
		if err != nil || !bytes.Equal(again.Data, got.Data) {
			t.Fatalf("written again: %v\n%s", err, got.Data)
		}
		root, err := xmltree.Parse(got.Data, xmltree.MetadataLimits())
		if err != nil {
			t.Fatal(err)
		}
		for e := range root.All() {
			if e.Space != "http://www.w3.org/2000/svg" || e.Local == "script" || e.Local == "foreignObject" {
				t.Errorf("element %s in %q", e.Local, e.Space)
			}
			for _, a := range e.Attrs {
				if a.Space != "" || strings.HasPrefix(strings.ToLower(a.Local), "on") || a.Local == "href" && !strings.HasPrefix(a.Value, "#") {
					t.Errorf("attribute %s=%q", a.Local, a.Value)
				}
			}
		}
	})
}
