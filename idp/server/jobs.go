package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/web"
)

const (
	sweepEvery = time.Minute
	sweepBatch = 25 // records per step, so that no sign-in waits long for one
)

// startJobs starts the server's background jobs. The returned function stops the jobs and
// waits for them.
func (s *Server) startJobs(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var jobs sync.WaitGroup
	jobs.Go(func() { s.sweepExpired(ctx) })
	jobs.Go(func() { s.Trail.Run(ctx) })
	jobs.Go(func() { s.Rotation.Run(ctx) })
	jobs.Go(func() { s.Usage.Run(ctx) })
	jobs.Go(func() { s.Notices.Run(ctx) })
	jobs.Go(func() { s.UserMails.Run(ctx) })
	jobs.Go(func() { s.AccountJobs.Run(ctx) })
	if s.Backups != nil {
		jobs.Go(func() { s.Backups.Run(ctx) })
	}
	if s.Doctor != nil {
		jobs.Go(func() { s.Doctor.Run(ctx) })
	}
	return func() {
		cancel()
		jobs.Wait()
	}
}

// sweepExpired removes expired records until ctx ends.
func (s *Server) sweepExpired(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		total := 0
		for ctx.Err() == nil {
			n, err := s.Store.Sweep(ctx, s.Clock.Now(), sweepBatch)
			total += n
			if err != nil {
				s.Log.LogAttrs(ctx, slog.LevelError, "cannot remove expired records", slog.String("error", err.Error()))
			}
			if err != nil || n < sweepBatch {
				break
			}
		}
		if total > 0 {
			s.Log.LogAttrs(ctx, slog.LevelDebug, "removed expired records", slog.Int("removed", total))
		}
	}
}

// readyTimeout is how long /readyz waits for a disk that hangs.
const readyTimeout = 5 * time.Second

// readyRetryAfter is when to ask /readyz again, in seconds: the store is probed no more often.
var readyRetryAfter = strconv.Itoa(int(idp.WriteCheckAge.Seconds()))

// mountHealth adds the paths for monitoring: /healthz says that the process answers, /readyz
// that it can sign users in, which needs a key and a store that takes changes.
func (s *Server) mountHealth(router *web.Router) {
	router.Handle("/healthz", web.Methods{http.MethodGet: func(w http.ResponseWriter, _ *http.Request) error {
		_, err := io.WriteString(w, "ok\n")
		return err
	}})
	router.Handle("/readyz", web.Methods{http.MethodGet: func(w http.ResponseWriter, r *http.Request) error {
		if err := s.checkReady(r.Context()); err != nil {
			web.EventOf(r).Note(slog.String("error", err.Error()))
			web.EventOf(r).Raise(slog.LevelError)
			w.Header().Set("Retry-After", readyRetryAfter)
			http.Error(w, "not ready: see the log", http.StatusServiceUnavailable)
			return nil
		}
		_, err := io.WriteString(w, "ready\n")
		return err
	}})
}

func (s *Server) checkReady(ctx context.Context) error {
	// Every answer depends on this document.
	if _, err := s.Store.Documents(ctx, idp.RotationKind, idp.DocumentQuery{Keys: []string{idp.RotationKey}}); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := s.Store.CheckWrites(ctx); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	entry, err := s.Years.Preferred(s.Clock.Now())
	if err != nil {
		return err
	}
	if entry.Key.Signer == nil {
		return fmt.Errorf("preferred year %s has no key", entry.Key.Year)
	}
	if vaultKey, ok := entry.Key.Signer.(*certs.VaultKey); ok {
		return vaultKey.CheckReady()
	}
	return nil
}
