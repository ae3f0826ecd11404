package account

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
)

// readAll summarizes the content of a file: "NUMBER address" or "NUMBER!problem" or
// "NUMBER=EARLIER" for each line, and "END line N: text" if reading had to stop.
func readAll(text, format string) (out []string) {
	r, err := NewRecordReader(strings.NewReader(text), format)
	for err == nil {
		var l Line
		if l, err = r.Next(); err != nil {
			break
		}
		switch {
		case l.Record != nil && len(l.Record.Emails) > 0:
			out = append(out, fmt.Sprintf("%d %s", l.Number, l.Record.Emails[0].Address))
		case l.Record != nil:
			out = append(out, fmt.Sprintf("%d -", l.Number))
		case l.DuplicateLine > 0:
			out = append(out, fmt.Sprintf("%d=%d", l.Number, l.DuplicateLine))
		default:
			for _, p := range l.Problems {
				out = append(out, fmt.Sprintf("%d!%s", l.Number, p.Error()))
			}
		}
	}
	if !errors.Is(err, io.EOF) {
		out = append(out, "END "+err.Error())
	}
	return out
}

// Realistic and malformed files. A want that ends in … is a prefix of the line.
func TestRecordReaderReadsEachFormat(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxRecord)
	tests := []struct {
		name, text string
		want       []string
	}{
		{"csv", "email,locked\na@x,true\nb@x,\n", []string{"2 a@x", "3 b@x"}},
		{"csv of Windows", "\ufeffemail,locked\r\na@x,TRUE\r\n\r\nb@x,\r\n", []string{"2 a@x", "4 b@x"}},
		{"csv without a last line's end", "email\na@x", []string{"2 a@x"}},
		{"csv: the header alone", "email\n", nil},
		{"csv: lines within a cell", "email,address1\n\"a@x\",\"1\n2\"\nb@x,\n", []string{"2 a@x", "4 b@x"}},
		{"csv: no such column", "email,firstname\na@x,A\n", []string{`END line 1: column 2, "firstname": no such field; did you mean first_name?`}},
		{"csv: several", "mail,zip,email\n", []string{`END line 1: column 1, "mail": no such field; did you mean email?; column 2, "zip": no such field…`}},
		{"csv: below the profile", "email,profile.zip\n", []string{`END line 1: column 2, "profile.zip": no such field…`}},
		{"csv: not below the profile", "profile.email\n", []string{`END line 1: column 1, "profile.email": no such field; did you mean email?`}},
		{"csv: a column twice", "email,email\n", []string{`END line 1: column 2, "email": is given twice`}},
		{"csv: the same by two names", "email,ssn,profile.ssn\n", []string{`END line 1: column 3, "profile.ssn": is given twice`}},
		{"csv: a profile and a part of it", "email,profile,ssn\n", []string{`END line 1: column 3, "ssn": is given twice`}},
		{"csv: a part of a profile and the whole", "email,ssn,profile\n", []string{`END line 1: column 3, "profile": is given twice`}},
		{"csv: a column without a name", "email,\na@x,b\n", []string{`END line 1: column 2, "": no such field…`}},
		{"csv by semicolons", "email;ssn\na@x;1\n", []string{"END line 1: columns must be separated by commas"}},
		{"csv: too few cells, too many", "email,ssn\na@x\nb@x,1,2\nc@x,\n", []string{"2!has 1 cells, and there are 2 columns", "3!has 3 cells, and there are 2 columns", "4 c@x"}},
		{"csv: a stray quote costs its line", "email\na\"@x\nb@x\n", []string{"2!not valid CSV…", "3 b@x"}},
		{"csv: a quote never closed", "email\na@x\n\"b@x\nc@x\n", []string{"2 a@x", "3!not valid CSV…"}},
		{"csv: a quote never closed, in a long file", "email\n\"" + strings.Repeat(long+"\n", 3), []string{"END line 2: a record is longer…"}},
		{"csv: cells that are too long together", "email,role,lock_reason\na@x," + long[:140<<10] + "," + long[:140<<10] + "\nb@x,,\n", []string{"2!is longer than 256 KiB", "3 b@x"}},
		{"csv: not UTF-8", "email,ssn\na@x,\xff\nb@x,\n", []string{"2!profile.ssn: not valid UTF-8…", "3 b@x"}},
		{"csv: NUL", "email,lock_reason\na@x,\x00\n", []string{"2 a@x"}}, // Import refuses it
		{"csv: not JSON where it must be", "email,name_ids\na@x,1=2\nb@x,\"{\"\"urn:a\"\":\"\"1\"\"}\"\n", []string{"2!name_ids: must be a JSON object", "3 b@x"}},
		{"csv: JSON of another kind", "email,name_ids\na@x,[]\n", []string{"2!name_ids: must be a JSON object"}},
		{"csv: a word for a flag", "email,locked\na@x,yes\n", []string{"2!locked: must be true or false"}},
		{"csv: a NameID each", "email,name_ids.urn:a,name_ids.P.Q\na@x,1,2\nb@x,1,3\n", []string{"2 a@x", "3!name_ids.urn:a: is on line 2 already"}},
		{"empty: no user was exported", "", nil},
		{"blank", "\n\n", []string{"END line 1: the file is empty…"}},
		{"UTF-16", "\xff\xfee\x00", []string{"END line 1: the file is UTF-16; save it as UTF-8"}},

		{"lines", "{\"email\":\"a@x\"}\n\n  {\"email\":\"b@x\"}\r\n", []string{"1 a@x", "3 b@x"}},
		{"lines with a byte order mark", "\ufeff{\"email\":\"a@x\"}\n", []string{"1 a@x"}},
		{"a broken line costs no other", "{\"email\":\"a@x\"}\n{\"email\":\nnull\n{\"email\":\"b@x\"}\n", []string{"1 a@x", "2!the JSON object ends too early", "3!must be a JSON object", "4 b@x"}},
		{"nor does the first", "{\"email\":\"a@\n{\"email\":\"b@x\"}\n", []string{"1!the JSON object ends too early", "2 b@x"}},
		{"two on a line", "{\"email\":\"a@x\"}{\"email\":\"b@x\"}\n", []string{"1!something follows the JSON object"}},
		{"a name twice", "{\"email\":\"a@x\",\"email\":\"b@x\"}\n", []string{"1!email: is here twice"}},
		{"the same under two names", "{\"email\":\"a@x\",\"emails\":[\"b@x\"]}\n", []string{"1!email: give email or emails, not both"}},
		{"no such name", "{\"email\":\"a@x\",\"paswordhash\":\"\",\"profile\":{\"zip_code\":\"1\"},\"totps\":[{\"secrets\":\"\"}]}\n", []string{
			"1!paswordhash: no such field; did you mean password_hash?", "1!profile.zip_code: no such field; did you mean zipcode?",
			"1!totps[1].secrets: no such field; did you mean secret?"}},
		{"of another type", `{"email":1,"locked":"yes","totps":{},"created_at":5,"totp_period":"x","name_ids":{"a":1}}`, []string{
			"1!email: must be a string", "1!locked: must be true or false", "1!totps: must be a list", "1!created_at: must be a time…",
			"1!totp_period: must be a whole number", "1!name_ids.a: must be a string"}},
		{"names of what is stored", `{"emails":[{"address":"a@x","told_to":["urn:a"]}],"id":"1","updated_at":"2026-01-01","devices":[]}`, []string{
			"1!emails[1].told_to: no such field…", "1!id: no such field…", "1!updated_at: no such field…", "1!devices: no such field…"}},
		{"deep", strings.Repeat(`{"profile":`, 20_000) + "\n", []string{"1!not valid JSON…"}},
		{"a line too long", "{\"email\":\"a@x\"}\n{\"email\":\"" + long + "\"}\n", []string{"1 a@x", "END line 2: a record is longer…"}},

		{"an array", "[\n {\"email\":\"a@x\"},\n\n {\"email\":\n\"b@x\"}\n]\n", []string{"2 a@x", "4 b@x"}},
		{"an array on one line", `[{"email":"a@x"},{"email":"b@x"}]`, []string{"1 a@x", "1 b@x"}},
		{"an empty array", "[]", nil},
		{"an array with something else", "[\n1,\n{\"email\":\"a@x\"}]", []string{"2!must be a JSON object", "3 a@x"}},
		{"an array cut off", "[\n{\"email\":\"a@x\"},\n", []string{"2 a@x", "END line 3: the file ends within…"}},
		{"an array that breaks", "[\n{\"email\":\"a@x\"},\n{\"email\" \"b@x\"}]", []string{"2 a@x", "END line 3: not valid JSON; nothing after it was read"}},
		{"something after an array", "[\n{\"email\":\"a@x\"}]\n{}", []string{"2 a@x", "END line 3: something follows the end of the list"}},
		{"an element too long", "[{\"email\":\"" + strings.Repeat(long, 3) + "\"}]", []string{"END line 1: a record is longer…"}},
		{"an element a little too long", "[{\"email\":\"a@x\"},\n{\"role\":\"" + long + "\"}]", []string{"1 a@x", "END line 2: a record is longer…"}},
		{"objects over lines", "{\n\"email\":\"a@x\"\n}\n{\n\"email\":\"b@x\"}\n", []string{"1 a@x", "4 b@x"}},

		{"the same again", "email,ssn\na@x,1\nA@X,2\na@x,1\n", []string{"2 a@x", "3!emails: is on line 2 already", "4=2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := readAll(tt.text, "")
			for i, w := range tt.want {
				if begin, ok := strings.CutSuffix(w, "…"); ok && i < len(got) && strings.HasPrefix(got[i], begin) {
					got[i] = w
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A row of CSV and a line of JSON with the same values are the same record.
func TestCSVIsJSON(t *testing.T) {
	t.Parallel()
	table := `emails,password_hash,totp_secret,totp_period,locked,lock_reason,level,verified_at,first_name,profile.last_name,name_ids.Parks,name_ids.https://a.example/,created_at
"a@x; b@x",$hash,ABC,60,TRUE,left,verified,2026-04-01T09:00:00Z,Ana,"Ruiz, Jr.",1,2,2020-01-01
`
	object := `{"emails":["a@x","b@x"],"password_hash":"$hash","totp_secret":"ABC","totp_period":60,"locked":true,"lock_reason":"left",` +
		`"profile":{"level":"verified","verified_at":"2026-04-01T09:00:00Z","first_name":"Ana","last_name":"Ruiz, Jr."},` +
		`"name_ids":{"Parks":"1","https://a.example/":"2"},"created_at":"2020-01-01T00:00:00Z"}`
	var records []*Record
	for _, text := range []string{table, object} {
		r, err := NewRecordReader(strings.NewReader(text), "")
		if err != nil {
			t.Fatal(err)
		}
		l, err := r.Next()
		if err != nil || l.Record == nil {
			t.Fatal(l.Problems, err)
		}
		records = append(records, l.Record)
	}
	if diff := cmp.Diff(records[0], records[1]); diff != "" {
		t.Errorf("(-csv +json):\n%s", diff)
	}
}

// A null member counts as absent.
func TestNullMemberIsAbsent(t *testing.T) {
	t.Parallel()
	got, err := ParseRecord([]byte(`{"email":"a@x","emails":null,"profile":null,"totps":null,"locked":null,"created_at":null,"name_ids":{"P":null}}`))
	want := &Record{Emails: []RecordEmail{{Address: "a@x", Confirmed: true}}, NameIDs: map[string]idp.NameID{}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// A long file is read with little memory, and no line is lost.
func TestLongImportFileUsesLittleMemory(t *testing.T) {
	t.Parallel()
	const n = 20_000
	source, w := io.Pipe()
	go func() {
		_, _ = io.WriteString(w, "email,name_ids.P\n")
		for i := range n {
			_, _ = fmt.Fprintf(w, "person%d@example.gov,%d\n", i, i)
		}
		_ = w.Close()
	}()
	r, err := NewRecordReader(source, "")
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		l, err := r.Next()
		if err != nil || l.Record == nil || l.Number != i+2 || l.Record.NameIDs["P"] != idp.NameID(fmt.Sprint(i)) {
			t.Fatalf("line %d: %+v, %v", i+2, l, err)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// Reading ends for any file, and an error names one of its lines.
func FuzzRecordReader(f *testing.F) {
	for _, seed := range []string{
		"email,locked,name_ids\na@x,true,{}\n", "\ufeffemail,profile.ssn\r\n\"a@x\",\"1\"\r\n", "{\"email\":\"a@x\"}\n{}\n", "[{},\n{\"emails\":[{\"address\":\"a\"}]}]",
		"[", "{", "email\n\"", "{\"totps\":[{\"secret\":\"A\",\"period\":30}],\"name_ids\":{\"a\":\"b\"}}", "{\n}\n{\n}", "[1,\"\",null]",
	} {
		f.Add([]byte(seed), uint8(0))
		f.Add([]byte(seed), uint8(1))
	}
	f.Fuzz(func(t *testing.T, data []byte, which uint8) {
		format := []string{"", FormatCSV, FormatJSON}[which%3]
		r, err := NewRecordReader(strings.NewReader(string(data)), format)
		lines := 1 + strings.Count(string(data), "\n") + strings.Count(string(data), "\r")
		last := 0
		for n := 0; err == nil; n++ {
			var l Line
			if l, err = r.Next(); err != nil {
				break
			}
			if n > len(data) || l.Number < last || l.Number < 1 || l.Number > lines {
				t.Fatalf("record %d is on line %d after %d, of %d", n, l.Number, last, lines)
			}
			if (l.Record == nil) != (len(l.Problems) > 0 || l.DuplicateLine > 0) {
				t.Fatalf("line %d says nothing, or two things: %+v", l.Number, l)
			}
			last = l.Number
		}
		var broken *FileError
		if !errors.Is(err, io.EOF) && (!errors.As(err, &broken) || broken.Line < 1 || broken.Line > lines+1) {
			t.Fatalf("%v, of %d lines", err, lines)
		}
	})
}
