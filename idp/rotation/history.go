package rotation

import (
	"cmp"
	"slices"
	"time"

	"vernal/idp"
)

// History records the events of the years so far: everything that the rules need, except the policy
// and the time. It is plain data for JSON. Every change returns a new value and leaves the old one
// unchanged.
type History struct {
	// Records has one entry for each year ever made, in order.
	Records []Record `json:"records"`
	// Preferred is the preferred year, or "" before the first start.
	Preferred idp.Year `json:"preferred,omitzero"`
	// Hold is set by a rollback. Zero permits automatic preference.
	Hold Hold `json:"hold,omitzero"`
	// Restoration is set when the installation was restored from a backup. No automatic step is
	// taken until an operator resumes them.
	Restoration Restoration `json:"restored,omitzero"`
	// Clock remembers the time, so that a wrong clock is noticed.
	Clock Clock `json:"clock,omitzero"`
	// Failures are automatic steps that failed, one for each step and year. Taking the step
	// clears it.
	Failures []Failure `json:"failures,omitempty"`
}

// Record is the life of one year. A time is zero until its event.
type Record struct {
	Year idp.Year `json:"year"`
	// CreatedAt is when its key was made or imported.
	CreatedAt time.Time `json:"created_at,omitzero"`
	// CertifiedAt is when its certificate was made or imported, and CertEndAt is its expiry.
	// Both are zero while a key waits for its certificate.
	CertifiedAt time.Time `json:"certified_at,omitzero"`
	CertEndAt   time.Time `json:"certificate_end_at,omitzero"`
	PublishedAt time.Time `json:"published_at,omitzero"`
	// PreferredAt is when it last became preferred.
	PreferredAt time.Time `json:"preferred_at,omitzero"`
	// RetiredAt is set for a revoked year too.
	RetiredAt      time.Time `json:"retired_at,omitzero"`
	RevokedAt      time.Time `json:"revoked_at,omitzero"`
	KeyDestroyedAt time.Time `json:"key_destroyed_at,omitzero"`
	// Reason is the operator's reason for ending the year.
	Reason string `json:"reason,omitzero"`
	// UsedAt is the last use by a service provider.
	UsedAt time.Time `json:"used_at,omitzero"`
	// QuietReading is the reading of Clock.Running at the last use.
	QuietReading time.Duration `json:"quiet_from_ns,omitzero"`
	// CertificateSHA256 and PublicKeySHA256 are the digests of the year's certificate (DER)
	// and public key (SubjectPublicKeyInfo), in hexadecimal digits. Once recorded they
	// never change. CertificateSHA256 is "" while a key waits for its certificate.
	CertificateSHA256 string `json:"certificate_sha256,omitzero"`
	PublicKeySHA256   string `json:"public_key_sha256,omitzero"`
	// KeyFault says why the year cannot sign although its record says so. WithFaults sets
	// it, and it is never stored.
	KeyFault KeyFault `json:"key_fault,omitzero"`
}

// IsOver reports whether the year is retired or revoked.
func (r Record) IsOver() bool { return !r.RetiredAt.IsZero() || !r.RevokedAt.IsZero() }

// canSign reports whether the year has a certificate and its key. An expired certificate
// still signs.
func (r Record) canSign() bool {
	return !r.CertEndAt.IsZero() && r.KeyDestroyedAt.IsZero() && !r.IsOver() && r.KeyFault == ""
}

// hasCertEnded returns false for a year without a certificate.
func (r Record) hasCertEnded(now time.Time) bool {
	return !r.CertEndAt.IsZero() && !now.Before(r.CertEndAt)
}

// isLive reports whether the year is published and not over.
func (r Record) isLive() bool { return !r.PublishedAt.IsZero() && !r.IsOver() }

// isAnswering reports whether its endpoint URLs answer. A live year that cannot sign is closed.
func (r Record) isAnswering() bool { return r.isLive() && r.KeyFault == "" }

// Hold prevents automatic preference of a newer year after a rollback.
type Hold struct {
	BeganAt time.Time `json:"since,omitzero"`
	// EndAt is when the hold ends automatically. If zero, only prefer or resume by hand ends
	// it.
	EndAt  time.Time `json:"until,omitzero"`
	FromYear   idp.Year  `json:"from,omitzero"`
	Reason string    `json:"reason,omitzero"`
}

// IsActive reports whether the hold is in effect at now.
func (h Hold) IsActive(now time.Time) bool {
	return !h.BeganAt.IsZero() && (h.EndAt.IsZero() || now.Before(h.EndAt))
}

// Failure is an automatic step that could not be taken.
type Failure struct {
	Kind  StepKind  `json:"step"`
	Year  idp.Year  `json:"year"`
	At    time.Time `json:"at"`
	Error string    `json:"error"`
}

// Record returns the record of a year, or false if it was never made.
func (h History) Record(y idp.Year) (Record, bool) {
	i, ok := h.find(y)
	if !ok {
		return Record{Year: y}, false
	}
	return h.Records[i], true
}

func (h History) find(y idp.Year) (int, bool) {
	return slices.BinarySearchFunc(h.Records, y, func(r Record, y idp.Year) int { return cmp.Compare(r.Year, y) })
}

// TakenStep is a past step of a year, or without Kind the end of its certificate.
type TakenStep struct {
	Kind StepKind
	At   time.Time
}

// ListTakenSteps lists the events of the year until now, in the order of its life. A revoked year was
// not retired.
func (r Record) ListTakenSteps(now time.Time) []TakenStep {
	return slices.DeleteFunc([]TakenStep{
		{StepCreate, r.CreatedAt}, {StepPublish, r.PublishedAt}, {StepPrefer, r.PreferredAt}, {"", r.CertEndAt},
		{StepRetire, r.RetiredAt}, {StepRevoke, r.RevokedAt}, {StepDestroy, r.KeyDestroyedAt},
	}, func(t TakenStep) bool {
		return t.At.IsZero() || t.At.After(now) || t.Kind == StepRetire && !r.RevokedAt.IsZero()
	})
}

// State returns the state of a year at now. It depends on the time only by the end of a
// certificate. Every other change is a step.
func (h History) State(y idp.Year, now time.Time) State {
	r, ok := h.Record(y)
	switch {
	case !ok:
		return Planned
	case !r.RevokedAt.IsZero():
		return Revoked
	case !r.RetiredAt.IsZero():
		return Retired
	case y == h.Preferred:
		return Preferred
	case r.PublishedAt.IsZero():
		return Created
	case y > h.Preferred:
		return Published
	case r.hasCertEnded(now):
		return Grace
	}
	return Expiring
}

// Use returns the history after the last known use of the year. A recorded use changes
// nothing, so that the same use can be reported at every Tick and the quiet time starts at
// its first report.
//
// If a wrong clock left UsedAt in the future, no use could ever be newer. Until that time
// has passed, or a use replaced it, every report counts as a use.
func (h History) Use(y idp.Year, at time.Time) History {
	return h.edit(y, func(r *Record) {
		if !at.After(r.UsedAt) && !r.UsedAt.After(h.Clock.SeenAt) {
			return
		}
		r.UsedAt, r.QuietReading = at.UTC(), h.Clock.RunningTime
	})
}

// Fail records that an automatic step failed. why is the text of the error.
func (h History) Fail(s Step, now time.Time, why string) History {
	h = h.clear(s)
	h.Failures = append(h.Failures, Failure{Kind: s.Kind, Year: s.Year, At: now.UTC(), Error: why})
	return h
}

// clear removes the failure of the step.
func (h History) clear(s Step) History {
	h.Failures = slices.DeleteFunc(slices.Clone(h.Failures), func(f Failure) bool {
		return f.Kind == s.Kind && f.Year == s.Year
	})
	if len(h.Failures) == 0 {
		h.Failures = nil
	}
	return h
}

func (h History) edit(y idp.Year, change func(*Record)) History {
	i, ok := h.find(y)
	if !ok {
		return h
	}
	h.Records = slices.Clone(h.Records)
	change(&h.Records[i])
	return h
}

func (h History) add(y idp.Year, now time.Time) History {
	if i, ok := h.find(y); !ok {
		h.Records = slices.Insert(slices.Clone(h.Records), i, Record{Year: y, CreatedAt: now})
	}
	return h
}

// listSlotRecords lists the records of a number that are not over, in order: the year itself and its
// letters.
func (h History) listSlotRecords(n int) (rs []Record) {
	for _, r := range h.Records {
		if parseNumber(r.Year) == n && !r.IsOver() {
			rs = append(rs, r)
		}
	}
	return rs
}

// findNextLetter returns the next year of a number: the number itself if none was made, then
// "b", "c" and so on. It returns false after "z".
func (h History) findNextLetter(n int) (idp.Year, bool) {
	last := findLast(h.Records, func(r Record) bool { return parseNumber(r.Year) == n }).Year
	switch {
	case last == "":
		return formatYear(n), true
	case len(last) == 4:
		return last + "b", true
	case last[4] == 'z':
		return "", false
	}
	return last[:4] + idp.Year(rune(last[4]+1)), true
}

// FindSteadyPeriod returns the period around now in which no state changes without a step. Only the
// end of a certificate limits it.
func (h History) FindSteadyPeriod(now time.Time) (from, until time.Time) {
	from, until = now.AddDate(-1, 0, 0), now.AddDate(1, 0, 0)
	for _, r := range h.Records {
		if at := r.CertEndAt; at.After(now) && at.Before(until) {
			until = at
		} else if !at.After(now) && at.After(from) {
			from = at
		}
	}
	return from, until
}

// Target returns the year that service providers should move to: the newest published one
// or, while a rollback holds, the preferred one. A year that is over or closed because of
// its key does not qualify. Target is "" if no year is left.
func (h History) Target(now time.Time) (target idp.Year) {
	for _, r := range h.Records {
		if r.isAnswering() && (r.Year == h.Preferred || !h.Hold.IsActive(now)) {
			target = max(target, r.Year)
		}
	}
	return target
}

// MustLeave reports whether a service provider that uses year y, which is in state s, must
// move from it to the target. It need not if y is newer and live, which happens during a
// rollback: that year keeps working. A newer year that is closed because of its key is live
// too, because its users wait for the key and cannot change anything. No one uses a year
// that was never published.
func MustLeave(y idp.Year, s State, target idp.Year) bool {
	return s.IsOver() || s.IsLive() && y < target
}
