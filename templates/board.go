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

// The pages of the admin listener: the migration board for operators, and the wallboard for a
// screen that others see too. The wallboard's types have no fields for data that it must not
// show: contacts, certificates, IP addresses.

// BoardPage shows the state of the rotation, and which service providers have moved.
type BoardPage struct {
	Base
	At        time.Time
	Preferred idp.Year // "" if none can sign
	// Target is the year that service providers should move to, "" for none. Of the Seen active
	// ones, Moved have moved. Both are 0 while no service provider must leave a live year.
	Target      idp.Year
	MovedCount, ActiveCount int
	IsManual      bool   // the server takes no step automatically
	IsHeld        bool   // no newer year becomes preferred automatically, because of a rollback
	DataURL     string // the same data as JSON
	Years       []BoardYear
	// Attention lists the items that need an operator's attention. StatusCommand lists all of
	// them, and AddCommand registers a service provider, as lines to type; "" for none.
	Attention                 []BoardAttention
	StatusCommand, AddCommand string
	// MoreAttention counts the omitted ones.
	MoreAttention int
	NextSteps     []BoardStep

	// Moves and InYears lead to parts of the list. Search contains the form's URL and the
	// filter that it keeps, Query the search text.
	Moves, InYears []BoardFilter
	Search         BoardSearch
	// SPCount is one page of the list: First to Last of Total.
	SPs                []BoardSP
	First, Last, Total int
	RegisteredCount                int // service providers, without the filter
	PreviousURL        string
	NextURL            string
	// Fetches are metadata downloads that are credited to no service provider.
	Fetches []BoardFetch
}

// BoardYear is a year at the top of the migration board.
type BoardYear struct {
	Year  idp.Year
	State Key
	// IsLive reports whether the year's endpoints answer, so that its use is counted.
	IsLive, IsPreferred bool
	// CertEndAt is zero without a certificate, RetireAt for a year that is not live.
	CertEndAt, RetireAt time.Time
	HasCertEnded           bool
	// Source reports whether its service providers must move. Unmoved counts those that
	// have not.
	MustBeLeft      bool
	SPCount, UnmovedCount int
	// UnmovedURL lists them; "" for a year that no service provider must leave. Current
	// reports whether that list is shown.
	UnmovedURL string
	IsCurrent    bool
	Next       *BoardStep
}

// BoardStep is a coming step or event.
type BoardStep struct {
	Year idp.Year
	Text Key // {0} the year
	At   time.Time
	// IsManual reports whether an operator takes the step, Stuck that it has no date.
	IsManual, IsStuck bool
	Waits         []rotation.Reason // why it is late
}

// BoardAttention is something that needs attention, with the command that helps; "" for none.
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
	IsCurrent bool
}

// BoardSearch is the form that searches for a name.
type BoardSearch struct {
	Action, Query string
	Fields        []Field // the filter that it keeps
}

// BoardSP is a service provider on the migration board.
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

// BoardFetch is a client that downloads metadata.
type BoardFetch struct {
	Year               idp.Year // "" for the stable document
	Hint               string   // an unregistered entity ID, as sent by the client
	ClientIP, UserAgent string
	LastAt             time.Time
	Count              int
}

// WallPage is the wallboard, for a large screen. It refers to no other file, and must be sent
// with WallCSP.
type WallPage struct {
	Base
	At time.Time
	// Target is the year that service providers should move to, Leaving the year whose
	// migration is at the top; "" if no service provider must leave a year.
	Source, Target, Preferred idp.Year
	// Years are the live ones.
	Years     []BoardYear
	NextSteps []BoardStep
	// Attention counts the items that need attention, Needs lists their kinds.
	Attention int
	Needs     []WallNeed
	// UnmovedCount, Both, Moved and Unseen count active service providers, by how far they
	// have moved to To.
	UnmovedCount, BothCount, MovedCount, UnseenCount int
	// Migrations begin with the one from Leaving. The others follow.
	Migrations []WallMigration
	// IsPaused reports whether the page does not reload automatically (which a header does),
	// and offers to. Users must be able to stop content that updates automatically.
	IsPaused bool
	// SwitchURL leads to the page that reloads, or to the one that does not.
	SwitchURL string
}

// WallNeed is a kind of item that needs attention, and the number of items.
type WallNeed struct {
	Text  Key
	Year  idp.Year // "" for none
	Count int
}

// WallMigration is a year that service providers must still leave. Names are some of them,
// UnlistedCount how many others, Count all of them.
type WallMigration struct {
	Year        idp.Year
	Names       []WallName
	UnlistedCount, Count int
}

// WallName is a service provider that has not moved.
type WallName struct {
	Name   string
	LastAt time.Time
}

// WallCSP returns the Content-Security-Policy of the wallboard: only its own stylesheet, by
// its hash.
func (s *Set) WallCSP() string { return s.wallCSP }

// wallStyle is the stylesheet embedded in the wallboard.
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

// inlineStyle returns one of our stylesheets to embed in a page.
func inlineStyle(name string) (htmltemplate.CSS, error) {
	css, err := fs.ReadFile(Static(), name)
	return htmltemplate.CSS(css), err
}
