package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"vernal/idp"
)

// Layout of the documents of kind "notice":
//
//	NOTICE ID      record: the notice, and the deliveries still open
//	state/NAME     where a search left off; see find.go and trail.go
//
// A record outlives its deliveries, without the notice: its key is what keeps
// the notice from being told again.
const (
	documents   = "notice"
	statePrefix = "state/"
)

const (
	// keepFor is how long a record keeps its notice from coming back: longer
	// than any date is looked ahead at.
	keepFor = 400 * day
	// perRound bounds the deliveries of one round.
	perRound = 50
	// webhookTarget names the webhook among deliveries; mail has the hash of
	// its address.
	webhookTarget = "webhook"
)

// backoff is how long after each try the next one comes. The first is longer
// than a round of sending takes, as it is the time that a claim lasts. After the
// last one, almost three days later, a delivery is given up.
var backoff = [...]time.Duration{
	3 * time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour,
	12 * time.Hour, 12 * time.Hour, 12 * time.Hour, 12 * time.Hour, 12 * time.Hour,
}

// record is a notice in the store.
type record struct {
	At time.Time `json:"at"`
	// Notice is nil once everybody has it.
	Notice *Notice `json:"notice,omitempty"`
	// Open are the deliveries that are not done, by target.
	Open map[string]delivery `json:"open,omitempty"`
}

// delivery is how far the notice is on its way to one target.
type delivery struct {
	Tries int `json:"tries"`
	// NextAt is when it is sent again, unless it is settled before.
	NextAt time.Time `json:"next_at,omitzero"`
}

// due reports whether it is to be sent now. A time that the clock was set back
// from does not hold it up.
func (d delivery) due(now time.Time) bool {
	return !d.NextAt.After(now) || d.NextAt.Sub(now) > backoff[len(backoff)-1]
}

// mailTarget names an address without telling it.
func mailTarget(address string) string {
	sum := sha256.Sum256([]byte("vernal notice\x00" + strings.ToLower(address)))
	return "mail:" + hex.EncodeToString(sum[:8])
}

// targets are those who are told, with the address of each; "" for the webhook.
func (s *Service) targets() map[string]string {
	t := map[string]string{}
	if s.Webhook != nil {
		t[webhookTarget] = ""
	}
	if s.Mail != nil {
		for _, address := range s.Notify {
			t[mailTarget(address)] = address
		}
	}
	return t
}

// newRecord is the document of a notice that nobody has yet.
func (s *Service) newRecord(n Notice) ([]byte, error) {
	r := record{At: n.At, Notice: &n, Open: map[string]delivery{}}
	for t := range s.targets() {
		r.Open[t] = delivery{}
	}
	return json.Marshal(r)
}

// post writes down the notice unless it is there.
func (s *Service) post(ctx context.Context, n Notice) error {
	there, err := s.isPosted(ctx, n.ID)
	if there {
		return nil
	}
	if err == nil {
		err = s.Store.UpdateDocuments(ctx, documents, []string{n.ID}, idp.ChangeData(func(_ string, old []byte) ([]byte, error) {
			if old != nil {
				return old, nil
			}
			return s.newRecord(n)
		}))
	}
	if err != nil {
		return fmt.Errorf("write down notice %s: %w", n.ID, err)
	}
	if s.round.known != nil { // nil before the first round
		s.round.known[n.ID] = true
	}
	return nil
}

// isPosted reports whether one of the notices is recorded.
func (s *Service) isPosted(ctx context.Context, ids ...string) (bool, error) {
	for _, id := range ids {
		if s.round.known[id] {
			return true, nil
		}
		_, err := idp.LookupDocument(ctx, s.Store, documents, id)
		if err == nil && s.round.known != nil { // nil before the first round
			s.round.known[id] = true
		}
		if !errors.Is(err, idp.ErrNotFound) {
			return err == nil, err
		}
	}
	return false, nil
}

// parcel is a claimed delivery.
type parcel struct {
	notice Notice
	target string
	tries  int
}

// deliver sends what is due and removes records that are too old.
func (s *Service) deliver(ctx context.Context, now time.Time) error {
	docs, err := s.Store.Documents(ctx, documents)
	if err != nil {
		return fmt.Errorf("read the notices: %w", err)
	}
	var keys []string
	for _, d := range docs {
		var r record
		if strings.HasPrefix(d.Key, statePrefix) {
			continue
		}
		if err := json.Unmarshal(d.Data, &r); err != nil {
			return fmt.Errorf("notice %q in the store is damaged: %w", d.Key, err)
		}
		if r.old(now) || slices.ContainsFunc(slices.Collect(maps.Values(r.Open)), func(d delivery) bool { return d.due(now) }) {
			keys = append(keys, d.Key)
		}
		if len(keys) == perRound {
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

func (r *record) old(now time.Time) bool { return len(r.Open) == 0 && now.Sub(r.At) > keepFor }

// claim takes the deliveries that are due, so that no other server does. What
// was tried too often or has no recipient any more is given up.
func (s *Service) claim(ctx context.Context, keys []string, now time.Time) ([]parcel, error) {
	targets := s.targets()
	claimed := map[string][]parcel{}
	err := s.Store.UpdateDocuments(ctx, documents, keys, idp.ChangeData(func(key string, old []byte) ([]byte, error) {
		claimed[key] = nil // it may be called again
		var r record
		if old == nil {
			return nil, nil
		}
		if err := json.Unmarshal(old, &r); err != nil {
			return nil, err
		}
		if r.old(now) {
			return nil, nil
		}
		for target, d := range r.Open {
			_, known := targets[target]
			switch {
			case !known:
				delete(r.Open, target)
			case !d.due(now):
			case d.Tries > len(backoff):
				delete(r.Open, target) // its last sender died over it
			default:
				wait := backoff[min(d.Tries, len(backoff)-1)]
				d = delivery{Tries: d.Tries + 1, NextAt: now.Add(wait)}
				r.Open[target] = d
				claimed[key] = append(claimed[key], parcel{*r.Notice, target, d.Tries})
			}
		}
		return r.marshal()
	}))
	if err != nil {
		return nil, fmt.Errorf("claim notices: %w", err)
	}
	var all []parcel
	for _, key := range slices.Sorted(maps.Keys(claimed)) {
		all = append(all, claimed[key]...)
	}
	slices.SortStableFunc(all, func(a, b parcel) int { return a.notice.At.Compare(b.notice.At) })
	return all, nil
}

// marshal drops the notice once nobody waits for it.
func (r *record) marshal() ([]byte, error) {
	if len(r.Open) == 0 {
		r.Notice, r.Open = nil, nil
	}
	return json.Marshal(r)
}

// send delivers, all mail on one connection, and settles what is done.
func (s *Service) send(ctx context.Context, parcels []parcel) error {
	targets := s.targets()
	var mails []Mail
	var mailed []parcel
	var errs []error
	for _, p := range parcels {
		if p.target == webhookTarget {
			errs = append(errs, s.settle(ctx, p, s.Webhook.Send(ctx, &p.notice)))
			continue
		}
		mails = append(mails, Mail{ID: p.notice.ID, To: targets[p.target], Subject: p.notice.Subject, Text: p.notice.Text})
		mailed = append(mailed, p)
	}
	if len(mails) > 0 {
		for i, err := range s.Mail.Send(ctx, mails) {
			errs = append(errs, s.settle(ctx, mailed[i], err))
		}
	}
	return errors.Join(errs...)
}

// settle notes how a delivery went. One that failed is due again by its claim.
func (s *Service) settle(ctx context.Context, p parcel, failed error) error {
	attrs := []slog.Attr{slog.String("notice", p.notice.ID), slog.String("to", p.target), slog.Int("try", p.tries)}
	if failed != nil {
		attrs = append(attrs, slog.String("error", failed.Error()))
		if p.tries <= len(backoff) {
			s.Log.LogAttrs(ctx, slog.LevelWarn, "notice not sent, it will be tried again", attrs...)
			return nil
		}
		s.Log.LogAttrs(ctx, slog.LevelError, "notice not sent, given up", attrs...)
	}
	// What was sent is noted even if the server is about to stop.
	err := s.Store.UpdateDocuments(context.WithoutCancel(ctx), documents, []string{p.notice.ID}, idp.ChangeData(func(_ string, old []byte) ([]byte, error) {
		var r record
		if old == nil {
			return nil, nil
		}
		if err := json.Unmarshal(old, &r); err != nil {
			return nil, err
		}
		delete(r.Open, p.target)
		return r.marshal()
	}))
	if err != nil {
		return fmt.Errorf("note that notice %s was sent: %w", p.notice.ID, err)
	}
	if failed == nil {
		s.Log.LogAttrs(ctx, slog.LevelInfo, "notice sent", attrs...)
	}
	return nil
}
