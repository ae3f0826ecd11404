// Package budget limits the effects of a sender that can send any number of requests. A budget is a
// number of units that requests spend and that refill over time.
//
// Budgets are kept in memory, for many keys and in a bounded amount of it. A restart fills them
// again, and senders cannot cause one.
package budget

import (
	"sync"
	"time"
)

// Allowance is the number of units in a full budget, and the number refilled each minute.
type Allowance struct{ Burst, Minute float64 }

// Key names a budget.
type Key interface {
	comparable
	// Allowance returns the size of the budget. It is the same for equal keys.
	Allowance() Allowance
	// IsShared reports whether many senders spend the budget. A shared budget is never forgotten
	// before it is full. Otherwise a sender who makes up enough keys would refill it. The number of
	// shared keys must be small.
	IsShared() bool
}

// maxBudgets bounds the budgets in memory.
const maxBudgets = 10_000

// Ledger keeps the budgets of keys. The zero value is ready to use. It is safe for
// concurrent use and must not be copied.
type Ledger[K Key] struct {
	mu   sync.Mutex
	balances map[K]*balance
}

// balance is the number of units left in a budget at a time.
type balance struct {
	units float64
	updatedAt    time.Time
}

// addRefill adds the units refilled since the last use.
func (b *balance) addRefill(a Allowance, now time.Time) {
	if d := now.Sub(b.updatedAt); d > 0 {
		b.units = min(a.Burst, b.units+a.Minute*d.Minutes())
	}
	b.updatedAt = now
}

// Take spends units from the budget of each key and reports true. If one of them has too few, it
// spends nothing and reports false.
func (l *Ledger[K]) Take(now time.Time, units float64, keys ...K) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limitBalances(now, len(keys))
	for _, k := range keys {
		if l.loadBalance(k, now).units < units {
			return false
		}
	}
	for _, k := range keys {
		l.balances[k].units -= units
	}
	return true
}

// GiveBack returns units that were taken from the keys' budgets.
func (l *Ledger[K]) GiveBack(now time.Time, units float64, keys ...K) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range keys {
		if b := l.balances[k]; b != nil { // otherwise it is full
			b.units = min(k.Allowance().Burst, b.units+units)
		}
	}
}

// loadBalance returns the key's budget as it is now.
func (l *Ledger[K]) loadBalance(k K, now time.Time) *balance {
	a := k.Allowance()
	b := l.balances[k]
	if b == nil {
		b = &balance{units: a.Burst, updatedAt: now}
		l.balances[k] = b
	}
	b.addRefill(a, now)
	return b
}

// limitBalances bounds the number of budgets. It first removes full ones, which hold no information, and
// then all that are not shared.
func (l *Ledger[K]) limitBalances(now time.Time, more int) {
	if l.balances == nil {
		l.balances = make(map[K]*balance)
	}
	if len(l.balances)+more <= maxBudgets {
		return
	}
	for k, b := range l.balances {
		a := k.Allowance()
		if b.addRefill(a, now); b.units >= a.Burst {
			delete(l.balances, k)
		}
	}
	if len(l.balances)+more <= maxBudgets {
		return
	}
	for k := range l.balances {
		if !k.IsShared() {
			delete(l.balances, k)
		}
	}
}
