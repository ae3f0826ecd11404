package templates

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"time"

	"vernal/idp"
	"vernal/idp/rotation"
)

// The pages of the admin listener: the board, for those who run the rotation,
// and the wall, for a screen that others see too. The wall's types have no room
// for what it must not show: contacts, certificates, addresses.

// BoardPage is how the rotation stands, and which service provider has moved.
type BoardPage struct {
	Base
	At        time.Time
	Preferred idp.Year // "" if none can sign
	// Target is the year that service providers should move to; "" if there is none.
	// Moved of Seen active ones have; both 0 while no one has to leave a live year.
	Target      idp.Year
	Moved, Seen int
	Manual      bool   // the server takes no step itself
	Held        bool   // no newer year is preferred by itself, since a rollback
	DataURL     string // the same as JSON
	Years       []BoardYear
	// Attention is what an operator should see to. StatusCommand lists all of it, and
	// AddCommand registers a service provider, as lines to type; "" for none.
	Attention                 []BoardAttention
	StatusCommand, AddCommand string
	// MoreAttention counts those that are left out.
	MoreAttention int
	Coming        []BoardStep

	// Moves and InYears lead to parts of the list; Search is the form's address
	// and what it keeps, Query what was looked for.
	Moves, InYears []BoardFilter
	Search         BoardSearch
	// SPs is one page of the list: First to Last of Total.
	SPs                []BoardSP
	First, Last, Total int
	All                int // service providers, whatever is filtered
	PreviousURL        string
	NextURL            string
	// Fetches are loads of metadata that are credited to nobody.
	Fetches []BoardFetch
}

// BoardYear is a year at the top of the board.
type BoardYear struct {
	Year  idp.Year
	State Key
	// Live: its addresses answer, so it is counted who uses it.
	Live, Preferred bool
	// CertEndAt is zero without a certificate, RetireAt for a year that is not live.
	CertEndAt, RetireAt time.Time
	CertEnded           bool
	// Leaving: its users have to move. Unmoved counts those that have not.
	Leaving      bool
	SPs, Unmoved int
	// UnmovedURL lists them; "" for a year that no one has to leave. Current: they are
	// the list that is shown.
	UnmovedURL string
	Current    bool
	Next       *BoardStep
}

// BoardStep is something that comes.
type BoardStep struct {
	Year idp.Year
	What Key // {0} the year
	At   time.Time
	// ByHand: a person takes the step; Stuck: it has no date.
	ByHand, Stuck bool
	Waits         []rotation.Reason // why it is late
}

// BoardAttention is something to see to, with the line to type that helps; "" for none.
type BoardAttention struct {
	rotation.Attention
	Command string
}

// BoardFilter is a link to a part of the list.
type BoardFilter struct {
	Label   Key // "" for a year
	Year    idp.Year
	Count   int
	URL     string
	Current bool
}

// BoardSearch is the form that looks for a name.
type BoardSearch struct {
	Action, Query string
	Fields        []Field // the filter that it keeps
}

// BoardSP is a service provider on the board.
type BoardSP struct {
	EntityID idp.EntityID
	Name     string // "" for one without
	Move     Key
	Years    []BoardUse
	Certs    []BoardCert
	Warnings []rotation.Reason
	Contacts []string
	Fetches  []BoardFetch
}

// BoardUse is the use of one year by one service provider.
type BoardUse struct {
	Year            idp.Year
	FirstAt, LastAt time.Time
	Days7, Days30   int
	Signed          bool
	CertSHA256      string // fingerprint of the certificate that verified; "" if none did
}

// BoardCert is a request certificate of a service provider.
type BoardCert struct {
	SHA256 string
	EndAt  time.Time
	Ended  bool
	LastAt time.Time // zero: never seen
}

// BoardFetch is a client that loads metadata.
type BoardFetch struct {
	Year               idp.Year // "" for the stable document
	Hint               string   // an entity ID that is not registered, as the client said it
	Address, UserAgent string
	LastAt             time.Time
	Count              int
}

// WallPage is the board from across the room. It refers to no other file, and is to be
// sent with WallCSP.
type WallPage struct {
	Base
	At time.Time
	// To is the year that service providers should move to, Leaving the one that they
	// move from at the top; "" if no one has to leave a year.
	Leaving, To, Preferred idp.Year
	// Years are the live ones.
	Years  []BoardYear
	Coming []BoardStep
	// Attention counts what needs attention, Needs says what it is.
	Attention int
	Needs     []WallNeed
	// Unmoved, Both, Moved and Unseen count active service providers, by how far they
	// have moved to To.
	Unmoved, Both, Moved, Unseen int
	// Migrations begin with that from Leaving. Those from other years follow.
	Migrations []WallMigration
	// Still: the page does not load itself anew (which is a header's business),
	// and offers to. People must be able to stop what changes under their eyes.
	Still bool
	// SwitchURL leads to the page that does, or to the one that does not.
	SwitchURL string
}

// WallNeed is a kind of thing that needs attention, and how many of it.
type WallNeed struct {
	What  Key
	Year  idp.Year // "" for none
	Count int
}

// WallMigration is a year that service providers have still to move from. Names are
// those, More how many others, Count all of them.
type WallMigration struct {
	Year        idp.Year
	Names       []WallName
	More, Count int
}

// WallName is a service provider that has not moved.
type WallName struct {
	Name   string
	LastAt time.Time
}

// WallCSP is the Content-Security-Policy of the wall: nothing but its own
// stylesheet, by its hash.
func (s *Set) WallCSP() string { return s.wallCSP }

// wallStyle is the stylesheet that stands in the wall.
const wallStyle = "css/wall.css"

func wallCSP(files fs.FS) (string, error) {
	css, err := fs.ReadFile(files, wallStyle)
	if err != nil {
		return "", fmt.Errorf("read static files: %w", err)
	}
	sum := sha256.Sum256(css)
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'", nil
}

// inlineStyle gives a stylesheet of ours to stand in a page.
func inlineStyle(name string) (htmltemplate.CSS, error) {
	css, err := fs.ReadFile(Static(), name)
	return htmltemplate.CSS(css), err
}
