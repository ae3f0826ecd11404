package restore

import (
	"strings"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/rotation"
	"vernal/idp/rotator"
)

// effect is the meaning of a record after the backup for the restored installation.
type effect int

const (
	// effectRepeated: it ended something, and is repeated.
	effectRepeated effect = iota + 1
	// effectCovered: a restore ends what the record is about in any case.
	effectCovered
	// effectHarmless: it changed nothing that a backup has.
	effectHarmless
	// effectLost: an operator or the user must do it again.
	effectLost
)

// effects has every kind of record. A kind that is missing here is lost.
var effects = map[idp.AuditKind]effect{
	idp.AuditUserDelete: effectRepeated, idp.AuditUserLock: effectRepeated, idp.AuditUserResetMFA: effectRepeated,
	idp.AuditSPRemove: effectRepeated, idp.AuditUserConsent: effectRepeated,
	// Of these records, only the changes that ended something are repeated, see plan.add.
	idp.AuditUserResetPassword: effectRepeated, idp.AuditUserUseRecoveryCode: effectRepeated,
	idp.AuditUserSetPassword: effectRepeated, idp.AuditUserUnlock: effectRepeated, idp.AuditUserVerify: effectRepeated, idp.AuditSPEdit: effectRepeated,
	idp.AuditRotationAdopt: effectRepeated, idp.AuditRotationCreate: effectRepeated, idp.AuditRotationCSR: effectRepeated, idp.AuditRotationImport: effectRepeated,
	idp.AuditRotationDestroy: effectRepeated, idp.AuditRotationPrefer: effectRepeated, idp.AuditRotationPublish: effectRepeated,
	idp.AuditRotationRetire: effectRepeated, idp.AuditRotationRevoke: effectRepeated, idp.AuditRotationRollback: effectRepeated,

	idp.AuditAuthn: effectCovered, idp.AuditAuthnPassword: effectCovered, idp.AuditStepUp: effectCovered,
	idp.AuditSessionEnd: effectCovered, idp.AuditSignOut: effectCovered, idp.AuditLogout: effectCovered, idp.AuditRemoteLogout: effectCovered,
	idp.AuditUserForgetDevice: effectCovered,
	// A restore drops all plans, see idp.User.ExpireUntil.
	idp.AuditUserCancelDeletion: effectCovered, idp.AuditUserCancelReset: effectCovered,
	idp.AuditLinkCreate: effectCovered, idp.AuditLinkRemove: effectCovered, idp.AuditLinkRevoke: effectCovered,
	idp.AuditRotationResume: effectCovered, idp.AuditRotationConfirmClock: effectCovered,
	// The NameIDs that were new are counted separately.
	idp.AuditSignIn: effectCovered,

	idp.AuditAuditPrune: effectHarmless, idp.AuditBackup: effectHarmless, idp.AuditFailure: effectHarmless, idp.AuditRefusal: effectHarmless, idp.AuditRefusals: effectHarmless,
	idp.AuditPreviewAdmit: effectHarmless, idp.AuditPreviewEnter: effectHarmless, idp.AuditPreviewFetch: effectHarmless,
	idp.AuditRotationExport: effectHarmless, idp.AuditRotationNotice: effectHarmless, idp.AuditRotationRehearse: effectHarmless,
	idp.AuditUserExport: effectHarmless, idp.AuditRestored: effectHarmless, idp.AuditRestoredSince: effectHarmless,

	idp.AuditUserAddEmail: effectLost, idp.AuditUserEditEmail: effectLost, idp.AuditUserRemoveEmail: effectLost,
	idp.AuditUserRemoveTOTP: effectLost, idp.AuditUserRenameTOTP: effectLost,
	idp.AuditUserPlanDeletion: effectLost, idp.AuditUserPlanReset: effectLost,
	idp.AuditUserAdd: effectLost, idp.AuditUserInvite: effectLost, idp.AuditUserEdit: effectLost, idp.AuditUserEditLang: effectLost, idp.AuditUserAddTOTP: effectLost, idp.AuditUserImport: effectLost, idp.AuditUserRecoveryCodes: effectLost, idp.AuditSPAdd: effectLost,
	idp.AuditKeysRenew: effectLost, idp.AuditKeysRenewed: effectLost,
	idp.AuditMasterKeyBegin: effectLost, idp.AuditMasterKeyBoth: effectLost, idp.AuditMasterKeyCancel: effectLost,
	idp.AuditMasterKeyEnd: effectLost, idp.AuditMasterKeyFinish: effectLost,
}

// plan collects the changes after a backup that an exported trail shows.
type plan struct {
	end         audit.Place
	isSigned    bool
	recordCount int
	steps       []rotation.PastStep
	users       map[idp.UserID]*userChanges
	sps         map[idp.EntityID]*spChanges
	visits      map[visit]bool
	lostCounts  map[idp.AuditKind]int
}

// userChanges lists which changes of a user must be repeated, the most urgent first.
type userChanges struct {
	isDeleted, isLocked, hasNewPassword, hasUsedCode, hasLostFactors, hasLostProof, hasLostFacialMatch bool
	// withdrawn are the service providers from which the user withdrew the consent.
	withdrawn []idp.EntityID
}

// spChanges lists which changes of a service provider must be repeated.
type spChanges struct {
	isRemoved, isInactive bool
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
		users: map[idp.UserID]*userChanges{}, sps: map[idp.EntityID]*spChanges{},
		visits: map[visit]bool{}, lostCounts: map[idp.AuditKind]int{},
	}
}

func (p *plan) ensureUser(id idp.UserID) *userChanges {
	if p.users[id] == nil {
		p.users[id] = &userChanges{}
	}
	return p.users[id]
}

func (p *plan) ensureSP(id idp.EntityID) *spChanges {
	if p.sps[id] == nil {
		p.sps[id] = &spChanges{}
	}
	return p.sps[id]
}

// add adds a record after the backup.
func (p *plan) add(rec *idp.AuditRecord) {
	p.recordCount++
	if rec.Outcome != "ok" {
		return
	}
	if step, ok := rotator.ReadPastStep(rec); ok && effects[rec.Kind] == effectRepeated {
		p.steps = append(p.steps, step)
		return
	}
	switch rec.Kind {
	case idp.AuditUserDelete:
		p.ensureUser(rec.User).isDeleted = true
	case idp.AuditUserLock:
		p.ensureUser(rec.User).isLocked = true
	case idp.AuditUserUnlock:
		// A lock from before the backup stays.
		p.ensureUser(rec.User).isLocked = false
		p.lostCounts[rec.Kind]++
	case idp.AuditUserSetPassword, idp.AuditUserResetPassword:
		// The old password must not work again, and the new one is unknown.
		p.ensureUser(rec.User).hasNewPassword = true
		p.lostCounts[rec.Kind]++
	case idp.AuditUserUseRecoveryCode:
		// It is unknown which code was used, and it must not work again.
		p.ensureUser(rec.User).hasUsedCode = true
	case idp.AuditUserResetMFA:
		p.ensureUser(rec.User).hasLostFactors = true
	case idp.AuditUserVerify:
		// An identity that was proofed later is lost. That in the backup must not return after it
		// was removed, nor with a facial match after that was withdrawn.
		switch rec.Detail["level"] {
		case account.LevelNone:
			p.ensureUser(rec.User).hasLostProof = true
		case idp.IALVerified:
			p.ensureUser(rec.User).hasLostFacialMatch = true
			p.lostCounts[rec.Kind]++
		default:
			p.lostCounts[rec.Kind]++
		}
	case idp.AuditUserConsent:
		changes := p.ensureUser(rec.User)
		changes.withdrawn = append(changes.withdrawn, rec.SP)
	case idp.AuditSPRemove:
		p.sps[rec.SP] = &spChanges{isRemoved: true}
	case idp.AuditSPEdit:
		p.addEdit(rec)
	case idp.AuditSignIn:
		p.visits[visit{rec.User, rec.SP}] = true
	default:
		if e := effects[rec.Kind]; e == effectLost || e == 0 {
			p.lostCounts[rec.Kind]++
		}
	}
}

// addEdit adds a change of a registration. Only its removals are repeated.
func (p *plan) addEdit(rec *idp.AuditRecord) {
	changes := p.ensureSP(rec.SP)
	if active, ok := rec.Detail["active"]; ok {
		changes.isInactive = active == "false"
	}
	otherFields := len(rec.Detail)
	if certs, ok := rec.Detail["certs"]; ok {
		changes.certs = readFingerprints(certs)
	}
	if _, ok := rec.Detail["active"]; ok && changes.isInactive {
		otherFields--
	}
	if otherFields > 0 {
		p.lostCounts[rec.Kind]++
	}
}

// readFingerprints reads the fingerprints in an audit record. It returns nil if one is cut off.
func readFingerprints(text string) []string {
	fingerprints := strings.Fields(text)
	for _, fingerprint := range fingerprints {
		if len(fingerprint) != 64 || strings.Trim(fingerprint, "0123456789abcdef") != "" {
			return nil
		}
	}
	if fingerprints == nil {
		return []string{}
	}
	return fingerprints
}
