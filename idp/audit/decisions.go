package audit

import (
	"fmt"
	"slices"
	"strings"

	"vernal/idp"
)

// Decision is a decision about a user or a request. The audit record follows from the decision (see
// Rule), and not from the place where the code returns. A handler names its decision at every exit.
type Decision uint8

// The decisions. Undecided, the zero value, is a fault: no handler may end with it.
const (
	Undecided Decision = iota
	// NothingDecided: a page was shown, or a form lacked a value that a decision needs.
	NothingDecided
	// ByError: the handler returns an error, and the page for it records the
	// refusal or failure under the error's code.
	ByError

	PasswordRight     // the user must still prove a second factor
	PasswordWrong     // the user is known
	PasswordUnknown   // the email address has no account
	PasswordThrottled // no user was looked up, so the user is unknown
	PasswordBusy      // too many others waited, and no user was looked up
	AccountLocked     // the password was right
	AccountChanged    // locked, deleted or given a new password at this moment
	FactorMissing     // the user has no factor of the level asked for
	NotVerified       // the user has no proofed identity of the level asked for
	CodeWrong
	CodeReplayed // the code is right, but was used before
	CodeThrottled
	SignedIn
	SteppedUp
	SignedOut
	SessionsEnded
	DevicesForgotten
	RequestRefused // the code of the refusal says why
	FormRefused
	Failed

	MailThrottled       // too many mails were requested for an email address or from a network
	Registered          // the user confirmed the email address and chose a password
	InvitationCompleted // the same, for an account that an operator created
	FirstFactorAdded    // in a sign-in with only the password
	RecoveryCodesMade

	AssertionIssued
	NoPassive
	LoggedOut           // the sessions that a LogoutRequest names ended or never existed
	LogoutUnknown       // the LogoutRequest names no session of this browser
	RemoteLoggedOut     // LoggedOut on the back channel
	RemoteLogoutUnknown // the SP knows no such user
	PreviewOpened       // a link was opened in a browser
	PreviewFetched      // a document of an unpublished year was fetched through a link
	PreviewAdmitted     // a request to an unpublished year was let in
	UsersExported       // one page of an export

	UserAdded
	UserImported
	UserLocked
	UserUnlocked
	PasswordSet
	FactorAdded
	FactorsReset
	UserVerified
	UserDeleted

	decisionCount // the number of decisions
)

// Writer names the code that writes the record of a decision.
type Writer uint8

// The writers.
const (
	// WriterNone: the decision leaves no record.
	WriterNone Writer = iota
	// WriterChange: in the same step as the change that the decision makes.
	WriterChange
	// WriterPage: by the page that shows the error, with its error ID.
	WriterPage
	// WriterBudget: before the answer, within a budget, because the sender can repeat
	// it as often as they like. Beyond the budget it is counted for the user.
	WriterBudget
)

// Fields is a set of the fields of a record.
type Fields uint8

// The fields that a record can have in addition to kind, outcome and detail.
const (
	HasActor Fields = 1 << iota
	HasUser
	HasSP
	HasYear
	HasRequestID
	HasErrorID
	HasAddress
)

// Rule describes the audit record of a decision.
type Rule struct {
	// Name is the stable name of the decision.
	Name   string
	Writer Writer
	// Kind and Outcome are the record's. An empty Outcome with a Writer is the
	// code of a refusal or failure.
	Kind    idp.AuditKind
	Outcome string
	// Must are the fields that every such record has. May are those that it also has if the
	// decision is about a service provider's request.
	Must, May Fields
	// Detail are the names that the record's detail always has. MayDetail are those that it may
	// also have.
	Detail, MayDetail []string
}

const (
	visitFields   = HasRequestID | HasAddress        // of a browser
	requestFields = HasSP | HasYear                  // about a service provider
	userFields    = HasActor | HasUser | visitFields // by a user
	callerFields  = HasActor | HasUser               // by the caller of a command
)

var rules = [decisionCount]Rule{
	NothingDecided: {Name: "nothing_decided"},
	ByError:        {Name: "by_error"},

	PasswordRight:     {"password_right", WriterChange, idp.AuditAuthnPassword, "ok", HasUser | visitFields, requestFields, nil, nil},
	PasswordWrong:     {"password_wrong", WriterBudget, idp.AuditRefusal, "password", HasUser | visitFields, requestFields, []string{"route"}, nil},
	PasswordUnknown:   {"password_unknown", WriterBudget, idp.AuditRefusal, "password", visitFields, requestFields, []string{"route"}, nil},
	PasswordThrottled: {"password_throttled", WriterBudget, idp.AuditRefusal, "throttled", visitFields, requestFields, []string{"route", "limit"}, nil},
	PasswordBusy:      {"password_busy", WriterBudget, idp.AuditRefusal, "busy", visitFields, requestFields, []string{"route", "limit"}, nil},
	AccountLocked:     {"account_locked", WriterPage, idp.AuditRefusal, "account_locked", userFields | HasErrorID, requestFields, []string{"route", "field"}, nil},
	AccountChanged:    {"account_changed", WriterBudget, idp.AuditRefusal, "account_changed", HasUser | visitFields, requestFields, []string{"route"}, nil},
	FactorMissing:     {"factor_missing", WriterPage, idp.AuditRefusal, "factor_missing", userFields | HasErrorID, requestFields, []string{"route", "field"}, nil},
	NotVerified:       {"not_verified", WriterPage, idp.AuditRefusal, "not_verified", userFields | HasErrorID, requestFields, []string{"route", "field"}, nil},
	CodeWrong:         {"code_wrong", WriterBudget, idp.AuditRefusal, "code", HasUser | visitFields, requestFields, []string{"route"}, nil},
	CodeReplayed:      {"code_replayed", WriterBudget, idp.AuditRefusal, "code", HasUser | visitFields, requestFields, []string{"route", "reason"}, nil},
	CodeThrottled:     {"code_throttled", WriterBudget, idp.AuditRefusal, "throttled", HasUser | visitFields, requestFields, []string{"route", "limit"}, nil},
	SignedIn:          {"signed_in", WriterChange, idp.AuditAuthn, "ok", userFields, requestFields, []string{"factors"}, []string{"remembered"}},
	SteppedUp:         {"stepped_up", WriterChange, idp.AuditStepUp, "ok", userFields, requestFields, []string{"factors"}, []string{"remembered"}},
	SignedOut:         {"signed_out", WriterChange, idp.AuditSignOut, "ok", userFields, 0, nil, nil},
	SessionsEnded:     {"sessions_ended", WriterChange, idp.AuditSessionEnd, "ok", userFields, 0, []string{"session"}, nil},
	DevicesForgotten:  {"devices_forgotten", WriterChange, idp.AuditUserForgetDevice, "ok", userFields, 0, []string{"device"}, nil},
	RequestRefused:    {"request_refused", WriterPage, idp.AuditRefusal, "", visitFields | HasErrorID, requestFields | HasActor | HasUser, []string{"route", "field"}, []string{"sp", "seen"}},
	FormRefused:       {"form_refused", WriterPage, idp.AuditRefusal, "bad_form", visitFields | HasErrorID, requestFields | HasActor | HasUser, []string{"route"}, nil},
	Failed:            {"failed", WriterPage, idp.AuditFailure, "", visitFields | HasErrorID, requestFields | HasActor | HasUser, []string{"route"}, []string{"sp"}},

	MailThrottled:       {"mail_throttled", WriterBudget, idp.AuditRefusal, "throttled", visitFields, requestFields, []string{"route", "limit"}, nil},
	Registered:          {"registered", WriterChange, idp.AuditUserAdd, "ok", userFields, requestFields, nil, nil},
	InvitationCompleted: {"invitation_completed", WriterChange, idp.AuditUserSetPassword, "ok", userFields, requestFields, nil, nil},
	FirstFactorAdded:    {"first_factor_added", WriterChange, idp.AuditUserAddTOTP, "ok", userFields, requestFields, nil, nil},
	RecoveryCodesMade:   {"recovery_codes_made", WriterChange, idp.AuditUserRecoveryCodes, "ok", userFields, requestFields, nil, nil},

	AssertionIssued:     {"assertion_issued", WriterChange, idp.AuditSignIn, "ok", userFields | requestFields, 0, nil, []string{"preview"}},
	NoPassive:           {"no_passive", WriterChange, idp.AuditSignIn, "no_passive", HasActor | requestFields | visitFields, HasUser, nil, nil},
	LoggedOut:           {"logged_out", WriterChange, idp.AuditLogout, "ok", HasActor | requestFields | visitFields, HasUser, nil, []string{"preview"}},
	LogoutUnknown:       {"logout_unknown", WriterChange, idp.AuditLogout, "unknown_principal", HasActor | requestFields | visitFields, HasUser, nil, []string{"preview"}},
	RemoteLoggedOut:     {"remote_logged_out", WriterChange, idp.AuditRemoteLogout, "ok", HasActor | HasUser | requestFields | visitFields, 0, nil, []string{"preview"}},
	RemoteLogoutUnknown: {"remote_logout_unknown", WriterChange, idp.AuditRemoteLogout, "unknown_principal", HasActor | requestFields | visitFields, 0, nil, []string{"preview"}},

	PreviewOpened:   {"preview_opened", WriterBudget, idp.AuditPreviewEnter, "ok", requestFields | visitFields, HasUser, []string{"preview", "route"}, nil},
	PreviewFetched:  {"preview_fetched", WriterBudget, idp.AuditPreviewFetch, "ok", requestFields | visitFields, HasUser, []string{"preview", "route"}, nil},
	PreviewAdmitted: {"preview_admitted", WriterBudget, idp.AuditPreviewAdmit, "ok", requestFields | visitFields, HasUser, []string{"preview", "route"}, nil},
	UsersExported: {"users_exported", WriterChange, idp.AuditUserExport, "ok", HasActor, 0,
		[]string{"secrets", "count", "after"}, []string{"next"}},

	UserAdded:    {"user_added", WriterChange, idp.AuditUserAdd, "ok", callerFields, 0, nil, nil},
	UserImported: {"user_imported", WriterChange, idp.AuditUserImport, "ok", callerFields, 0, []string{"name_ids", "level"}, nil},
	UserLocked:   {"user_locked", WriterChange, idp.AuditUserLock, "ok", callerFields, 0, nil, nil},
	UserUnlocked: {"user_unlocked", WriterChange, idp.AuditUserUnlock, "ok", callerFields, 0, nil, nil},
	PasswordSet:  {"password_set", WriterChange, idp.AuditUserSetPassword, "ok", callerFields, 0, nil, nil},
	FactorAdded:  {"factor_added", WriterChange, idp.AuditUserAddTOTP, "ok", callerFields, 0, nil, nil},
	FactorsReset: {"factors_reset", WriterChange, idp.AuditUserResetMFA, "ok", callerFields, 0, nil, nil},
	UserVerified: {"user_verified", WriterChange, idp.AuditUserVerify, "ok", callerFields, 0, []string{"level", "fields"}, nil},
	UserDeleted:  {"user_deleted", WriterChange, idp.AuditUserDelete, "ok", callerFields, 0, nil, nil},
}

// Decisions lists every decision but Undecided.
func Decisions() (all []Decision) {
	for d := Undecided + 1; d < decisionCount; d++ {
		all = append(all, d)
	}
	return all
}

// Rule returns the rule for the decision. It is the zero Rule for Undecided and for a
// decision that is missing from the table.
func (d Decision) Rule() Rule {
	if d >= decisionCount {
		return Rule{}
	}
	return rules[d]
}

func (d Decision) String() string { return d.Rule().Name }

// Event returns the beginning of the decision's record. The caller adds the user, the
// service provider and the IP address.
func (d Decision) Event() idp.AuditEvent {
	r := d.Rule()
	return idp.AuditEvent{Kind: r.Kind, Outcome: r.Outcome}
}

// CheckRecord compares a record with the decision's rule. The error lists every difference.
func (d Decision) CheckRecord(rec *idp.AuditRecord) error {
	r := d.Rule()
	var faults []string
	if r.Writer == WriterNone {
		return fmt.Errorf("%s leaves no record, but %s %s", d, rec.Kind, rec.Outcome)
	}
	if rec.Kind != r.Kind {
		faults = append(faults, fmt.Sprintf("kind %q, want %q", rec.Kind, r.Kind))
	}
	if rec.Outcome != r.Outcome && (r.Outcome != "" || rec.Outcome == "") {
		faults = append(faults, fmt.Sprintf("outcome %q, want %q", rec.Outcome, r.Outcome))
	}
	for _, f := range []struct {
		field Fields
		name  string
		value string
	}{
		{HasActor, "actor", rec.Actor}, {HasUser, "user", string(rec.User)}, {HasSP, "sp", string(rec.SP)}, {HasYear, "year", string(rec.Year)},
		{HasRequestID, "request_id", rec.RequestID}, {HasErrorID, "error_id", rec.ErrorID}, {HasAddress, "address", rec.IPAddress},
	} {
		switch {
		case r.Must&f.field != 0 && f.value == "":
			faults = append(faults, "missing "+f.name)
		case (r.Must|r.May)&f.field == 0 && f.value != "":
			faults = append(faults, fmt.Sprintf("%s %q", f.name, f.value))
		}
	}
	for _, name := range r.Detail {
		if rec.Detail[name] == "" {
			faults = append(faults, "missing detail "+name)
		}
	}
	for name := range rec.Detail {
		if !slices.Contains(r.Detail, name) && !slices.Contains(r.MayDetail, name) {
			faults = append(faults, "detail "+name)
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("record of %s: %s", d, strings.Join(faults, ", "))
	}
	return nil
}
