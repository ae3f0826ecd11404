package templates

import (
	"fmt"
	"html/template"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// quietZone is the width of the light border around a QR code, in modules (ISO/IEC 18004 §6.3.8).
const quietZone = 4

// QRCode returns the QR code of a text as an inline SVG image with the given label. Its colors are
// black on white on every page, because scanners need dark modules on a light ground.
func QRCode(text, label string) (template.HTML, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return "", fmt.Errorf("encode QR code: %w", err)
	}
	size := code.Bounds().Dx()
	var path strings.Builder
	for y := range size {
		for x := 0; x < size; x++ {
			width := 0
			for x+width < size && isDark(code.At(x+width, y).RGBA()) {
				width++
			}
			if width > 0 {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", x+quietZone, y+quietZone, width, width)
				x += width
			}
		}
	}
	side := size + 2*quietZone
	return template.HTML(fmt.Sprintf(
		`<svg class="vernal-qr" role="img" aria-label="%s" viewBox="0 0 %d %d" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h%dv%dh-%dz"/><path d="%s"/></svg>`,
		template.HTMLEscapeString(label), side, side, side, side, side, path.String())), nil
}

func isDark(r, _, _, _ uint32) bool { return r == 0 }
