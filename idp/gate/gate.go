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
	// currentRound is the round that work enters now. It is nil before the first and after each Drain. mu
	// guards this field and those below.
	currentRound *round
	// drainingRounds are the rounds that no new work enters and that have not emptied yet.
	drainingRounds []*round
}

// round is the work that entered between two calls of Drain.
type round struct {
	workCount int
	done  chan struct{} // closed once a draining round has no work inside
}

// Enter begins a piece of work, which must look up its decision after Enter returns. The caller
// calls leave exactly once, when the work is done.
func (g *Gate) Enter() (leave func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.currentRound == nil {
		g.currentRound = &round{done: make(chan struct{})}
	}
	r := g.currentRound
	r.workCount++
	return func() { g.leaveRound(r) }
}

func (g *Gate) leaveRound(r *round) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r.workCount--
	if r.workCount > 0 || r == g.currentRound {
		return
	}
	close(r.done)
	for i, d := range g.drainingRounds {
		if d == r {
			g.drainingRounds = append(g.drainingRounds[:i], g.drainingRounds[i+1:]...)
			return
		}
	}
}

// Drain waits until all work that entered before the call has left. If ctx ends first, it returns
// the cause.
func (g *Gate) Drain(ctx context.Context) error {
	for _, r := range g.closeRound() {
		select {
		case <-r.done:
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
	if g.currentRound != nil && g.currentRound.workCount > 0 {
		g.drainingRounds = append(g.drainingRounds, g.currentRound)
	}
	g.currentRound = nil
	return append([]*round(nil), g.drainingRounds...)
}
