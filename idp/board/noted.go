package board

import (
	"container/list"
	"sync"

	"vernal/idp"
)

// noted is what was told and is not written yet. The uses are bounded by the
// service providers and years that there are: only verified requests get here.
// The fetches are anybody's, so the client that came first goes when there are
// too many.
type noted struct {
	mu      sync.Mutex
	uses    map[useKey]*usage
	clients map[client]*list.Element // of *loads, in order
	order   list.List                // the client that came last is last
}

func (n *noted) use(u Use) {
	key := useKey{u.SP, u.Year}
	n.mu.Lock()
	defer n.mu.Unlock()
	g := n.uses[key]
	if g == nil {
		if n.uses == nil {
			n.uses = make(map[useKey]*usage)
		}
		g = new(usage)
		n.uses[key] = g
	}
	g.add(u)
}

func (n *noted) fetch(f Fetch) {
	l := loads{client: clientOf(f), Last: f.At.UnixMilli(), Count: 1}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.load(l)
}

// load counts loads; n.mu is held.
func (n *noted) load(l loads) {
	if e, ok := n.clients[l.client]; ok {
		before := e.Value.(*loads)
		before.Count += l.Count
		before.Last = max(before.Last, l.Last)
		n.order.MoveToBack(e)
		return
	}
	if n.clients == nil {
		n.clients = make(map[client]*list.Element)
	}
	if n.order.Len() >= maxNotedFetches {
		oldest := n.order.Front()
		delete(n.clients, oldest.Value.(*loads).client)
		n.order.Remove(oldest)
	}
	n.clients[l.client] = n.order.PushBack(&l)
}

// batch is what was noted up to a moment.
type batch struct {
	uses    map[useKey]*usage
	fetches []loads
}

func (b *batch) empty() bool { return len(b.uses) == 0 && len(b.fetches) == 0 }

// take is what was noted, which is forgotten.
func (n *noted) take() batch {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := batch{uses: n.uses, fetches: n.loads()}
	n.uses, n.clients = nil, nil
	n.order.Init()
	return b
}

// giveBack notes again what could not be written, with what came since.
func (n *noted) giveBack(b batch) {
	n.mu.Lock()
	defer n.mu.Unlock()
	since := batch{uses: n.uses, fetches: n.loads()}
	n.uses, n.clients = b.uses, nil
	n.order.Init()
	for key, g := range since.uses {
		if before := n.uses[key]; before != nil {
			before.merge(g)
			continue
		}
		if n.uses == nil {
			n.uses = make(map[useKey]*usage)
		}
		n.uses[key] = g
	}
	for _, list := range [][]loads{b.fetches, since.fetches} {
		for _, l := range list {
			n.load(l)
		}
	}
}

// copy is what was noted, of one year or, with "", of all.
func (n *noted) copy(only idp.Year) batch {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := batch{uses: make(map[useKey]*usage, len(n.uses)), fetches: n.loads()}
	for key, g := range n.uses {
		if only == "" || key.year == only {
			b.uses[key] = g.clone()
		}
	}
	return b
}

// loads are the clients in the order in which they came; n.mu is held.
func (n *noted) loads() []loads {
	all := make([]loads, 0, n.order.Len())
	for e := n.order.Front(); e != nil; e = e.Next() {
		all = append(all, *e.Value.(*loads))
	}
	return all
}
