package trail

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"vernal/idp"
)

// Refusals writes down what was turned down. Anybody can be turned down as often
// as they like, so each group of senders has a budget of records of its own;
// what goes beyond is counted, and the counts are one record a minute.
//
// Whether a refusal finds room does not depend on who was named in it, known or
// unknown: the time of an answer must not tell who has an account.
type Refusals struct {
	Store idp.AuditStore
	Clock idp.Clock
	Log   *slog.Logger

	mu      sync.Mutex
	budgets map[group]*budget
	counted map[string]int // outcome -> refusals beyond a budget
}

// group is who shares a budget: everybody whom we do not know, everybody at the
// sign-in pages, or one registered service provider whose signature was
// verified.
type group struct {
	kind Group
	sp   idp.EntityID
}

// Group is the kind of a sender.
type Group int

// The groups. A service provider's own begins where its signature was verified.
const (
	Strangers Group = iota
	People
	Provider
)

// allowance is how many records a group may have at once, and how many more each
// minute.
func (g Group) allowance() (burst, minute float64) {
	switch g {
	case Provider:
		return 100, 4
	case People:
		return 200, 10
	}
	return 60, 2
}

// maxBudgets bounds the memory; registered providers are few.
const maxBudgets = 10_000

// maxCounted bounds the outcomes that one record counts; they are our own words.
const maxCounted = 100

type budget struct {
	left float64
	at   time.Time
}

// Record writes the event down, or counts it. A failure to do so is logged and
// is nobody's failure: the refusal stands.
func (r *Refusals) Record(ctx context.Context, g Group, ev idp.AuditEvent) {
	if !r.take(group{g, providerOf(g, ev)}, ev.Outcome) {
		return
	}
	if err := r.Store.AppendAudit(context.WithoutCancel(ctx), ev); err != nil {
		r.Log.LogAttrs(ctx, slog.LevelError, "refusal is not in the audit trail", slog.String("error", err.Error()), slog.String("error_id", ev.ErrorID))
	}
}

func providerOf(g Group, ev idp.AuditEvent) idp.EntityID {
	if g == Provider {
		return ev.SP
	}
	return ""
}

// take takes one record from the group's budget; without one left it counts.
func (r *Refusals) take(g group, outcome string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.Clock.Now()
	b := r.budgets[g]
	burst, minute := g.kind.allowance()
	if b == nil {
		if r.budgets == nil || len(r.budgets) >= maxBudgets {
			r.budgets = make(map[group]*budget)
		}
		b = &budget{left: burst, at: now}
		r.budgets[g] = b
	}
	if d := now.Sub(b.at); d > 0 {
		b.left = min(burst, b.left+minute*d.Minutes())
	}
	b.at = now
	if b.left >= 1 {
		b.left--
		return true
	}
	if r.counted == nil {
		r.counted = make(map[string]int)
	}
	if _, ok := r.counted[outcome]; !ok && len(r.counted) >= maxCounted {
		outcome = "other"
	}
	r.counted[outcome]++
	return false
}

// Flush writes what was counted since the last one: one record, or none.
func (r *Refusals) Flush(ctx context.Context) error {
	r.mu.Lock()
	counted := r.counted
	r.counted = nil
	r.mu.Unlock()
	if len(counted) == 0 {
		return nil
	}
	detail := make(map[string]string, len(counted))
	for outcome, n := range counted {
		detail[outcome] = strconv.Itoa(n)
	}
	return r.Store.AppendAudit(ctx, idp.AuditEvent{Kind: "refusals", Outcome: "counted", Actor: "server", Detail: detail})
}
