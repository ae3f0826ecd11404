package restore

import (
	"strings"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/rotation"
	"vernal/idp/rotator"
)

// effect says what a record after the backup means for the restored installation.
type effect int

const (
	// repeated: it ended something, and is repeated.
	repeated effect = iota + 1
	// covered: a restore ends what the record is about in any case.
	covered
	// harmless: it changed nothing that a backup has.
	harmless
	// lost: an operator or the user must do it again.
	lost
)

// effects has every kind of record. A kind that is not in it is lost.
var effects = map[idp.AuditKind]effect{
	idp.AuditUserDelete: repeated, idp.AuditUserLock: repeated, idp.AuditUserResetMFA: repeated,
	idp.AuditSPRemove: repeated,
	// Only what ended is repeated of these; see plan.add.
	idp.AuditUserSetPassword: repeated, idp.AuditUserUnlock: repeated, idp.AuditUserVerify: repeated, idp.AuditSPEdit: repeated,
	idp.AuditRotationAdopt: repeated, idp.AuditRotationCreate: repeated, idp.AuditRotationCSR: repeated, idp.AuditRotationImport: repeated,
	idp.AuditRotationDestroy: repeated, idp.AuditRotationPrefer: repeated, idp.AuditRotationPublish: repeated,
	idp.AuditRotationRetire: repeated, idp.AuditRotationRevoke: repeated, idp.AuditRotationRollback: repeated,

	idp.AuditAuthn: covered, idp.AuditAuthnPassword: covered, idp.AuditStepUp: covered,
	idp.AuditSessionEnd: covered, idp.AuditSignOut: covered, idp.AuditLogout: covered, idp.AuditRemoteLogout: covered,
	idp.AuditUserForgetDevice: covered,
	idp.AuditLinkCreate:       covered, idp.AuditLinkRemove: covered, idp.AuditLinkRevoke: covered,
	idp.AuditRotationResume: covered, idp.AuditRotationConfirmClock: covered,
	// The NameIDs that were new are counted apart.
	idp.AuditSignIn: covered,

	idp.AuditAuditPrune: harmless, idp.AuditBackup: harmless, idp.AuditFailure: harmless, idp.AuditRefusal: harmless, idp.AuditRefusals: harmless,
	idp.AuditPreviewAdmit: harmless, idp.AuditPreviewEnter: harmless, idp.AuditPreviewFetch: harmless,
	idp.AuditRotationExport: harmless, idp.AuditRotationNotice: harmless, idp.AuditRotationRehearse: harmless,
	idp.AuditUserExport: harmless, idp.AuditRestored: harmless, idp.AuditRestoredSince: harmless,

	idp.AuditUserAdd: lost, idp.AuditUserAddTOTP: lost, idp.AuditUserImport: lost, idp.AuditSPAdd: lost,
	idp.AuditKeysRenew: lost, idp.AuditKeysRenewed: lost,
	idp.AuditMasterKeyBegin: lost, idp.AuditMasterKeyBoth: lost, idp.AuditMasterKeyCancel: lost,
	idp.AuditMasterKeyEnd: lost, idp.AuditMasterKeyFinish: lost,
}

// plan collects the changes after a backup that an exported trail shows.
type plan struct {
	end     audit.Place
	signed  bool
	records int
	steps   []rotation.PastStep
	users   map[idp.UserID]*userEnd
	sps     map[idp.EntityID]*spEnd
	visits  map[visit]bool
	lost    map[idp.AuditKind]int
}

// userEnd says which changes of a user must be repeated, the most urgent first.
type userEnd struct {
	deleted, locked, password, factors, proof, noFacialMatch bool
}

// spEnd says which changes of a service provider must be repeated.
type spEnd struct {
	removed, inactive bool
	// certs are the fingerprints of the request certificates after the last change; nil if
	// they did not change or are unknown.
	certs []string
}

// visit is an assertion about a user for a service provider.
type visit struct {
	user idp.UserID
	sp   idp.EntityID
}

func newPlan() *plan {
	return &plan{
		users: map[idp.UserID]*userEnd{}, sps: map[idp.EntityID]*spEnd{},
		visits: map[visit]bool{}, lost: map[idp.AuditKind]int{},
	}
}

func (p *plan) ensureUser(id idp.UserID) *userEnd {
	if p.users[id] == nil {
		p.users[id] = &userEnd{}
	}
	return p.users[id]
}

func (p *plan) ensureSP(id idp.EntityID) *spEnd {
	if p.sps[id] == nil {
		p.sps[id] = &spEnd{}
	}
	return p.sps[id]
}

// add adds a record after the backup.
func (p *plan) add(rec *idp.AuditRecord) {
	p.records++
	if rec.Outcome != "ok" {
		return
	}
	if step, ok := rotator.ReadPastStep(rec); ok && effects[rec.Kind] == repeated {
		p.steps = append(p.steps, step)
		return
	}
	switch rec.Kind {
	case idp.AuditUserDelete:
		p.ensureUser(rec.User).deleted = true
	case idp.AuditUserLock:
		p.ensureUser(rec.User).locked = true
	case idp.AuditUserUnlock:
		// A lock from before the backup stays.
		p.ensureUser(rec.User).locked = false
		p.lost[rec.Kind]++
	case idp.AuditUserSetPassword:
		// The old password must not work again, and the new one is unknown.
		p.ensureUser(rec.User).password = true
		p.lost[rec.Kind]++
	case idp.AuditUserResetMFA:
		p.ensureUser(rec.User).factors = true
	case idp.AuditUserVerify:
		// An identity that was proofed later is lost. That in the backup must not return after it
		// was removed, nor with a facial match after that was withdrawn.
		switch rec.Detail["level"] {
		case account.LevelNone:
			p.ensureUser(rec.User).proof = true
		case idp.IALVerified:
			p.ensureUser(rec.User).noFacialMatch = true
			p.lost[rec.Kind]++
		default:
			p.lost[rec.Kind]++
		}
	case idp.AuditSPRemove:
		p.sps[rec.SP] = &spEnd{removed: true}
	case idp.AuditSPEdit:
		p.addEdit(rec)
	case idp.AuditSignIn:
		p.visits[visit{rec.User, rec.SP}] = true
	default:
		if e := effects[rec.Kind]; e == lost || e == 0 {
			p.lost[rec.Kind]++
		}
	}
}

// addEdit adds a change of a registration. Only its removals are repeated.
func (p *plan) addEdit(rec *idp.AuditRecord) {
	end := p.ensureSP(rec.SP)
	if active, ok := rec.Detail["active"]; ok {
		end.inactive = active == "false"
	}
	other := len(rec.Detail)
	if certs, ok := rec.Detail["certs"]; ok {
		end.certs = readFingerprints(certs)
	}
	if _, ok := rec.Detail["active"]; ok && end.inactive {
		other--
	}
	if other > 0 {
		p.lost[rec.Kind]++
	}
}

// readFingerprints reads the fingerprints in an audit record. It returns nil if one is cut off.
func readFingerprints(text string) []string {
	prints := strings.Fields(text)
	for _, print := range prints {
		if len(print) != 64 || strings.Trim(print, "0123456789abcdef") != "" {
			return nil
		}
	}
	if prints == nil {
		return []string{}
	}
	return prints
}
