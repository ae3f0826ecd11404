package web

import (
	"context"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"vernal/idp"
)

// peerWarningInterval limits how often a warning is logged, because anyone can send the header.
const peerWarningInterval = time.Hour

// UntrustedPeers warns of a peer that sends X-Forwarded-For and is not a trusted proxy. That is
// either a client that made the header up or a proxy missing from trusted_proxies. Behind such
// a proxy all clients share one IP address, and one client's wrong passwords lock out the
// others.
type UntrustedPeers struct {
	Log   *slog.Logger
	Clock idp.Clock

	lastAt atomic.Int64 // time of the last warning, Unix nanoseconds; 0 for none
	last   atomic.Pointer[UntrustedPeer]
}

// UntrustedPeer is a peer that was warned of.
type UntrustedPeer struct {
	Peer netip.Addr
	At   time.Time
}

// Last returns the peer of the last warning, or false before the first.
func (s *UntrustedPeers) Last() (UntrustedPeer, bool) {
	if last := s.last.Load(); last != nil {
		return *last, true
	}
	return UntrustedPeer{}, false
}

// notePeer logs at most one warning an hour. For all other requests it only reads the
// clock.
func (s *UntrustedPeers) notePeer(ctx context.Context, peer netip.Addr) {
	now, last := s.Clock.Now().UnixNano(), s.lastAt.Load()
	if last != 0 && now-last < int64(peerWarningInterval) && now >= last || !s.lastAt.CompareAndSwap(last, now) {
		return
	}
	s.last.Store(&UntrustedPeer{peer, time.Unix(0, now).UTC()})
	s.Log.LogAttrs(ctx, slog.LevelWarn, "X-Forwarded-For from a peer that is not trusted is ignored; if the peer is your proxy, add it to trusted_proxies",
		slog.String("peer", peer.String()))
}
