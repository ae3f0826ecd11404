package rotation

import (
	"testing"
	"time"

	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/migration"
)

// TestBoardFitsTerminal checks that a row with the longest values fits 80 columns once the
// entity ID and the name are cut.
func TestBoardFitsTerminal(t *testing.T) {
	const terminal, gap, shortest = 80, 2, 8
	at := time.Date(2027, time.April, 2, 9, 0, 0, 0, time.UTC)
	line := migration.Line{Move: migration.Unmoved}
	line.Years = []migration.YearUse{{Year: "2026", LastAt: at, Days30: 9_999_999, Signed: true, CertSHA256: "c"}}
	line.Certs = []migration.RequestCert{{SHA256: "c", EndAt: at}}
	row := boardRow(line, idp.Year("2026"))
	if len(row) != len(boardHeader) || row[6] != cli.FormatDay(at) {
		t.Fatalf("row %q does not match its header", row)
	}
	width := gap * (len(row) - 1)
	for i, cell := range row {
		if i < 2 { // the entity ID and the name
			width += max(shortest, len(boardHeader[i]))
		} else {
			width += max(len(cell), len(boardHeader[i]))
		}
	}
	if width > terminal {
		t.Errorf("%d columns wide: %q", width, row)
	}
}
