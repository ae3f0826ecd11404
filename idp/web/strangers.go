package web

import (
	"context"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"vernal/idp"
)

// strangerEvery limits how often a warning is logged, because anyone can send the header.
const strangerEvery = time.Hour

// Strangers warns of a peer that sends X-Forwarded-For and is not a trusted proxy. That is
// either a client that made the header up or a proxy missing from trusted_proxies. Behind such
// a proxy all clients share one IP address, and one client's wrong passwords lock out the
// others.
type Strangers struct {
	Log   *slog.Logger
	Clock idp.Clock

	lastAt atomic.Int64 // time of the last warning, Unix nanoseconds; 0 for none
	last   atomic.Pointer[Stranger]
}

// Stranger is a peer that was warned of.
type Stranger struct {
	Peer netip.Addr
	At   time.Time
}

// Last returns the peer of the last warning, or false before the first.
func (s *Strangers) Last() (Stranger, bool) {
	if last := s.last.Load(); last != nil {
		return *last, true
	}
	return Stranger{}, false
}

// noteStranger logs at most one warning an hour. For all other requests it only reads the
// clock.
func (s *Strangers) noteStranger(ctx context.Context, peer netip.Addr) {
	now, last := s.Clock.Now().UnixNano(), s.lastAt.Load()
	if last != 0 && now-last < int64(strangerEvery) && now >= last || !s.lastAt.CompareAndSwap(last, now) {
		return
	}
	s.last.Store(&Stranger{peer, time.Unix(0, now).UTC()})
	s.Log.LogAttrs(ctx, slog.LevelWarn, "X-Forwarded-For from a peer that is not trusted is ignored; if the peer is your proxy, add it to trusted_proxies",
		slog.String("peer", peer.String()))
}
