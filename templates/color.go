package templates

import (
	"encoding/hex"
	"fmt"
	"math"
	"regexp"
	"strings"
)

// Color is an sRGB color.
type Color struct{ R, G, B uint8 }

// White is the color of the text on buttons, and of pages in light mode.
var White = Color{255, 255, 255}

var colorPattern = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

// ParseColor parses #rrggbb.
func ParseColor(text string) (Color, error) {
	if !colorPattern.MatchString(text) {
		return Color{}, fmt.Errorf("%q is not a color such as #005ea2", text)
	}
	raw, err := hex.DecodeString(text[1:])
	if err != nil {
		return Color{}, err
	}
	return Color{raw[0], raw[1], raw[2]}, nil
}

func (c Color) String() string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

// Contrast returns the contrast ratio of two colors, from 1 to 21 (WCAG 2.2, contrast
// ratio).
func (c Color) Contrast(other Color) float64 {
	a, b := c.luminance(), other.luminance()
	return (max(a, b) + 0.05) / (min(a, b) + 0.05)
}

// luminance returns the relative luminance (WCAG 2.2).
func (c Color) luminance() float64 {
	linear := func(v uint8) float64 {
		s := float64(v) / 255
		if s <= 0.04045 {
			return s / 12.92
		}
		return math.Pow((s+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
}

// darken returns a darker color, for a button under the pointer.
func (c Color) darken(percent int) Color {
	part := func(v uint8) uint8 { return uint8(int(v) * percent / 100) }
	return Color{part(c.R), part(c.G), part(c.B)}
}

// Stylesheet returns the rules that apply the color to header and buttons. Only light pages
// have text in the color. On dark pages, a border makes dark buttons visible.
func (c Color) Stylesheet() []byte {
	return []byte(strings.NewReplacer("COLOR", c.String(), "HOVER", c.darken(80).String(), "PRESSED", c.darken(60).String()).Replace(
		`.vernal-header { border-top: 0.375rem solid COLOR }
.usa-button:not(.usa-button--outline, .usa-button--unstyled) { background-color: COLOR; color: #fff }
.usa-button:not(.usa-button--outline, .usa-button--unstyled):hover { background-color: HOVER; color: #fff }
.usa-button:not(.usa-button--outline, .usa-button--unstyled):active { background-color: PRESSED; color: #fff }
@media (prefers-color-scheme: light) {
  .vernal-brand { color: COLOR }
  .usa-button--outline, .usa-button--outline:hover, .usa-button--outline:active, .usa-button--outline:visited { box-shadow: inset 0 0 0 2px COLOR; color: COLOR }
}
@media (prefers-color-scheme: dark) {
  .usa-button:not(.usa-button--outline, .usa-button--unstyled) { box-shadow: inset 0 0 0 1px rgb(255 255 255 / 0.6) }
}
`))
}
