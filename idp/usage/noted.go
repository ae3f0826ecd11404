package usage

import (
	"container/list"
	"sync"

	"vernal/idp"
)

// noted holds what is not written yet. Uses are bounded by the existing SPs and years,
// because only verified requests get here. Anyone can load metadata, so too many clients
// displace the least recent one.
type noted struct {
	mu      sync.Mutex
	uses    map[useKey]*Tally
	clients map[Client]*list.Element // of *Loads, in order
	order   list.List                // latest client last
}

func (n *noted) use(u idp.Use) {
	key := useKey{u.SP, u.Year}
	n.mu.Lock()
	defer n.mu.Unlock()
	g := n.uses[key]
	if g == nil {
		if n.uses == nil {
			n.uses = make(map[useKey]*Tally)
		}
		g = new(Tally)
		n.uses[key] = g
	}
	g.add(u)
}

func (n *noted) fetch(f idp.Fetch) {
	l := Loads{Client: clientOf(f), Last: f.At.UnixMilli(), Count: 1}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.load(l)
}

// load counts loads. n.mu must be held.
func (n *noted) load(l Loads) {
	if e, ok := n.clients[l.Client]; ok {
		before := e.Value.(*Loads)
		before.Count += l.Count
		before.Last = max(before.Last, l.Last)
		n.order.MoveToBack(e)
		return
	}
	if n.clients == nil {
		n.clients = make(map[Client]*list.Element)
	}
	if n.order.Len() >= maxNotedFetches {
		oldest := n.order.Front()
		delete(n.clients, oldest.Value.(*Loads).Client)
		n.order.Remove(oldest)
	}
	n.clients[l.Client] = n.order.PushBack(&l)
}

// batch is what was noted up to a moment.
type batch struct {
	uses    map[useKey]*Tally
	fetches []Loads
}

func (b *batch) empty() bool { return len(b.uses) == 0 && len(b.fetches) == 0 }

// take returns what was noted, and clears it.
func (n *noted) take() batch {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := batch{uses: n.uses, fetches: n.loads()}
	n.uses, n.clients = nil, nil
	n.order.Init()
	return b
}

// giveBack notes a batch again that could not be written.
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
			n.uses = make(map[useKey]*Tally)
		}
		n.uses[key] = g
	}
	for _, list := range [][]Loads{b.fetches, since.fetches} {
		for _, l := range list {
			n.load(l)
		}
	}
}

// copy returns what was noted for one year or, with "", for all.
func (n *noted) copy(only idp.Year) batch {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := batch{uses: make(map[useKey]*Tally, len(n.uses)), fetches: n.loads()}
	for key, g := range n.uses {
		if only == "" || key.year == only {
			b.uses[key] = g.clone()
		}
	}
	return b
}

// loads lists the clients, least recent first. n.mu must be held.
func (n *noted) loads() []Loads {
	all := make([]Loads, 0, n.order.Len())
	for e := n.order.Front(); e != nil; e = e.Next() {
		all = append(all, *e.Value.(*Loads))
	}
	return all
}
