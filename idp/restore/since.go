package restore

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"vernal/idp"
	"vernal/idp/audit"
)

// maxLine bounds a line of an exported trail.
const maxLine = 4 << 20

// checkpointMark is how the line of a checkpoint begins.
var checkpointMark = []byte(`{"checkpoint":`)

// trailReader reads an exported trail and verifies its chain.
type trailReader struct {
	head  audit.Place
	check func(idp.AuditCheckpoint) error
	take  func(*idp.AuditRecord)

	began bool
	// place is that of the last record, and signed says that a checkpoint of ours proves it.
	place  audit.Place
	signed bool
}

// readSinceFile reads the copy of the exported trail in the data folder.
func readSinceFile(dir string, head audit.Place, check func(idp.AuditCheckpoint) error) (*plan, error) {
	name := filepath.Join(dir, SinceName)
	in, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, refuse(CodeSinceMissing, name)
	}
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return readSince(in, head, check)
}

// CheckSince reads an exported trail and refuses it unless it continues the trail of a backup
// that ends at head. check refuses a checkpoint that is not of this installation. Without the
// master key it can be nil.
func CheckSince(r io.Reader, head audit.Place, check func(idp.AuditCheckpoint) error) error {
	_, err := readSince(r, head, check)
	return err
}

// readSince reads an exported trail up to its end. The chain proves that it continues the
// backup's trail unchanged, and only a checkpoint proves that this installation wrote it.
func readSince(r io.Reader, head audit.Place, check func(idp.AuditCheckpoint) error) (*plan, error) {
	p := newPlan()
	t := &trailReader{head: head, check: check, take: p.add}
	in := bufio.NewReaderSize(r, 1<<16)
	for n := 1; ; n++ {
		line, err := readLine(in)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = t.read(line)
		}
		var refused *Error
		if errors.As(err, &refused) {
			return nil, err
		}
		if err != nil {
			return nil, refuse(CodeSinceDamaged, n, err)
		}
	}
	switch {
	case !t.began:
		return nil, refuse(CodeSinceDamaged, 1, errors.New("it has no records"))
	case t.place.Seq < head.Seq:
		return nil, refuse(CodeSinceShort, t.place.Seq, head.Seq)
	case t.place.Seq == head.Seq && t.place.HashOrFirst() != head.HashOrFirst():
		return nil, refuse(CodeSinceOther, head.Seq)
	}
	p.end, p.signed = t.place, t.signed
	return p, nil
}

// readLine returns the next line without its end. A last line without an end is cut off.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxLine:
			return nil, errors.New("the line is too long")
		case err == nil:
			return line[:len(line)-1], nil
		case errors.Is(err, io.EOF) && len(line) > 0:
			return nil, errors.New("the line is cut off")
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

func (t *trailReader) read(line []byte) error {
	if bytes.HasPrefix(line, checkpointMark) {
		return t.readCheckpoint(line)
	}
	stored := idp.AuditLine{JSON: line}
	l, ok := audit.ReadLine(stored)
	if !ok || l.Seq == 0 {
		return errors.New("it is not an audit record")
	}
	stored.Place = l.Seq
	if !t.began {
		t.began, t.place = true, audit.Place{Seq: l.Seq - 1, Hash: l.Prev}
		if t.place.Seq > t.head.Seq {
			return refuse(CodeSinceGap, t.head.Seq)
		}
	}
	if t.place.Seq == t.head.Seq && t.place.HashOrFirst() != t.head.HashOrFirst() {
		return refuse(CodeSinceOther, t.head.Seq)
	}
	next, err := t.place.Next(stored)
	if err != nil {
		return err
	}
	t.place, t.signed = next, false
	if next.Seq <= t.head.Seq {
		return nil
	}
	rec := new(idp.AuditRecord)
	if err := json.Unmarshal(line, rec); err != nil {
		return fmt.Errorf("it is not an audit record: %w", err)
	}
	t.take(rec)
	return nil
}

func (t *trailReader) readCheckpoint(line []byte) error {
	var c struct {
		Checkpoint *idp.AuditCheckpoint `json:"checkpoint"`
	}
	if err := json.Unmarshal(line, &c); err != nil || c.Checkpoint == nil {
		return errors.New("it is not a checkpoint")
	}
	if t.check != nil {
		if err := t.check(*c.Checkpoint); err != nil {
			return fmt.Errorf("the checkpoint is not of this installation: %w", err)
		}
	}
	place := audit.Place{Seq: c.Checkpoint.Seq, Hash: c.Checkpoint.Hash}
	switch {
	case !t.began && place.Seq > t.head.Seq:
		return refuse(CodeSinceGap, t.head.Seq)
	case t.began && place != t.place:
		return errors.New("the checkpoint is not of the record before it")
	}
	t.began, t.place, t.signed = true, place, true
	return nil
}
