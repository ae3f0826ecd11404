package audit

import (
	"context"
	"log/slog"
	"strconv"
	"sync"

	"vernal/idp"
	"vernal/idp/budget"
)

// Refusals writes the records that a sender can cause at will: refusals, right passwords,
// opened previews. Each group of senders has a budget of records of its own. Events beyond
// it are counted, and the counts are written once a minute, with the user or service
// provider that they are about.
//
// An attacker must not be able to hide an attack behind a budget spent in advance. Therefore:
//
//   - Only a sender who has proved a user's password or session spends that user's budgets.
//     Each outcome has its own budget, so that throttled codes leave room for wrong codes.
//   - An event that finds no room in a shared budget is still counted for the user.
//
// Whether a record finds room in a shared budget does not depend on the user that it names, known
// or unknown: the time of an answer must not disclose which users exist. Counting for a user costs
// no write, so it discloses nothing either.
type Refusals struct {
	Store idp.AuditStore
	Clock idp.Clock
	Log   *slog.Logger

	budgets budget.Ledger[group]

	mu     sync.Mutex
	counts map[subject]map[string]int // nameCount -> number of events beyond a budget
	queue  []subject                  // the named subjects of counted, oldest first
}

// Group is a kind of sender.
type Group int

// The groups differ in the proof that the sender has given.
const (
	// UnknownSenders have proved nothing. All of them share one budget.
	UnknownSenders Group = iota
	// Visitors are senders at the sign-in pages who have proved nothing: a wrong password,
	// whether or not the email address has an account. They share one budget.
	Visitors
	// Provider is one registered service provider whose signature was verified.
	Provider
	// User is one user whose password or session was proved.
	User
	// Preview is one link, or one registration, that opens an unpublished year.
	Preview
	// PassiveProvider is one registered service provider whose signed request forbids questions to the user
	// (IsPassive). Anyone can get such a request from its public sign-in link, so these requests do
	// not spend the budget of Provider.
	PassiveProvider
)

// group identifies the senders that share a budget.
type group struct {
	kind    Group
	sp      idp.EntityID
	user    idp.UserID
	outcome string
}

// chooseGroup returns the group whose budget the event spends.
func chooseGroup(kind Group, event *idp.AuditEvent) group {
	switch kind {
	case Provider, PassiveProvider:
		return group{kind: kind, sp: event.SP}
	case User:
		return group{kind: kind, user: event.User, outcome: string(event.Kind) + "/" + event.Outcome}
	case Preview:
		return group{kind: kind, sp: event.SP, outcome: string(event.Kind) + "/" + event.Detail["preview"]}
	}
	return group{kind: kind}
}

// IsShared reports whether unknown senders can spend the group's budget. Other budgets can be forgotten
// and begin full again, which costs extra records and never loses one.
func (g group) IsShared() bool {
	return g.kind == UnknownSenders || g.kind == Visitors || g.kind == PassiveProvider
}

// Allowance returns how many records a group may have at once, and how many more each
// minute. A user's wrong codes always fit: the throttle lets 10 through in 10 minutes.
func (g group) Allowance() budget.Allowance {
	switch g.kind {
	case Provider:
		return budget.Allowance{Burst: 100, Minute: 4}
	case Visitors:
		return budget.Allowance{Burst: 200, Minute: 10}
	case User, Preview:
		return budget.Allowance{Burst: 50, Minute: 2}
	}
	return budget.Allowance{Burst: 60, Minute: 2}
}

const (
	// maxSubjects bounds the users and service providers that are counted separately.
	maxSubjects = 10_000
	// maxOutcomes bounds the outcomes that one record counts. Our code defines them, so a sender
	// cannot add any.
	maxOutcomes = 100
	// flushSubjects bounds the records of one Flush. Other subjects wait for the
	// next one, so that many users under attack at once cannot fill the disk.
	flushSubjects = 30
)

// subject is the user or the service provider, with a verified signature, that a count
// names. The zero value names no one.
type subject struct {
	user idp.UserID
	sp   idp.EntityID
}

func findSubject(kind Group, event *idp.AuditEvent) subject {
	switch {
	case event.User != "":
		return subject{user: event.User}
	case kind == Provider || kind == Preview || kind == PassiveProvider:
		return subject{sp: event.SP}
	}
	return subject{}
}

// nameCount returns the name under which an event is counted: the kind of a success, the
// outcome of anything else.
func nameCount(event *idp.AuditEvent) string {
	if event.Outcome == "ok" {
		return string(event.Kind)
	}
	return event.Outcome
}

// Record writes the event or counts it. If the write fails, Record logs the failure and counts
// the event. The request is refused either way.
func (r *Refusals) Record(ctx context.Context, g Group, event idp.AuditEvent) {
	if !r.Take(g, event) {
		return
	}
	if err := r.Store.AppendAudit(context.WithoutCancel(ctx), event); err != nil {
		r.Count(g, event)
		r.Log.LogAttrs(ctx, slog.LevelError, "cannot record a refusal in the audit trail", slog.String("error", err.Error()), slog.String("error_id", event.ErrorID))
	}
}

// Take spends one record of the group's budget and reports true. The caller then writes the event,
// in the same step as the change that it is about. If the budget is spent, Take counts the event
// and reports false, and the caller must not write it.
func (r *Refusals) Take(kind Group, event idp.AuditEvent) bool {
	if r.budgets.Take(r.Clock.Now(), 1, chooseGroup(kind, &event)) {
		return true
	}
	r.Count(kind, event)
	return false
}

// Count counts an event that is not written individually.
func (r *Refusals) Count(kind Group, event idp.AuditEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.addCount(findSubject(kind, &event), nameCount(&event), 1)
}

// addCount adds n events beyond a budget. The caller holds r.mu.
func (r *Refusals) addCount(s subject, outcome string, n int) {
	if r.counts == nil {
		r.counts = make(map[subject]map[string]int)
	}
	outcomes := r.counts[s]
	if outcomes == nil && s != (subject{}) {
		if len(r.queue) >= maxSubjects {
			r.addCount(subject{}, outcome, n)
			return
		}
		r.queue = append(r.queue, s)
	}
	if outcomes == nil {
		outcomes = make(map[string]int)
		r.counts[s] = outcomes
	}
	if _, ok := outcomes[outcome]; !ok && len(outcomes) >= maxOutcomes {
		outcome = "other"
	}
	outcomes[outcome] += n
}

// Flush writes the counts: one record for each user and service provider, those that have
// waited longest first, and one for all others. It writes a bounded number of records and
// leaves the others for the next Flush. A count that cannot be written is kept.
func (r *Refusals) Flush(ctx context.Context) error { return r.writeCounts(ctx, flushSubjects) }

// FlushAll writes all counts without a bound, when the server stops.
func (r *Refusals) FlushAll(ctx context.Context) error { return r.writeCounts(ctx, maxSubjects) }

func (r *Refusals) writeCounts(ctx context.Context, limit int) error {
	r.mu.Lock()
	n := min(limit, len(r.queue))
	subjects := append([]subject{{}}, r.queue[:n]...)
	r.queue = append([]subject(nil), r.queue[n:]...)
	batch := make(map[subject]map[string]int, len(subjects))
	var events []idp.AuditEvent
	for _, s := range subjects {
		if outcomes := r.counts[s]; outcomes != nil {
			batch[s] = outcomes
			delete(r.counts, s)
			events = append(events, newCountEvent(s, outcomes))
		}
	}
	r.mu.Unlock()
	if len(events) == 0 {
		return nil
	}
	err := r.Store.AppendAudit(ctx, events...)
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, s := range subjects {
			for outcome, n := range batch[s] {
				r.addCount(s, outcome, n)
			}
		}
	}
	return err
}

// newCountEvent returns the record of the events beyond a budget.
func newCountEvent(s subject, outcomes map[string]int) idp.AuditEvent {
	detail := make(map[string]string, len(outcomes))
	for outcome, n := range outcomes {
		detail[outcome] = strconv.Itoa(n)
	}
	return idp.AuditEvent{Kind: idp.AuditRefusals, Outcome: "counted", Actor: "server", User: s.user, SP: s.sp, Detail: detail}
}
