package audit

import (
	"errors"
	"fmt"
	"io"
	"os"

	"vernal/idp"
	"vernal/idp/audit"
)

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
	// Signed reports whether the file ends with a checkpoint for its last record.
	Signed   bool `json:"signed"`
	Compared bool `json:"compared"`
	// Standing is how the file relates to the trail in the store.
	Standing string             `json:"standing,omitempty"`
	Broken   *audit.BrokenError `json:"broken,omitempty"`

	place audit.Place
	hasBegun bool
	knownBreak uint64 // the record where the operator knows of a break, 0 for none
}

// readAuditFile verifies a file line by line, and reports a break in Broken. known is a
// record where a break is known, or 0.
func readAuditFile(name string, at *audit.Place, known uint64) (*auditFile, error) {
	in, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	f := &auditFile{Checkpoints: []idp.AuditCheckpoint{}, knownBreak: known}
	r := audit.NewExportReader(in)
	for n := 1; ; n++ {
		line, err := r.Next()
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

// verifyLine verifies one line.
func (f *auditFile) verifyLine(line audit.ExportLine, at *audit.Place) error {
	if line.Checkpoint != nil {
		return f.addCheckpoint(line.Checkpoint)
	}
	if f.Signed && f.Records > 0 {
		return &audit.BrokenError{Seq: f.Last + 1, Problem: "follows the checkpoint that ends the file"}
	}
	stored := idp.AuditLine{JSON: line.Text}
	l, ok := audit.ReadLine(stored)
	if !ok {
		return &audit.BrokenError{Seq: f.place.Seq + 1, Problem: "was changed: its content is not a record"}
	}
	stored.Place = l.Seq
	if !f.hasBegun {
		f.hasBegun = true
		f.place = audit.Place{Seq: l.Seq - 1, Hash: l.Prev} // a part of a trail can begin at any record
		if l.Seq == 1 {
			f.place = audit.Place{}
		}
	}
	next, err := f.place.Next(stored)
	if err != nil && f.knownBreak == f.place.Seq+1 {
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
			return &audit.BrokenError{Seq: next.Seq, Problem: "is not the recorded one: it, or the trail before it, was replaced"}
		}
	}
	return nil
}

func (f *auditFile) addCheckpoint(c *idp.AuditCheckpoint) error {
	place := audit.Place{Seq: c.Seq, Hash: c.Hash}
	if f.hasBegun && place != f.place {
		return &audit.BrokenError{Seq: place.Seq, Problem: fmt.Sprintf("has a checkpoint, but the file ends with record %d", f.place.Seq)}
	}
	f.Signed = f.hasBegun
	f.hasBegun, f.place = true, place
	f.Checkpoints = append(f.Checkpoints, *c)
	return nil
}

// lookAhead reads on to distinguish a moved record from a removed one.
func (f *auditFile) lookAhead(r *audit.ExportReader) {
	for {
		line, err := r.Next()
		if err != nil {
			return
		}
		if l, ok := audit.ReadLine(idp.AuditLine{JSON: line.Text}); ok && l.Seq == f.Broken.Seq {
			f.Broken.Problem = "was moved: it is further on"
			return
		}
	}
}
