// Package gate lets a change wait for the work that began before it.
//
// Work that depends on a decision (a signature by a year's key) enters the gate, looks the decision
// up, and leaves when it is done. To change the decision, first store the new one, so that later
// work sees it, and then call Drain. Drain returns once all work that entered before it has left.
// Unlike a read-write lock, a waiting Drain does not hold up later work, so work that hangs delays
// only that change.
package gate

import (
	"context"
	"sync"
)

// Gate counts the work under way. The zero value is ready to use. A Gate must not be copied.
type Gate struct {
	mu sync.Mutex
	// open is the round that work enters now. It is nil before the first and after each Drain. mu
	// guards this field and those below.
	open *round
	// draining are the rounds that no new work enters and that have not emptied yet.
	draining []*round
}

// round is the work that entered between two calls of Drain.
type round struct {
	inside int
	empty  chan struct{} // closed once a draining round has no work inside
}

// Enter begins a piece of work, which must look up its decision after Enter returns. The caller
// calls leave exactly once, when the work is done.
func (g *Gate) Enter() (leave func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open == nil {
		g.open = &round{empty: make(chan struct{})}
	}
	r := g.open
	r.inside++
	return func() { g.leaveRound(r) }
}

func (g *Gate) leaveRound(r *round) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r.inside--
	if r.inside > 0 || r == g.open {
		return
	}
	close(r.empty)
	for i, d := range g.draining {
		if d == r {
			g.draining = append(g.draining[:i], g.draining[i+1:]...)
			return
		}
	}
}

// Drain waits until all work that entered before the call has left. If ctx ends first, it returns
// the cause.
func (g *Gate) Drain(ctx context.Context) error {
	for _, r := range g.closeRound() {
		select {
		case <-r.empty:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// closeRound ends the open round and returns a copy of those that are not empty.
func (g *Gate) closeRound() []*round {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open != nil && g.open.inside > 0 {
		g.draining = append(g.draining, g.open)
	}
	g.open = nil
	return append([]*round(nil), g.draining...)
}
