package inspect

import (
	"encoding/base64"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"vernal/idp/filetext"
)

// Step is one transformation that was undone to find a message in a text.
type Step string

const (
	StepUTF16       Step = "utf16"            // a file in UTF-16
	StepMailQuote   Step = "mail_quote"       // the marks of quoted mail, "> "
	StepIndented    Step = "indented"         // lines that were moved to the right
	StepMailEncoded Step = "quoted_printable" // the encoding of mail, =3D
	StepEntities    Step = "entities"         // &lt; &quot; &#61;
	StepBackslash   Step = "backslash"        // \" \n \u0026
	StepPercent     Step = "percent"          // %3C
	StepProofpoint  Step = "proofpoint"       // links of urldefense
	StepCaret       Step = "caret"            // ^& of the Windows command line
	StepInvisible   Step = "invisible"        // zero-width and other spaces
	StepTypographic Step = "typographic"      // quoteReplacer quotation marks
	StepTree        Step = "xml_tree"         // the marks of a browser's view of XML
	StepJoined      Step = "joined_lines"     // lines that were broken, joined again
)

// view is a text in one way of reading it.
type view struct {
	text  string
	steps []Step
}

// transformations undo one transformation of a text each. They return a text unchanged if they do
// not apply to it.
var transformations = []struct {
	step Step
	undo func(string) string
}{
	{StepInvisible, invisibleReplacer.Replace},
	{StepMailQuote, removeQuoteMarks},
	{StepIndented, removeIndent},
	{StepMailEncoded, decodeMail},
	{StepCaret, removeCarets},
	{StepProofpoint, restoreURLDefense},
	{StepBackslash, unescapeBackslashes},
	{StepEntities, html.UnescapeString},
	{StepPercent, unescapePercent},
	{StepPercent, unescapeForm},
	{StepTypographic, quoteReplacer.Replace},
}

// listUnwrapped returns the texts that a view may be a transformation of.
func (v view) listUnwrapped() (next []view) {
	for _, u := range transformations {
		if text := u.undo(v.text); text != v.text && text != "" {
			next = append(next, view{text, append(slices.Clone(v.steps), u.step)})
		}
	}
	return next
}

// decodeText returns the text in UTF-8, without a byte order mark and surrounding white space.
// UTF-16 begins with a mark or with a character of which one byte is zero.
func decodeText(text string) (string, []Step) {
	var steps []Step
	if head := text[:min(len(text), 2)]; head == "\xFF\xFE" || head == "\xFE\xFF" || strings.IndexByte(head, 0) >= 0 {
		if plain, err := filetext.Decode([]byte(text)); err == nil && len(plain) < len(text) {
			text, steps = utf16Declaration.ReplaceAllString(string(plain), "$1"), []Step{StepUTF16}
		}
	}
	return strings.TrimSpace(strings.TrimPrefix(text, "\uFEFF")), steps
}

// utf16Declaration matches an XML declaration that is wrong after a text was converted to
// UTF-8.
var utf16Declaration = regexp.MustCompile(`(?i)^(\x{FEFF}?\s*<\?xml[^>]*?)\s+encoding=["']utf-16(?:le|be)?["']`)

var invisibleReplacer = strings.NewReplacer("\u200B", "", "\u200C", "", "\u200D", "", "\u2060", "", "\uFEFF", "", "\u00AD", "",
	"\u00A0", " ", "\u2007", " ", "\u202F", " ", "\u2028", "\n", "\u2029", "\n")

var quoteReplacer = strings.NewReplacer("“", `"`, "”", `"`, "„", `"`, "«", `"`, "»", `"`, "‘", "'", "’", "'")

// quoteMark matches the marks of a line of quoted mail.
var quoteMark = regexp.MustCompile(`(?m)^[ \t]*>[> \t]*`)

// removeQuoteMarks removes the marks of quoted mail, if a text has several lines of it.
func removeQuoteMarks(text string) string {
	if len(quoteMark.FindAllStringIndex(text, 2)) < 2 {
		return text
	}
	return quoteMark.ReplaceAllString(text, "")
}

// removeIndent removes the white space that all lines of a text begin with. The first line
// has already lost its own.
func removeIndent(text string) string {
	first, rest, more := strings.Cut(text, "\n")
	if !more {
		return text
	}
	indent := ""
	for i, line := range strings.Split(rest, "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		own := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		if i == 0 || indent == "" {
			indent = own
		}
		for !strings.HasPrefix(own, indent) {
			indent = indent[:len(indent)-1]
		}
		if len(indent) < 2 && indent != "\t" {
			return text
		}
	}
	return first + strings.ReplaceAll("\n"+rest, "\n"+indent, "\n")
}

// softBreak matches a line that quoted-printable broke, and mailEscape a character that it
// escaped. It always escapes "=".
var (
	softBreak  = regexp.MustCompile(`(?m)^.{60,}=\r*$`)
	mailBreak  = regexp.MustCompile(`=[ \t]*\r*\n`)
	mailEscape = regexp.MustCompile(`=[0-9A-F]{2}`)
)

// decodeMail undoes quoted-printable (RFC 2045 section 6.7). It also accepts lines that have
// become longer since.
func decodeMail(text string) string {
	if !strings.Contains(text, "=3D") && !softBreak.MatchString(text) {
		return text
	}
	plain := mailBreak.ReplaceAllString(text, "")
	plain = mailEscape.ReplaceAllStringFunc(plain, decodeEscape)
	if !utf8.ValidString(plain) {
		return text
	}
	return plain
}

// removeCarets undoes the escapes that browsers write for the Windows command line.
func removeCarets(text string) string {
	if !strings.Contains(text, "^&") && !strings.Contains(text, "^%") {
		return text
	}
	return strings.ReplaceAll(text, "^", "")
}

// backslashEscape matches an escape of JSON, JavaScript, or a string that a program printed.
var backslashEscape = regexp.MustCompile(`\\(?:[nrt"'\\/&?=\n]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})`)

// unescapeBackslashes undoes such escapes and leaves all other text.
func unescapeBackslashes(text string) string {
	return backslashEscape.ReplaceAllStringFunc(text, func(e string) string {
		switch c := e[1]; c {
		case 'n':
			return "\n"
		case 'r':
			return "\r"
		case 't':
			return "\t"
		case 'x', 'u':
			n, _ := strconv.ParseUint(e[2:], 16, 32)
			return string(rune(n))
		}
		return e[1:]
	})
}

// percentMark matches an encoded character that occurs only in an encoded URL or XML, encoded
// once or more often. encodedPlus matches a space that a form wrote as a plus sign.
var (
	percentMark = regexp.MustCompile(`%(?:25)*(?:3[CcDdFfAaEe]|2[26FfBb]|0[AaDd])`)
	plusSpace = regexp.MustCompile(`\+(?:xmlns|ID|Version|IssueInstant|Destination)(?:%|:|=)`)
)

// unescapePercent undoes percent-encoding once and leaves all other text. A plus sign is a
// space only in XML that a form encoded.
func unescapePercent(text string) string {
	if !percentMark.MatchString(text) {
		return text
	}
	if plusSpace.MatchString(text) {
		text = strings.ReplaceAll(text, "+", " ")
	}
	plain := percentEscape.ReplaceAllStringFunc(text, decodeEscape)
	if utf8.ValidString(plain) {
		return plain
	}
	return text
}

var percentEscape = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// decodeEscape returns the byte that "%3D" or "=3D" encodes.
func decodeEscape(e string) string {
	c, _ := strconv.ParseUint(e[1:], 16, 8)
	return string([]byte{byte(c)})
}

// unescapeForm undoes percent-encoding once in a text that a form encoded, in which a plus
// sign is a space, and that of base64 is %2B.
func unescapeForm(text string) string {
	if !strings.Contains(text, "+") || !strings.Contains(text, "%2B") && !strings.Contains(text, "%2b") {
		return text
	}
	return unescapePercent(strings.ReplaceAll(text, "+", " "))
}

// These match links that urldefense rewrote: version 2 writes "-" for "%" and "_" for "/",
// version 3 puts "*" for each character that it stores separately, in base64.
var (
	urlDefenseV2 = regexp.MustCompile(`https?://urldefense\.(?:proofpoint\.)?com/v2/url\?u=([^&\s"'<>]+)[^\s"'<>]*`)
	urlDefenseV3 = regexp.MustCompile(`https?://urldefense\.(?:proofpoint\.)?(?:com|us)/v3/__(.+?)__;([A-Za-z0-9_=-]*)![^\s"'<>]*`)
)

func restoreURLDefense(text string) string {
	text = urlDefenseV2.ReplaceAllStringFunc(text, func(link string) string {
		u := urlDefenseV2.FindStringSubmatch(link)[1]
		plain, err := url.PathUnescape(strings.NewReplacer("-", "%", "_", "/").Replace(u))
		if err != nil {
			return link
		}
		return plain
	})
	return urlDefenseV3.ReplaceAllStringFunc(text, func(link string) string {
		m := urlDefenseV3.FindStringSubmatch(link)
		kept, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(m[2], "="))
		if err != nil {
			return link
		}
		return restoreCharacters(m[1], kept)
	})
}

// runLengths are the lengths that version 3 writes as one character after "**".
const runLengths = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// restoreCharacters restores the characters that were stored separately: "*" is one, "**A" two, "**B"
// three, and so on.
func restoreCharacters(link string, kept []byte) string {
	// The scheme has lost one of its two slashes.
	if scheme, rest, ok := strings.Cut(link, ":/"); ok && !strings.HasPrefix(rest, "/") && len(scheme) < 6 {
		link = scheme + "://" + rest
	}
	var b strings.Builder
	for i := 0; i < len(link); i++ {
		if link[i] != '*' {
			b.WriteByte(link[i])
			continue
		}
		n := 1
		if i+2 < len(link) && link[i+1] == '*' && strings.IndexByte(runLengths, link[i+2]) >= 0 {
			n = strings.IndexByte(runLengths, link[i+2]) + 2
			i += 2
		}
		for range n {
			if len(kept) == 0 {
				break
			}
			_, size := utf8.DecodeRune(kept)
			b.Write(kept[:size])
			kept = kept[size:]
		}
	}
	return b.String()
}

// treeMark matches the mark that browsers put before an element that can be folded.
var treeMark = regexp.MustCompile(`(?m)^[ \t\x{A0}]*[-+−–▶▼▸▾►]+[ \t\x{A0}]*<`)

// removeTreeMarks removes the marks from XML that was copied from a browser's view.
func removeTreeMarks(text string) string {
	return treeMark.ReplaceAllString(text, "<")
}
