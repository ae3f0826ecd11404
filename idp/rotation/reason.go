package rotation

import (
	"encoding/json"
	"strings"
	"time"

	"vernal/idp"
)

// Reason is why a step is taken, waits or is refused, or why the rotation needs attention, as a
// code with arguments. Package templates renders it in the reader's language.
type Reason struct {
	Code ReasonCode `json:"code"`
	Args Args       `json:"args,omitzero"`
	// Text is the rendered reason in an answer for users and programs, "" before that. No
	// decision may depend on it.
	Text string `json:"text,omitzero"`
}

// ReasonCode names a reason for programs. Codes never change, but texts may.
type ReasonCode string

// Args are the arguments of a reason. A code always fills the same fields.
type Args struct {
	// Year is set if it is not the year that the reason is given for.
	Year idp.Year `json:"year,omitzero"`
	// FromAt and To are two times or years between which something happened.
	FromAt time.Time `json:"from,omitzero"`
	ToAt   time.Time `json:"to,omitzero"`
	// At is when it happened or will.
	At time.Time `json:"date,omitzero"`
	// EndAt is when it ends.
	EndAt time.Time `json:"until,omitzero"`
	// Days is a period of the rules, DaysLeft the rest of one.
	Days     int      `json:"days,omitzero"`
	DaysLeft int      `json:"days_left,omitzero"`
	Step     StepKind `json:"step,omitzero"`
	State    State    `json:"state,omitzero"`
	// SPs are service providers, sorted.
	SPs []idp.EntityID `json:"entity_ids,omitempty"`
	// Count is the number of the things that the code names.
	Count int `json:"count,omitzero"`
	// SHA256 is the beginning of a certificate's fingerprint, in hexadecimal digits.
	SHA256 string `json:"sha256,omitzero"`
	// Value is foreign text, such as the message of an error.
	Value string `json:"value,omitzero"`
}

// String returns the code and the arguments as JSON, for logs.
func (r Reason) String() string { return strings.TrimSpace(string(r.Code) + " " + r.Args.JSON()) }

// JSON returns the arguments as JSON, or "" without any.
func (a Args) JSON() string {
	text, err := json.Marshal(a)
	if err != nil || string(text) == "{}" {
		return ""
	}
	return string(text)
}

// ReadReason returns the reason under "why" in an audit record, or no reason. Unreadable
// arguments are left out.
func ReadReason(detail map[string]string) Reason {
	r := Reason{Code: ReasonCode(detail["why"])}
	if err := json.Unmarshal([]byte(detail["why_args"]), &r.Args); err != nil {
		r.Args = Args{}
	}
	return r
}

func (r Reason) IsZero() bool { return r.Code == "" }

func newReason(code ReasonCode, args Args) Reason { return Reason{Code: code, Args: args} }

// Reasons why a step is taken.
const (
	WhyNoPreferredYear    ReasonCode = "no_preferred_year"
	WhyFirstStart         ReasonCode = "first_start"
	WhyKeyDue             ReasonCode = "key_due"
	WhyCalendarYear       ReasonCode = "calendar_year"
	WhyPublishDue         ReasonCode = "publish_due"
	WhyPreferDue          ReasonCode = "prefer_due"
	WhyTimeToMoveOver     ReasonCode = "time_to_move_over"
	WhyOurCertEnded       ReasonCode = "our_certificate_ended"
	WhyRetireDue          ReasonCode = "retire_due"
	WhyRetired            ReasonCode = "was_retired"
	WhyTakesOver          ReasonCode = "takes_over"
	WhyKeyFoundGone       ReasonCode = "key_found_gone"
	WhyOtherYearPreferred ReasonCode = "other_year_preferred"
	WhyOurCertEnds        ReasonCode = "our_certificate_ends"
)

// Reasons why a step waits.
const (
	WaitsLettersUsedUp   ReasonCode = "letters_used_up"
	WaitsExternalKey     ReasonCode = "external_key"
	WaitsCertificate     ReasonCode = "certificate_awaited"
	WaitsCertEnded       ReasonCode = "certificate_ended"
	WaitsPublishedLate   ReasonCode = "published_late"
	WaitsHold            ReasonCode = "rollback_hold"
	WaitsHoldUntil       ReasonCode = "rollback_hold_until"
	WaitsNoNewerYear     ReasonCode = "no_newer_year_published"
	WaitsSuccessorTooNew ReasonCode = "successor_too_new"
	WaitsUsed            ReasonCode = "used_recently"
	WaitsNotSeenUnused   ReasonCode = "not_seen_unused"
	WaitsClockJumped     ReasonCode = "clock_jumped"
	WaitsClockDrifted    ReasonCode = "clock_drifted"
	WaitsRestored        ReasonCode = "restored"
)

// EndsNotMoved: service providers must still move before our certificate ends. Other causes
// for attention to the end are WaitsNoNewerYear and the hold of a rollback.
const EndsNotMoved ReasonCode = "not_moved"

// Reasons why a step is refused. The codes of waits and of KeyFault apply too.
const (
	RefusedNotAYear            ReasonCode = "not_a_year"
	RefusedUnknownStep         ReasonCode = "unknown_step"
	RefusedNeverMade           ReasonCode = "never_made"
	RefusedNothingHeld         ReasonCode = "nothing_held"
	RefusedClockTrusted        ReasonCode = "clock_trusted"
	RefusedOver                ReasonCode = "year_over"
	RefusedNotOver             ReasonCode = "year_not_over"
	RefusedKeyDestroyed        ReasonCode = "key_destroyed"
	RefusedOtherKey            ReasonCode = "other_key_recorded"
	RefusedHasCertificate      ReasonCode = "has_certificate"
	RefusedAwaitsCertificate   ReasonCode = "awaits_certificate"
	RefusedExists              ReasonCode = "year_exists"
	RefusedOlderThanPreferred  ReasonCode = "older_than_preferred"
	RefusedExternalKeys        ReasonCode = "keys_are_external"
	RefusedNoCertificate       ReasonCode = "no_certificate"
	RefusedAlready             ReasonCode = "already"
	RefusedPassedBy            ReasonCode = "passed_by"
	RefusedNotPublished        ReasonCode = "not_published"
	RefusedPreferredIsNewer    ReasonCode = "preferred_is_newer"
	RefusedNotExpiring         ReasonCode = "not_expiring"
	RefusedHoldEnded           ReasonCode = "hold_ended"
	RefusedPreferred           ReasonCode = "year_preferred"
	RefusedNewerThanPreferred  ReasonCode = "newer_than_preferred"
	RefusedReasonMissing       ReasonCode = "reason_missing"
	RefusedNoSuccessor         ReasonCode = "no_successor"
	RefusedNoLetterLeft        ReasonCode = "no_letter_left"
	RefusedImportFirst         ReasonCode = "import_first"
	RefusedNoOlderYear         ReasonCode = "no_older_year"
	RefusedFolderHasCert       ReasonCode = "folder_has_certificate"
	RefusedNoKeyWaits          ReasonCode = "no_key_waits"
	RefusedOtherKeyWaits       ReasonCode = "other_key_waits"
	RefusedYearCannotBeTrusted ReasonCode = "year_not_to_be_trusted"
)

// Reason returns why a year with the fault cannot sign.
func (f KeyFault) Reason(y idp.Year) Reason { return newReason(ReasonCode(f), Args{Year: y}) }

// Suggestion returns the step to take if a year's key is lost permanently. Otherwise its folder can
// be restored from a backup.
func (f KeyFault) Suggestion(y idp.Year) idp.Suggestion {
	return StepRevoke.Suggest(y).WithLabel(idp.LabelRevokeLostKey)
}
