package bolt

import (
	"encoding/binary"
	"errors"
	"time"

	"vernal/idp"
)

// Sessions and requests are read and written several times in every sign-in,
// so they are not kept as JSON but in a form of their own: recordForm, then
// the fields in the order in which sessionFields and requestFields name them.
//
//	string   length as uvarint, bytes
//	bool     one byte, 0 or 1
//	time     12 bytes, see appendTime; read back as UTC
//	duration nanoseconds as varint
//	list     number as uvarint, elements
//
// A record that gains a field gets the next form, and the field is read where
// the form has it.
const recordForm = 1

// fields goes over the fields of a record, and either appends them to out or
// reads them from in. So one function tells both ways.
type fields struct {
	out     []byte
	in      string
	reading bool
	damaged bool // in is not what was written; all further fields are zero
}

func sessionFields(f *fields, s *idp.Session) {
	text(f, &s.ID)
	text(f, &s.User)
	flag(f, &s.Pending)
	moment(f, &s.CreatedAt)
	moment(f, &s.SeenAt)
	moment(f, &s.ExpiresAt)
	moment(f, &s.AuthnAt)
	list(f, &s.Factors, func(f *fields, u *idp.FactorUse) {
		text(f, &u.Factor)
		moment(f, &u.At)
	})
	list(f, &s.Participants, func(f *fields, p *idp.Participant) {
		text(f, &p.SP)
		text(f, &p.NameID)
		list(f, &p.SessionIndexes, text)
		text(f, &p.Year)
		moment(f, &p.At)
	})
	span(f, &s.Idle)
	text(f, &s.Device.Browser)
	text(f, &s.Device.System)
	text(f, &s.Device.Network)
	text(f, &s.CameAs)
	moment(f, &s.BegunAt)
}

// requestFields begins with the message, so that the index can be made without
// reading the rest.
func requestFields(f *fields, r *idp.LoginRequest) {
	messageFields(f, r)
	text(f, &r.Handle)
	octets(f, &r.SecretHash)
	text(f, &r.Year)
	text(f, &r.ACSURL)
	text(f, &r.RelayState)
	flag(f, &r.HasRelay)
	flag(f, &r.ForceAuthn)
	flag(f, &r.IsPassive)
	text(f, &r.NameIDFormat)
	octets(f, &r.SubjectHash)
	text(f, &r.Comparison)
	list(f, &r.ClassRefs, text)
	text(f, &r.Locale)
	text(f, &r.CertSHA256)
	octets(f, &r.MessageHash)
	text(f, &r.Preview)
	moment(f, &r.IssuedAt)
	moment(f, &r.ReceivedAt)
	moment(f, &r.ExpiresAt)
	moment(f, &r.AnsweredAt)
	text(f, &r.AnsweredIn)
}

func messageFields(f *fields, r *idp.LoginRequest) {
	text(f, &r.SP)
	text(f, &r.MessageID)
}

// encodeRecord gives the bytes of a record.
func encodeRecord[R any](r *R, each func(*fields, *R)) []byte {
	f := fields{out: append(make([]byte, 0, 512), recordForm)}
	each(&f, r)
	return f.out
}

// decodeRecord reads a record whole into a zero one. Nothing of it points into
// value.
func decodeRecord[R any](value []byte, r *R, each func(*fields, *R)) error {
	rest, err := decodeFields(value, r, each)
	if err == nil && rest != "" {
		return errors.New("record is followed by something")
	}
	return err
}

// decodeFields reads the first fields of a record and gives the rest.
func decodeFields[R any](value []byte, r *R, each func(*fields, *R)) (rest string, err error) {
	f := fields{in: string(value), reading: true}
	if form := f.take(1); form == "" || form[0] != recordForm {
		return "", errors.New("record of an unknown form")
	}
	if each(&f, r); f.damaged {
		return "", errors.New("record is cut short")
	}
	return f.in, nil
}

// take reads n bytes.
func (f *fields) take(n uint64) string {
	if n > uint64(len(f.in)) {
		f.in, f.damaged = "", true
		return ""
	}
	part := f.in[:n]
	f.in = f.in[n:]
	return part
}

// count writes or reads a length. Every element has at least one byte, so one
// that is longer than what follows is damage, and allocates nothing.
func (f *fields) count(n int) int {
	if !f.reading {
		f.out = binary.AppendUvarint(f.out, uint64(n))
		return n
	}
	got, size := binary.Uvarint([]byte(f.in[:min(len(f.in), binary.MaxVarintLen64)]))
	if size <= 0 || got > uint64(len(f.in)-size) {
		f.in, f.damaged = "", true
		return 0
	}
	f.in = f.in[size:]
	return int(got)
}

func text[S ~string](f *fields, s *S) {
	n := f.count(len(*s))
	if f.reading {
		*s = S(f.take(uint64(n)))
	} else {
		f.out = append(f.out, *s...)
	}
}

// octets writes or reads bytes; none are read as nil.
func octets(f *fields, b *[]byte) {
	s := string(*b)
	if text(f, &s); f.reading && s != "" {
		*b = []byte(s)
	}
}

func flag(f *fields, b *bool) {
	switch {
	case f.reading:
		*b = f.take(1) == "\x01"
	case *b:
		f.out = append(f.out, 1)
	default:
		f.out = append(f.out, 0)
	}
}

func moment(f *fields, t *time.Time) {
	if !f.reading {
		f.out = appendTime(f.out, *t)
	} else if part := []byte(f.take(timeLen)); len(part) == timeLen {
		*t = timeFrom(part)
	}
}

func span(f *fields, d *time.Duration) {
	if !f.reading {
		f.out = binary.AppendVarint(f.out, int64(*d))
		return
	}
	got, size := binary.Varint([]byte(f.in[:min(len(f.in), binary.MaxVarintLen64)]))
	if size <= 0 {
		f.in, f.damaged = "", true
		return
	}
	f.in, *d = f.in[size:], time.Duration(got)
}

// list writes or reads a list; an empty one is read as nil.
func list[E any](f *fields, l *[]E, each func(*fields, *E)) {
	n := f.count(len(*l))
	if f.reading && n > 0 {
		*l = make([]E, n)
	}
	for i := range *l {
		each(f, &(*l)[i])
	}
}
