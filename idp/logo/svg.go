package logo

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"vernal/idp/xmltree"
)

const (
	svgNamespace   = "http://www.w3.org/2000/svg"
	xlinkNamespace = "http://www.w3.org/1999/xlink"
)

// svgLimits returns limits far above the needs of a logo.
func svgLimits() xmltree.Limits {
	return xmltree.Limits{Bytes: MaxBytes, Depth: 32, Elements: 2000, Attrs: 64, AllAttrs: 10000, Scope: 64, Comments: true}
}

// parseSet returns the set of the words of a text.
func parseSet(words string) map[string]bool {
	set := make(map[string]bool)
	for _, w := range strings.Fields(words) {
		set[w] = true
	}
	return set
}

// allowedElements draw shapes. Elements that repeat others (use, pattern) are not included,
// because a few lines of them can keep a browser busy for hours.
var allowedElements = parseSet(`svg g defs title desc path rect circle ellipse line polyline polygon
	linearGradient radialGradient stop clipPath mask text tspan style switch`)

// droppedElements are removed with their content. Editors write them, and no browser draws
// them.
var droppedElements = parseSet("metadata")

var allowedAttributes = parseSet(`id class style transform viewBox width height x y x1 y1 x2 y2 cx cy r rx ry fx fy fr
	d points dx dy rotate textLength lengthAdjust pathLength preserveAspectRatio
	gradientUnits gradientTransform spreadMethod offset clipPathUnits maskUnits maskContentUnits
	fill fill-opacity fill-rule stroke stroke-width stroke-linecap stroke-linejoin stroke-miterlimit
	stroke-dasharray stroke-dashoffset stroke-opacity opacity color display visibility overflow
	stop-color stop-opacity clip-path clip-rule mask mask-type paint-order vector-effect
	font-family font-size font-weight font-style font-stretch text-anchor letter-spacing word-spacing
	dominant-baseline alignment-baseline baseline-shift shape-rendering text-rendering color-interpolation
	href`)

var (
	referencePattern = regexp.MustCompile(`^#[A-Za-z_][\w.-]*$`)
	localURLPattern       = regexp.MustCompile(`^url\(\s*['"]?#[A-Za-z_][\w.-]*['"]?\s*\)$`)
	// callPattern matches a CSS function, including all that load a file.
	callPattern = regexp.MustCompile(`([A-Za-z_-]*)\s*\(`)
)

var allowedCalls = parseSet("rgb rgba hsl hsla matrix translate translatex translatey scale scalex scaley rotate skewx skewy calc")

// svgWriter writes the allowed part of a drawing.
type svgWriter struct {
	*xmltree.Writer
	source []byte
	count  int // elements seen, in document order
}

// parseSVG rebuilds a drawing. It drops the additions of editors in their own namespaces, and
// refuses content that a drawing must not contain, so that its author notices.
func parseSVG(data []byte) (*Image, error) {
	root, err := xmltree.Parse(data, svgLimits())
	if err != nil {
		syntax, ok := errors.AsType[*xmltree.SyntaxError](err)
		if !ok || !bytes.Contains(data, []byte("<")) {
			return nil, &Error{Reason: "the file is neither an SVG nor a PNG"}
		}
		at := min(syntax.Offset, len(data))
		return nil, &Error{Line: 1 + bytes.Count(data[:at], []byte("\n")), Reason: syntax.Problem}
	}
	if !root.Is(svgNamespace, "svg") {
		return nil, &Error{Line: findLine(data, 1), Reason: fmt.Sprintf("the root element is %.40q, want svg in the namespace %s", root.Local, svgNamespace)}
	}
	if _, ok := root.Attr("viewBox"); !ok {
		return nil, &Error{Line: findLine(data, 1), Reason: "svg has no viewBox, which browsers need to scale it; add viewBox"}
	}
	w := &svgWriter{Writer: xmltree.NewWriter(nil), source: data}
	if err := w.copyElement(root); err != nil {
		return nil, err
	}
	out, err := w.Finish()
	if err != nil {
		return nil, &Error{Reason: "the SVG cannot be written again: " + err.Error()}
	}
	return &Image{TypeSVG, out}, nil
}

// refuse returns an error with the line of the element being copied.
func (w *svgWriter) refuse(format string, args ...any) error {
	return &Error{Line: findLine(w.source, w.count), Reason: fmt.Sprintf(format, args...)}
}

func (w *svgWriter) copyElement(e *xmltree.Element) error {
	w.count++
	if e.Space != svgNamespace || droppedElements[e.Local] {
		for child := range e.All() {
			if child != e {
				w.count++
			}
		}
		return nil
	}
	if !allowedElements[e.Local] {
		return w.refuse("the element %.40q is not allowed in a logo; remove it or draw it as a path", e.Local)
	}
	attrs, err := w.copyAttributes(e)
	if err != nil {
		return err
	}
	if e.Local == "style" {
		if err := w.checkStyle(e.Text()); err != nil {
			return err
		}
	}
	w.Start("", svgNamespace, e.Local, attrs...)
	for _, n := range e.Nodes {
		if n.Element == nil {
			w.Text(n.Text)
		} else if e.Local == "style" {
			return w.refuse("style contains an element; it may only contain text")
		} else if err := w.copyElement(n.Element); err != nil {
			return err
		}
	}
	w.End()
	return nil
}

// copyAttributes returns the allowed attributes. It drops unknown attributes and those of
// another namespace.
func (w *svgWriter) copyAttributes(e *xmltree.Element) ([]xmltree.Attr, error) {
	var attrs []xmltree.Attr
	for _, a := range e.Attrs {
		isLink := a.Local == "href" && (a.Space == "" || a.Space == xlinkNamespace)
		switch {
		case isLink && !referencePattern.MatchString(a.Value):
			return nil, w.refuse("href of %s leads out of the file; only a reference such as #id is allowed", e.Local)
		case isLink:
			if _, twice := e.Attr("href"); twice && a.Space != "" {
				continue // xlink:href is ignored beside an href
			}
		case strings.HasPrefix(strings.ToLower(a.Local), "on"):
			return nil, w.refuse("the attribute %.40q of %s runs a script; remove it", a.Local, e.Local)
		case a.Space != "" || !allowedAttributes[a.Local]:
			continue
		case a.Local == "style":
			if err := w.checkStyle(a.Value); err != nil {
				return nil, err
			}
		case !isSafeValue(a.Value):
			return nil, w.refuse("the attribute %s of %s refers to another file; only url(#id) is allowed", a.Local, e.Local)
		}
		attrs = append(attrs, xmltree.Attr{Local: a.Local, Value: a.Value})
	}
	return attrs, nil
}

// isSafeValue reports whether the value of an attribute loads nothing. CSS interprets escapes,
// so a backslash could hide a function.
func isSafeValue(value string) bool {
	return localURLPattern.MatchString(strings.TrimSpace(value)) || !strings.Contains(value, `\`) && !hasForbiddenCall(value)
}

// hasForbiddenCall reports whether a text calls a function that is not allowed.
func hasForbiddenCall(text string) bool {
	for _, m := range callPattern.FindAllStringSubmatch(text, -1) {
		if name := strings.ToLower(m[1]); name != "" && !allowedCalls[name] {
			return true
		}
	}
	return false
}

// checkStyle accepts declarations and rules that load nothing. It refuses comments, because
// they can split the name of a function.
func (w *svgWriter) checkStyle(css string) error {
	for _, bad := range []string{"@", `\`, "/*", "<"} {
		if strings.Contains(css, bad) {
			return w.refuse("style contains %s; use plain properties", bad)
		}
	}
	if hasForbiddenCall(css) {
		return w.refuse("style contains url() or a function that is not allowed; use attributes such as fill=\"url(#id)\"")
	}
	return nil
}

// findLine returns the line of the nth start tag. In parsed XML, "<" only begins a tag, a
// comment, a CDATA section or the declaration.
func findLine(data []byte, n int) int {
	for at := 0; at < len(data); {
		i := bytes.IndexByte(data[at:], '<')
		if i < 0 {
			break
		}
		at += i
		end, rest := "", data[at:]
		switch {
		case bytes.HasPrefix(rest, []byte("<!--")):
			end = "-->"
		case bytes.HasPrefix(rest, []byte("<![CDATA[")):
			end = "]]>"
		case bytes.HasPrefix(rest, []byte("</")), bytes.HasPrefix(rest, []byte("<?")):
			end = ">"
		default:
			if n--; n == 0 {
				return 1 + bytes.Count(data[:at], []byte("\n"))
			}
			at++
			continue
		}
		i = bytes.Index(rest, []byte(end))
		if i < 0 {
			break
		}
		at += i + len(end)
	}
	return 1
}
