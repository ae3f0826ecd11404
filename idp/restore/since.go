package restore

import (
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

// trailReader reads an exported trail and verifies its chain.
type trailReader struct {
	head  audit.Place
	check func(idp.AuditCheckpoint) error
	add   func(*idp.AuditRecord)

	hasBegun bool
	// place is that of the last record, and isSigned reports that a checkpoint of ours proves it.
	place    audit.Place
	isSigned bool
}

// readSinceFile reads the copy of the exported trail in the data folder.
func readSinceFile(dir string, head audit.Place, check func(idp.AuditCheckpoint) error) (*plan, error) {
	name := filepath.Join(dir, SinceName)
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, refuse(CodeSinceMissing, name)
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readSince(file, head, check)
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
	t := &trailReader{head: head, check: check, add: p.add}
	file := audit.NewExportReader(r)
	for n := 1; ; n++ {
		line, err := file.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = t.read(line)
		}
		var refusal *Error
		if errors.As(err, &refusal) {
			return nil, err
		}
		if err != nil {
			return nil, refuse(CodeSinceDamaged, n, err)
		}
	}
	switch {
	case !t.hasBegun:
		return nil, refuse(CodeSinceDamaged, 1, errors.New("it has no records"))
	case t.place.Seq < head.Seq:
		return nil, refuse(CodeSinceShort, t.place.Seq, head.Seq)
	case t.place.Seq == head.Seq && t.place.HashOrFirst() != head.HashOrFirst():
		return nil, refuse(CodeSinceOther, head.Seq)
	}
	p.end, p.isSigned = t.place, t.isSigned
	return p, nil
}

func (t *trailReader) read(line audit.ExportLine) error {
	if line.Checkpoint != nil {
		return t.readCheckpoint(line.Checkpoint)
	}
	stored := idp.AuditLine{JSON: line.Text}
	l, ok := audit.ReadLine(stored)
	if !ok || l.Seq == 0 {
		return errors.New("it is not an audit record")
	}
	stored.Place = l.Seq
	if !t.hasBegun {
		t.hasBegun, t.place = true, audit.Place{Seq: l.Seq - 1, Hash: l.Prev}
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
	t.place, t.isSigned = next, false
	if next.Seq <= t.head.Seq {
		return nil
	}
	rec := new(idp.AuditRecord)
	if err := json.Unmarshal(line.Text, rec); err != nil {
		return fmt.Errorf("it is not an audit record: %w", err)
	}
	t.add(rec)
	return nil
}

func (t *trailReader) readCheckpoint(c *idp.AuditCheckpoint) error {
	if t.check != nil {
		if err := t.check(*c); err != nil {
			return fmt.Errorf("the checkpoint is not of this installation: %w", err)
		}
	}
	place := audit.Place{Seq: c.Seq, Hash: c.Hash}
	switch {
	case !t.hasBegun && place.Seq > t.head.Seq:
		return refuse(CodeSinceGap, t.head.Seq)
	case t.hasBegun && place != t.place:
		return errors.New("the checkpoint is not of the record before it")
	}
	t.hasBegun, t.place, t.isSigned = true, place, true
	return nil
}
