package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"vernal/idp"
	"vernal/idp/audit"
)

// An exported file contains one record per line, as stored. If the trail was pruned before, the
// file begins with the checkpoint that replaces the earlier records. If it was pruned with this
// file, the file ends with a checkpoint.

// maxAuditLine bounds a line of an exported file.
const maxAuditLine = 4 << 20

// checkpointLine is a checkpoint in an exported file.
type checkpointLine struct {
	Checkpoint *idp.AuditCheckpoint `json:"checkpoint"`
}

// auditFile describes the content of an exported file.
type auditFile struct {
	Records     uint64                `json:"records"`
	First       uint64                `json:"first"`
	Last        uint64                `json:"last"`
	Hash        string                `json:"hash"`
	Checkpoints []idp.AuditCheckpoint `json:"checkpoints"`
	// Signed: it ends with a checkpoint for its last record.
	Signed   bool `json:"signed"`
	Compared bool `json:"compared"`
	// Standing is how the file relates to the trail in the store.
	Standing string             `json:"standing,omitempty"`
	Broken   *audit.BrokenError `json:"broken,omitempty"`

	place audit.Place
	began bool
	known uint64 // where the operator knows that the trail is broken; 0 for nowhere
}

// readAuditFile verifies a file line by line, and reports a break in Broken. known is a
// record where a break is known, or 0.
func readAuditFile(name string, at *audit.Place, known uint64) (*auditFile, error) {
	in, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	f := &auditFile{Checkpoints: []idp.AuditCheckpoint{}, known: known}
	r := bufio.NewReaderSize(in, 1<<16)
	for n := 1; ; n++ {
		line, err := readLine(r)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read %s, line %d: %w", name, n, err)
		}
		if err := f.verifyLine(line, at); err != nil {
			if !errors.As(err, &f.Broken) {
				return nil, fmt.Errorf("read %s, line %d: %w", name, n, err)
			}
			f.lookAhead(r)
			return f, nil
		}
	}
	if f.Records == 0 && len(f.Checkpoints) == 0 {
		return nil, fmt.Errorf("%s holds no records", name)
	}
	return f, nil
}

// readLine reads a line without its end. One that is cut off is no line.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxAuditLine:
			return nil, errors.New("the line is too long for a record")
		case err == nil:
			return line[:len(line)-1], nil
		case errors.Is(err, io.EOF) && len(line) > 0:
			return nil, errors.New("the file is cut off in the middle of a line")
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

// verifyLine verifies one line.
func (f *auditFile) verifyLine(line []byte, at *audit.Place) error {
	if bytes.HasPrefix(line, []byte(`{"checkpoint":`)) {
		return f.takeCheckpoint(line)
	}
	if f.Signed && f.Records > 0 {
		return &audit.BrokenError{Seq: f.Last + 1, What: "follows the checkpoint that ends the file"}
	}
	stored := idp.AuditLine{JSON: line}
	l, ok := audit.ReadLine(stored)
	if !ok {
		return &audit.BrokenError{Seq: f.place.Seq + 1, What: "was changed: its content is not a record"}
	}
	stored.Place = l.Seq
	if !f.began {
		f.began = true
		f.place = audit.Place{Seq: l.Seq - 1, Hash: l.Prev} // a part of a trail begins anywhere
		if l.Seq == 1 {
			f.place = audit.Place{}
		}
	}
	next, err := f.place.Next(stored)
	if err != nil && f.known == f.place.Seq+1 {
		next, err = audit.Place{Seq: l.Seq, Hash: l.Hash}, nil
	}
	if err != nil {
		return err
	}
	if f.Records == 0 {
		f.First = next.Seq
	}
	f.place, f.Last, f.Hash = next, next.Seq, next.Hash
	f.Records++
	if at != nil && at.Seq == next.Seq {
		f.Compared = true
		if at.Hash != next.Hash {
			return &audit.BrokenError{Seq: next.Seq, What: "is not the recorded one: it, or the trail before it, was replaced"}
		}
	}
	return nil
}

func (f *auditFile) takeCheckpoint(line []byte) error {
	var c checkpointLine
	if err := json.Unmarshal(line, &c); err != nil || c.Checkpoint == nil {
		return errors.New("the checkpoint cannot be read")
	}
	place := audit.Place{Seq: c.Checkpoint.Seq, Hash: c.Checkpoint.Hash}
	if f.began && place != f.place {
		return &audit.BrokenError{Seq: place.Seq, What: fmt.Sprintf("has a checkpoint, but the file ends with record %d", f.place.Seq)}
	}
	f.Signed = f.began
	f.began, f.place = true, place
	f.Checkpoints = append(f.Checkpoints, *c.Checkpoint)
	return nil
}

// lookAhead reads on to distinguish a moved record from a removed one.
func (f *auditFile) lookAhead(r *bufio.Reader) {
	for {
		line, err := readLine(r)
		if err != nil {
			return
		}
		if l, ok := audit.ReadLine(idp.AuditLine{JSON: line}); ok && l.Seq == f.Broken.Seq {
			f.Broken.What = "was moved: it is further on"
			return
		}
	}
}
