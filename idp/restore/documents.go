package restore

import (
	"time"

	"vernal/idp"
	"vernal/idp/backup"
	"vernal/idp/rotator"
)

// fate says what becomes of the documents of a kind. The fates of all other records are in the
// store.
type fate int

const (
	kept fate = iota + 1
	ended
	// held is for the rotation: see rotator.RestoreDocument.
	held
)

// fates has every kind of document, with the reason. A kind that is not in it is kept.
var fates = map[string]fate{
	idp.RotationKind: held,
	// A link could have been revoked after the backup.
	"link": ended,
	// Counters of attempts only refuse, and expire soon.
	"throttle": kept,
	// The cost of password hashes, which are kept.
	"account": kept,
	// What service providers used. The time without use begins again, see rotation.History.Restore.
	"usage": kept,
	// A notice that is sent twice is harmless, and one that is lost is not.
	"notice": kept, "notice_mark": kept,
	// Logos of service providers, by digest.
	"sp_logo":               kept,
	backup.RecordKind:       kept,
	backup.InstallationKind: kept,
	// When a test notice was sent last. It expires in a minute.
	"doctor": kept,
	// The report of an earlier restore, which this one replaces.
	documentKind: kept,
}

// changeDocument keeps, ends or holds a document, according to its kind.
func changeDocument(kind string, d *idp.Document, backupAt, now time.Time) (err error) {
	switch fates[kind] {
	case ended:
		d.Data = nil
	case held:
		d.Data, err = rotator.RestoreDocument(d.Data, backupAt, now)
	}
	return err
}
