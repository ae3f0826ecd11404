package filetext_test

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"vernal/idp/filetext"
)

func detectUTF16Order(order binary.AppendByteOrder, text string) string {
	var out []byte
	for _, u := range utf16.Encode([]rune(text)) {
		out = order.AppendUint16(out, u)
	}
	return string(out)
}

func TestKindOf(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   string
		want filetext.Kind
	}{
		{"", filetext.Empty},
		{"\ufeff\r\n\t ", filetext.Empty},
		{"\x1f\x8b\x08", filetext.Gzip},
		{"PK\x03\x04", filetext.Zip},
		{"%PDF-1.7", filetext.PDF},
		{"\xfe\xed\xfe\xed", filetext.Keystore},
		{"\x30\x82\x01\x00", filetext.DER},
		{"\x30\x03\x02\x01\x05", filetext.DER},
		{"0abc", filetext.Text},
		{"0\x2f" + strings.Repeat("a", 47), filetext.Text}, // a text whose second byte matches its length
		{"x\n-----BEGIN CERTIFICATE-----", filetext.PEM},
		{"<!DOCTYPE html>", filetext.HTML},
		{"\n <!-- x -->\n<HTML lang=en>", filetext.HTML},
		{`<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">`, filetext.HTML},
		{"<head><title>", filetext.HTML},
		{"<header/>", filetext.XML},
		{"\ufeff<a/>", filetext.XML},
		{"<a>-----BEGIN CERTIFICATE-----</a>", filetext.XML},
		{detectUTF16Order(binary.LittleEndian, "\ufeff<a/>"), filetext.XML},
		{detectUTF16Order(binary.BigEndian, "<!doctype html>"), filetext.HTML},
		{`{"a": 1}`, filetext.JSON},
		{"[]", filetext.JSON},
		{`"a"`, filetext.JSON},
		{"{a", filetext.Text},
		{"123", filetext.Text},
		{"HTTP/1.1 200 OK\n\n<a/>", filetext.Text},
		{"\x00\xff\xfe\xfd\xfc", filetext.Binary},
		{"caf\xe9", filetext.Binary},
	}
	for _, tt := range tests {
		if got := filetext.DetectKind([]byte(tt.in)); got != tt.want {
			t.Errorf("%q is %q, want %q", tt.in, got, tt.want)
		}
		if tt.want.Article() == "" {
			t.Errorf("%q has no words", tt.want)
		}
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	const xml = `<?xml version="1.0" encoding="ENC"?>`
	enc := func(name, rest string) string { return strings.Replace(xml, "ENC", name, 1) + rest }
	tests := []struct {
		name, in, want string
		declared       string // of the error; "-" for none
	}{
		{"UTF-8", "é", "é", ""},
		{"UTF-8 with a mark", "\ufeffé", "é", ""},
		{"UTF-16LE", detectUTF16Order(binary.LittleEndian, "\ufeffé😀"), "é😀", ""},
		{"UTF-16BE", detectUTF16Order(binary.BigEndian, "\ufeffé😀"), "é😀", ""},
		{"UTF-16LE without a mark", detectUTF16Order(binary.LittleEndian, "aé"), "aé", ""},
		{"UTF-16 and a byte", detectUTF16Order(binary.LittleEndian, "\ufeffab") + "\n", "ab", ""},
		{"UTF-16 that is damaged", "\xff\xfe\x00\xd8a\x00", "", "UTF-16, damaged"},
		{"UTF-32", "\xff\xfe\x00\x00a\x00\x00\x00", "", "-"},
		{"ISO-8859-1", enc("iso-8859-1", "\xe9"), enc("iso-8859-1", "é"), ""},
		{"ISO-8859-15", enc("ISO-8859-15", "\xa4"), enc("ISO-8859-15", "€"), ""},
		{"Windows-1252", enc("windows-1252", "\x80"), enc("windows-1252", "€"), ""},
		{"an unknown one", enc("Shift_JIS", "\x83\x54"), "", "Shift_JIS"},
		{"UTF-8 in name alone", enc("UTF-8", "\xe9"), "", "-"},
		{"nothing declared", "\xe9", "", "-"},
	}
	for _, tt := range tests {
		got, err := filetext.Decode([]byte(tt.in))
		var e *filetext.EncodingError
		if tt.declared != "" {
			if !errors.As(err, &e) || e.Declared != strings.TrimPrefix(tt.declared, "-") {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
	}
}

func TestDocumentSkipsProlog(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in, want string
		skipped        int
	}{
		{"plain", "<a>\n</a>", "<a>\n</a>", 0},
		{"declaration", "<?xml version=\"1.0\"?>\n<a/>", "<a/>", 1},
		{"blank lines before it", "\r\n\n<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<a/>", "<a/>", 3},
		{"stylesheet", "<?xml-stylesheet href='x'?>\n<?y?><a/>", "<a/>", 1},
		{"comments between", "<?xml version='1.0'?><!-- a\n? > -->\n<?b?><!----><a/>", "<a/>", 2},
		{"comment without an end", "<!-- <a/>", "<!-- <a/>", 0},
		{"document type", "<?x?><!DOCTYPE a><a/>", "<!DOCTYPE a><a/>", 0},
		{"declaration without an end", "<?xml <a/>", "<?xml <a/>", 0},
		{"ASCII in an unknown encoding", `<?xml version="1.0" encoding="Shift_JIS"?><a/>`, "<a/>", 0},
	}
	for _, tt := range tests {
		got, skipped, err := filetext.ExtractDocument([]byte(tt.in))
		if err != nil || string(got) != tt.want || skipped != tt.skipped {
			t.Errorf("%s: %q, %d, %v", tt.name, got, skipped, err)
		}
	}
	if _, _, err := filetext.ExtractDocument([]byte(`<?xml version="1.0" encoding="EUC-JP"?><a>é</a>`)); err == nil {
		t.Error("UTF-8 that declares an unknown encoding is read")
	}
}

// FuzzDecode checks that decoded text is UTF-8, and that every error is an EncodingError.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{"", "\ufeffa", detectUTF16Order(binary.LittleEndian, "\ufeff<a/>"), `<?xml version="1.0" encoding="latin1"?>` + "\xe9", "<?a?><b/>"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		filetext.DetectKind(data)
		text, err := filetext.Decode(data)
		var e *filetext.EncodingError
		if err != nil && !errors.As(err, &e) || err == nil && !utf8.Valid(text) {
			t.Fatalf("%q, %v", text, err)
		}
		doc, skipped, err := filetext.ExtractDocument(data)
		if err == nil && (len(doc) > len(text) || skipped < 0 || !strings.HasSuffix(string(text), string(doc))) {
			t.Fatalf("%q of %q, %d lines", doc, text, skipped)
		}
	})
}
