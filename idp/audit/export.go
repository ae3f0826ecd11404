package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"vernal/idp"
)

// An exported trail has one record per line, as stored. If the trail was pruned before, it begins
// with the checkpoint that replaces the earlier records. If it was pruned with this export, it
// ends with a checkpoint.

// maxExportLine bounds a line of an exported trail, in bytes.
const maxExportLine = 4 << 20

// checkpointMark is the beginning of a checkpoint's line.
var checkpointMark = []byte(`{"checkpoint":`)

// ExportLine is a line of an exported trail.
type ExportLine struct {
	// Text is the whole line. It is a record unless Checkpoint is set.
	Text []byte
	// Checkpoint is set for the line of a checkpoint.
	Checkpoint *idp.AuditCheckpoint
}

// ExportReader reads an exported trail line by line. It verifies nothing.
type ExportReader struct{ r *bufio.Reader }

// NewExportReader returns a reader of the exported trail in r.
func NewExportReader(r io.Reader) *ExportReader {
	return &ExportReader{bufio.NewReaderSize(r, 1<<16)}
}

// Next returns the next line, and io.EOF after the last one. Any other error is about a line that
// is too long or cut off, a checkpoint that cannot be read, or a fault of the file.
func (e *ExportReader) Next() (ExportLine, error) {
	text, err := e.readLine()
	if err != nil || !bytes.HasPrefix(text, checkpointMark) {
		return ExportLine{Text: text}, err
	}
	var c struct {
		Checkpoint *idp.AuditCheckpoint `json:"checkpoint"`
	}
	if err := json.Unmarshal(text, &c); err != nil || c.Checkpoint == nil {
		return ExportLine{}, errors.New("the checkpoint cannot be read")
	}
	return ExportLine{Text: text, Checkpoint: c.Checkpoint}, nil
}

// readLine returns the next line without its end.
func (e *ExportReader) readLine() ([]byte, error) {
	var line []byte
	for {
		part, err := e.r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxExportLine:
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
