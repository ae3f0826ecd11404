package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"vernal/idp"
)

// The kinds of stored records. After its deliveries, a notice stays under its ID without its text:
// its key prevents a repetition. A mark is the position that a search has reached.
const (
	noticeKind = "notice"
	markKind   = "notice_mark"
)

// The marks.
const (
	trailMark       = "trail"                // the Seq of an audit record
	requestCertMark = "request_certificates" // a day since 1970
)

const (
	// keepTime is how long a record prevents a repetition. It is longer than any reminder period.
	keepTime = 400 * day
	// maxPerRound bounds the deliveries of one round.
	maxPerRound = 50
	// webhookTarget names the webhook among deliveries. Mail targets are hashed.
	webhookTarget = "webhook"
)

// backoff is the wait after each try. The first wait is also the lifetime of a claim, so it
// is longer than a round of sending. After the last try, almost three days later, a
// delivery is given up.
var backoff = [...]time.Duration{
	3 * time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour,
	12 * time.Hour, 12 * time.Hour, 12 * time.Hour, 12 * time.Hour, 12 * time.Hour,
}

// record is a notice in the store.
type record struct {
	// Notice is nil after all deliveries are done.
	Notice *Notice `json:"notice,omitempty"`
	// Deliveries are the deliveries that are not done, by target.
	Deliveries map[string]delivery `json:"open,omitempty"`
}

// delivery is the progress of a notice to one target.
type delivery struct {
	Tries int `json:"tries"`
	// NextAt is when it is sent again unless it is settled before.
	NextAt time.Time `json:"next_at,omitzero"`
}

// isDue reports whether to send it now. A NextAt far in the future comes from a clock that
// was set back, and does not delay it.
func (d delivery) isDue(now time.Time) bool {
	return !d.NextAt.After(now) || d.NextAt.Sub(now) > backoff[len(backoff)-1]
}

// hashEmail hashes an email address, so that the store does not disclose it.
func hashEmail(address string) string {
	sum := sha256.Sum256([]byte("vernal notice\x00" + strings.ToLower(address)))
	return "mail:" + hex.EncodeToString(sum[:8])
}

// listTargets returns the email address of each target, "" for the webhook.
func (s *Service) listTargets() map[string]string {
	t := map[string]string{}
	if s.Webhook != nil {
		t[webhookTarget] = ""
	}
	if s.Mail != nil {
		for _, address := range s.Notify {
			t[hashEmail(address)] = address
		}
	}
	return t
}

func (s *Service) openNotices() idp.Records[record] {
	return idp.Records[record]{Store: s.Store, Kind: noticeKind, Clock: s.Clock}
}

func (s *Service) openMarks() idp.Records[uint64] {
	return idp.Records[uint64]{Store: s.Store, Kind: markKind, Clock: s.Clock}
}

// post records the notice unless it is recorded already.
func (s *Service) post(ctx context.Context, n Notice) error {
	err := s.openNotices().Update(ctx, []string{n.ID}, func(r *idp.Record[record]) error {
		if r.Value != nil {
			return nil
		}
		r.Value = &record{Notice: &n, Deliveries: map[string]delivery{}}
		for t := range s.listTargets() {
			r.Value.Deliveries[t] = delivery{}
		}
		discardSent(r)
		return nil
	})
	if err != nil {
		return fmt.Errorf("record notice %s: %w", n.ID, err)
	}
	return nil
}

// isRecorded reports whether one of the notices is recorded.
func (s *Service) isRecorded(ctx context.Context, ids ...string) (bool, error) {
	posted, err := s.openNotices().Find(ctx, ids...)
	return len(posted) > 0, err
}

// readMark returns the position that a search has reached, or false before the first saveMark.
func (s *Service) readMark(ctx context.Context, key string) (mark uint64, found bool, err error) {
	stored, err := s.openMarks().Get(ctx, key)
	switch {
	case errors.Is(err, idp.ErrNotFound):
		return 0, false, nil
	case err != nil:
		return 0, false, err
	}
	return *stored, true, nil
}

// saveMark moves a mark forward, and never back, because another server may be ahead.
func (s *Service) saveMark(ctx context.Context, key string, mark uint64) error {
	return s.openMarks().Update(ctx, []string{key}, func(r *idp.Record[uint64]) error {
		if r.Value == nil || *r.Value < mark {
			r.Value = &mark
		}
		return nil
	})
}

// claimedDelivery is a claimed delivery.
type claimedDelivery struct {
	notice Notice
	target string
	tries  int
}

// deliver sends the deliveries that are due.
func (s *Service) deliver(ctx context.Context, now time.Time) error {
	notices, err := s.openNotices().List(ctx)
	if err != nil {
		return fmt.Errorf("read the notices: %w", err)
	}
	var keys []string
	for _, n := range notices {
		if slices.ContainsFunc(slices.Collect(maps.Values(n.Value.Deliveries)), func(d delivery) bool { return d.isDue(now) }) {
			keys = append(keys, n.Key)
		}
		if len(keys) == maxPerRound {
			break
		}
	}
	if len(keys) == 0 {
		return nil
	}
	parcels, err := s.claim(ctx, keys, now)
	if err != nil {
		return err
	}
	return s.send(ctx, parcels)
}

// discardSent keeps only the key of a notice that has no more deliveries.
func discardSent(r *idp.Record[record]) {
	if n := r.Value.Notice; n != nil && len(r.Value.Deliveries) == 0 {
		*r.Value, r.ExpiresAt = record{}, n.At.Add(keepTime)
	}
}

// claim takes the deliveries that are due, so that no other server sends them. It gives up
// those with too many tries or without a recipient.
func (s *Service) claim(ctx context.Context, keys []string, now time.Time) ([]claimedDelivery, error) {
	targets := s.listTargets()
	claimed := map[string][]claimedDelivery{}
	err := s.openNotices().Update(ctx, keys, func(r *idp.Record[record]) error {
		claimed[r.Key] = nil // it may be called again
		if r.Value == nil {
			return nil
		}
		open := r.Value.Deliveries
		for target, d := range open {
			_, known := targets[target]
			switch {
			case !known:
				delete(open, target)
			case !d.isDue(now):
			case d.Tries > len(backoff):
				delete(open, target) // its last sender crashed
			default:
				wait := backoff[min(d.Tries, len(backoff)-1)]
				d = delivery{Tries: d.Tries + 1, NextAt: now.Add(wait)}
				open[target] = d
				claimed[r.Key] = append(claimed[r.Key], claimedDelivery{*r.Value.Notice, target, d.Tries})
			}
		}
		discardSent(r)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("claim notices: %w", err)
	}
	var all []claimedDelivery
	for _, key := range keys {
		all = append(all, claimed[key]...)
	}
	slices.SortStableFunc(all, func(a, b claimedDelivery) int { return a.notice.At.Compare(b.notice.At) })
	return all, nil
}

// send sends the parcels, the mails together, and settles them.
func (s *Service) send(ctx context.Context, parcels []claimedDelivery) error {
	targets := s.listTargets()
	var mails []Mail
	var mailed []claimedDelivery
	var errs []error
	for _, p := range parcels {
		if p.target == webhookTarget {
			errs = append(errs, s.recordResult(ctx, p, s.Webhook.Send(ctx, &p.notice)))
			continue
		}
		mails = append(mails, Mail{ID: p.notice.ID, To: targets[p.target], Subject: p.notice.Subject, Text: p.notice.Text})
		mailed = append(mailed, p)
	}
	if len(mails) > 0 { // Mail is nil without a mail server
		for i, err := range s.Mail.Send(ctx, mails) {
			errs = append(errs, s.recordResult(ctx, mailed[i], err))
		}
	}
	return errors.Join(errs...)
}

// recordResult records the result of a delivery. A failed one is due again by its claim.
func (s *Service) recordResult(ctx context.Context, p claimedDelivery, failed error) error {
	attrs := []slog.Attr{slog.String("notice", p.notice.ID), slog.String("to", p.target), slog.Int("try", p.tries)}
	if failed != nil {
		attrs = append(attrs, slog.String("error", failed.Error()))
		if p.tries <= len(backoff) {
			s.Log.LogAttrs(ctx, slog.LevelWarn, "notice not sent, it will be tried again", attrs...)
			return nil
		}
		s.Log.LogAttrs(ctx, slog.LevelError, "notice not sent, given up", attrs...)
	}
	// Record the delivery even if the server is about to stop.
	err := s.openNotices().Update(context.WithoutCancel(ctx), []string{p.notice.ID}, func(r *idp.Record[record]) error {
		if r.Value != nil {
			delete(r.Value.Deliveries, p.target)
			discardSent(r)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note that notice %s was sent: %w", p.notice.ID, err)
	}
	if failed == nil {
		s.Log.LogAttrs(ctx, slog.LevelInfo, "notice sent", attrs...)
	}
	return nil
}
