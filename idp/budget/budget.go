// Package budget bounds what senders can cause who can send as often as they like.
// A budget is a number of units that are spent, and that come back with time.
//
// Budgets are kept in memory, for many keys and in a bounded amount of it. They
// are full again after a restart, which senders cannot cause.
package budget

import (
	"sync"
	"time"
)

// Allowance is what a budget holds when it is full, and what it gets back each
// minute.
type Allowance struct{ Burst, Minute float64 }

// Key names a budget.
type Key interface {
	comparable
	// Allowance is the same for equal keys.
	Allowance() Allowance
	// IsShared reports whether many senders spend the budget. It is never
	// forgotten before it is full, or else a sender who makes up enough keys
	// would refill it. There must be few such keys.
	IsShared() bool
}

// maxBudgets bounds the budgets in memory.
const maxBudgets = 10_000

// Ledger keeps the budgets of keys. The zero value is ready to use. It is safe for
// concurrent use and must not be copied.
type Ledger[K Key] struct {
	mu   sync.Mutex
	left map[K]*rest
}

// rest is what was left of a budget at a time.
type rest struct {
	units float64
	at    time.Time
}

// addRefill adds what the time since the last use gives.
func (b *rest) addRefill(a Allowance, now time.Time) {
	if d := now.Sub(b.at); d > 0 {
		b.units = min(a.Burst, b.units+a.Minute*d.Minutes())
	}
	b.at = now
}

// Take spends units from the budget of each key and reports true, or spends
// nothing if one of them has less.
func (l *Ledger[K]) Take(now time.Time, units float64, keys ...K) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.makeRoom(now, len(keys))
	for _, k := range keys {
		if l.budgetOf(k, now).units < units {
			return false
		}
	}
	for _, k := range keys {
		l.left[k].units -= units
	}
	return true
}

// GiveBack returns units that were taken from the keys' budgets.
func (l *Ledger[K]) GiveBack(now time.Time, units float64, keys ...K) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range keys {
		if b := l.left[k]; b != nil { // else it is full
			b.units = min(k.Allowance().Burst, b.units+units)
		}
	}
}

// budgetOf returns the key's budget as it is now.
func (l *Ledger[K]) budgetOf(k K, now time.Time) *rest {
	a := k.Allowance()
	b := l.left[k]
	if b == nil {
		b = &rest{units: a.Burst, at: now}
		l.left[k] = b
	}
	b.addRefill(a, now)
	return b
}

// makeRoom keeps the number of budgets bounded. Those that are full again say
// nothing and go first, then all that are not shared.
func (l *Ledger[K]) makeRoom(now time.Time, more int) {
	if l.left == nil {
		l.left = make(map[K]*rest)
	}
	if len(l.left)+more <= maxBudgets {
		return
	}
	for k, b := range l.left {
		a := k.Allowance()
		if b.addRefill(a, now); b.units >= a.Burst {
			delete(l.left, k)
		}
	}
	if len(l.left)+more <= maxBudgets {
		return
	}
	for k := range l.left {
		if !k.IsShared() {
			delete(l.left, k)
		}
	}
}
