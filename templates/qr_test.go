package templates

import (
	"encoding/xml"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/boombuler/barcode/qr"
)

var subpath = regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-(\d+)z`)

// The dark modules of the picture are exactly those of the code.
func TestQRCodeDrawsEachModule(t *testing.T) {
	t.Parallel()
	const text = "otpauth://totp/Vernal:ada@example.gov?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Vernal"
	svg, err := QRCode(text, `a "label" & more`)
	if err != nil {
		t.Fatal(err)
	}
	var image struct {
		Label string `xml:"aria-label,attr"`
		Paths []struct {
			D    string `xml:"d,attr"`
			Fill string `xml:"fill,attr"`
		} `xml:"path"`
	}
	if err := xml.NewDecoder(strings.NewReader(string(svg))).Decode(&image); err != nil {
		t.Fatal(err)
	}
	if image.Label != `a "label" & more` || len(image.Paths) != 2 || image.Paths[0].Fill != "#fff" {
		t.Fatalf("image %+v", image)
	}
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		t.Fatal(err)
	}
	drawn := map[[2]int]bool{}
	for _, m := range subpath.FindAllStringSubmatch(image.Paths[1].D, -1) {
		x, _ := strconv.Atoi(m[1])
		y, _ := strconv.Atoi(m[2])
		width, _ := strconv.Atoi(m[3])
		for i := range width {
			drawn[[2]int{x + i - quietZone, y - quietZone}] = true
		}
	}
	size := code.Bounds().Dx()
	for y := range size {
		for x := range size {
			if dark := isDark(code.At(x, y).RGBA()); dark != drawn[[2]int{x, y}] {
				t.Fatalf("module %d, %d: dark %v, drawn %v", x, y, dark, drawn[[2]int{x, y}])
			}
		}
	}
	if _, err := QRCode(strings.Repeat("x", 5000), ""); err == nil {
		t.Error("a text that is too long gives a code")
	}
}
