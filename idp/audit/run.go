package audit

import (
	"context"
	"log/slog"
	"time"

	"vernal/idp"
)

const (
	flushEvery = time.Minute
	headEvery  = time.Hour
)

// Run writes the counts every minute, and the end of the trail into the log: at once, every hour,
// and when ctx ends. A copy of the log thus reveals that records were cut off or an older store was
// restored.
func (s *Service) Run(ctx context.Context) {
	s.checkEnd(ctx)
	s.logHead(ctx)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	loggedAt := s.Clock.Now()
	for isDone := false; !isDone; {
		select {
		case <-ctx.Done():
			isDone = true
			ctx = context.WithoutCancel(ctx)
		case <-tick.C:
		}
		s.flushRefusals(ctx, isDone)
		if now := s.Clock.Now(); isDone || now.Sub(loggedAt) >= headEvery || now.Before(loggedAt) {
			s.logHead(ctx)
			loggedAt = now
		}
	}
}

// flushRefusals writes the counts, all of them when the server stops.
func (s *Service) flushRefusals(ctx context.Context, isDone bool) {
	if s.Refusals == nil {
		return
	}
	flush := s.Refusals.Flush
	if isDone {
		flush = s.Refusals.FlushAll
	}
	if err := flush(ctx); err != nil {
		s.Log.LogAttrs(ctx, slog.LevelError, "cannot record refusals in the audit trail", slog.String("error", err.Error()))
	}
}

// logHead logs the end of the trail. `vernal audit verify --head SEQ:HASH` compares the trail with
// it.
func (s *Service) logHead(ctx context.Context) {
	page, err := s.Store.AuditPage(ctx, idp.AuditQuery{After: 1<<64 - 1})
	if err != nil {
		s.Log.LogAttrs(ctx, slog.LevelError, "audit trail", slog.String("error", err.Error()))
		return
	}
	s.Log.LogAttrs(ctx, slog.LevelInfo, "audit trail", slog.Uint64("seq", page.Head.Seq), slog.String("head", page.Head.Hash), slog.String("mac", page.Head.MAC))
}

// checkEnd checks only the last record. That is cheap, and an attacker who cuts off a trail begins
// there.
func (s *Service) checkEnd(ctx context.Context) {
	page, err := s.Store.AuditPage(ctx, idp.AuditQuery{After: 1<<64 - 1})
	if err == nil && page.Head.Seq > 0 {
		if page, err = s.Store.AuditPage(ctx, idp.AuditQuery{After: page.Head.Seq - 1, Limit: 2}); err == nil {
			err = checkLast(page)
		}
	}
	if err != nil {
		s.Log.LogAttrs(ctx, slog.LevelError, "the end of the audit trail was changed: verify the trail", slog.String("error", err.Error()))
	}
}

// checkLast compares the last record with the head.
func checkLast(page *idp.AuditPage) error {
	head := page.Head
	c := page.Checkpoint
	switch {
	case !page.IsHeadAuthentic:
		return newBrokenError(head.Seq, "is the last, but the head of the trail was changed")
	case len(page.Lines) == 0 && c != nil && c.Seq == head.Seq && c.Hash == head.Hash:
		return nil
	case len(page.Lines) == 0:
		return newBrokenError(head.Seq, "was cut off")
	case len(page.Lines) > 1:
		return newBrokenError(head.Seq+1, "was not written by Vernal")
	}
	if l, ok := ReadLine(page.Lines[0]); !ok || l.Hash != head.Hash || page.RecordCount != head.Seq {
		return newBrokenError(head.Seq, "differs from the written one")
	}
	return nil
}
