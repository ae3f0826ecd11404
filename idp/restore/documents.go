package restore

import (
	"time"

	"vernal/idp"
	"vernal/idp/backup"
	"vernal/idp/rotator"
)

// fate is the treatment of the documents of a kind. The fates of all other records are in the
// store.
type fate int

const (
	fateKept fate = iota + 1
	fateEnded
	// fateHeld is for the rotation: see rotator.RestoreDocument.
	fateHeld
)

// fates has every kind of document, with the reason. A kind that is not in it is kept.
var fates = map[string]fate{
	idp.RotationKind: fateHeld,
	// A link could have been revoked after the backup.
	"link": fateEnded,
	// A mailed link could have been used after the backup, and must not work again.
	"mail_link": fateEnded,
	// A mail could have been sent after the backup, and a link in it no longer works.
	"user_mail": fateEnded,
	// How far the audit trail was read for mails to users. Without it, a server would begin at the
	// end of the trail, and the last changes before the backup would have no notice.
	"user_mail_mark": fateKept,
	// Which users had their turn in the jobs about accounts. All have another one soon.
	"account_job_mark": fateKept,
	// Counters of attempts only refuse, and expire soon.
	"throttle": fateKept,
	// The cost of password hashes, which are kept.
	"account": fateKept,
	// The use of years by service providers. The time without use begins again, see rotation.History.Restore.
	"usage": fateKept,
	// A notice that is sent twice is harmless, and one that is lost is not.
	"notice": fateKept, "notice_mark": fateKept,
	// Logos of service providers, by digest.
	"sp_logo":               fateKept,
	backup.RecordKind:       fateKept,
	backup.InstallationKind: fateKept,
	// The time of the last test notice. It expires in a minute.
	"doctor": fateKept,
	// The report of an earlier restore, which this one replaces.
	documentKind: fateKept,
}

// changeDocument keeps, ends or holds a document, according to its kind.
func changeDocument(kind string, d *idp.Document, backupAt, now time.Time) (err error) {
	switch fates[kind] {
	case fateEnded:
		d.Data = nil
	case fateHeld:
		d.Data, err = rotator.RestoreDocument(d.Data, backupAt, now)
	}
	return err
}
