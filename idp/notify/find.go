package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"vernal/idp"
	"vernal/idp/migration"
	"vernal/idp/rotation"
)

// stepIs maps an attention code to the word that the templates choose the
// subject by.
var stepIs = map[rotation.AttentionCode]string{
	rotation.StepFailed: "failed", rotation.StepHeld: "held", rotation.StepOverdue: "overdue", rotation.KeyUnusable: "closed",
	rotation.ClockUntrusted: "clock",
}

// readAttention logs what needs attention, and notifies at once: of a certificate that
// ended once, of all else once a day.
func (s *Service) readAttention(ctx context.Context, now time.Time) error {
	st, err := s.Rotation.Status(ctx, nil)
	if err != nil {
		return err
	}
	s.logAttention(ctx, st.Attention, now)
	if s.off() {
		return nil
	}
	phrases := s.phrases()
	var errs []error
	for _, a := range st.Attention {
		n := Notice{At: now, Kind: NeedsAttention, Year: a.Year, ID: fmt.Sprintf("attention/%s/%s/%s", now.Format(time.DateOnly), a.Code, a.Year)}
		switch a.Code {
		case rotation.CertEnded:
			n.Kind, n.ID = CertEnded, fmt.Sprintf("certificate_ended/%s", a.Year)
		case rotation.StepFailed:
			sum := sha256.Sum256([]byte(a.Args.Value)) // another reason is a notice of its own
			n.ID += "/" + hex.EncodeToString(sum[:4])
		case rotation.StepHeld, rotation.StepOverdue, rotation.NoSigningKey, rotation.KeyUnusable, rotation.ClockUntrusted:
		default: // readBoard reminds of its date
			continue
		}
		if s.round.known[n.ID] {
			continue
		}
		n, err := s.operators(n, "operator_attention.txt", operatorData{Year: a.Year, Step: stepIs[a.Code], Why: plain(phrases.Attention(a)), Ended: n.Kind == CertEnded}, nil)
		if err == nil {
			err = s.post(ctx, n)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// readBoard logs what needs attention as the board knows it, and reminds of dates.
func (s *Service) readBoard(ctx context.Context, now time.Time) error {
	b, err := s.Board.Board(ctx)
	if err != nil {
		return fmt.Errorf("read the board: %w", err)
	}
	st, err := s.Rotation.Status(ctx, b.Unmoved())
	if err != nil {
		return err
	}
	s.logAttention(ctx, slices.Concat(st.Attention, b.Attention()), now)
	if s.off() {
		return nil
	}
	return errors.Join(s.certDates(ctx, st, b, now), s.stepDates(ctx, st, b, now), s.requestCerts(ctx, b, now))
}

// planYears is how far ahead steps are looked for that come after those due next.
const planYears = 1

// stepDates reminds of steps to come.
func (s *Service) stepDates(ctx context.Context, st rotation.Status, b *migration.Board, now time.Time) error {
	plan, err := s.Rotation.Plan(ctx, planYears)
	if err != nil {
		return err
	}
	phrases := s.phrases()
	var errs []error
	for _, c := range comingSteps(st.Due, plan, s.Rotation.Policy, now) {
		m, ok := reachedMark(c.at, now, c.marks)
		if !ok {
			continue
		}
		posted, err := s.isPosted(ctx, c.sameIDs(m)...)
		if err != nil || posted {
			errs = append(errs, err)
			continue
		}
		n := Notice{ID: c.id(c.at, m), At: now, Kind: StepDue, Year: c.year, Step: c.kind, DueAt: c.at}
		name, users := "operator_due.txt", []idp.EntityID(nil)
		if isRetirement(c.kind) {
			n.Kind, name, users = Retirement, "operator_retirement.txt", b.UnmovedFrom(c.year)
		}
		if !c.hand && slices.Contains(aheadMarks, m) {
			n.Kind, name = StepAhead, "operator_ahead.txt"
		}
		d := operatorData{Year: c.year, Step: string(c.kind), Hand: c.hand, Open: c.open, Waits: plain(phrases.Reasons(c.waits))}
		errs = append(errs, s.remind(ctx, n, name, d, users))
	}
	return errors.Join(errs...)
}

// certDates reminds of the ends of our live certificates while service providers
// have still to move. Of a year that no one has to leave it reminds while that year
// is used, and near the end in any case, because a newer one is missing or held.
func (s *Service) certDates(ctx context.Context, st rotation.Status, b *migration.Board, now time.Time) error {
	var errs []error
	for _, y := range st.Years {
		m, ok := reachedMark(y.CertEndAt, now, marks)
		if !ok || !y.Live {
			continue
		}
		newer := rotation.MustLeave(y.Year, y.State, b.Target)
		users := b.UnmovedFrom(y.Year)
		used := slices.ContainsFunc(b.Years, func(c migration.Year) bool { return c.Year == y.Year && c.SPs > 0 })
		if len(users) == 0 && (newer || m > 30 && !used) {
			continue
		}
		held := !newer && slices.ContainsFunc(st.Years, func(o rotation.YearStatus) bool { return o.Live && o.Year > y.Year })
		n := Notice{ID: fmt.Sprintf("certificate_ends/%s/%s/%d", y.Year, y.CertEndAt.Format(time.DateOnly), m),
			At: now, Kind: CertEnds, Year: y.Year, DueAt: y.CertEndAt}
		errs = append(errs, s.remind(ctx, n, "operator_certificate.txt", operatorData{Year: y.Year, Newer: newer, Held: held}, users))
	}
	return errors.Join(errs...)
}

func (s *Service) remind(ctx context.Context, n Notice, name string, d operatorData, users []idp.EntityID) error {
	if s.round.known[n.ID] {
		return nil
	}
	n, err := s.operators(n, name, d, users)
	if err != nil {
		return err
	}
	return s.post(ctx, n)
}

// requestCertState is the document that says until when the ends of request
// certificates were told.
const requestCertState = statePrefix + "request_certificates"

// requestCerts tells once a day, in one notice, of all request certificates that
// came nearer to their end by a mark since it was last told, or reached it.
func (s *Service) requestCerts(ctx context.Context, b *migration.Board, now time.Time) error {
	id := "request_certificates_end/" + now.Format(time.DateOnly)
	if s.round.known[id] {
		return nil
	}
	err := s.Store.UpdateDocuments(ctx, documents, []string{requestCertState, id}, idp.ChangeData(s.requestCertsNotice(id, b, now)))
	if err != nil {
		return fmt.Errorf("write down notice %s: %w", id, err)
	}
	s.round.known[id] = true
	return nil
}

// requestCertsNotice is the change of the state and of the day's notice. The
// keys come in the order given.
func (s *Service) requestCertsNotice(id string, b *migration.Board, now time.Time) func(string, []byte) ([]byte, error) {
	var last time.Time
	return func(key string, old []byte) ([]byte, error) {
		if key == requestCertState {
			last = time.Time{}
			if old != nil {
				if err := json.Unmarshal(old, &last); err != nil {
					return nil, err
				}
			}
			if !now.After(last) {
				return old, nil
			}
			return json.Marshal(now)
		}
		if old != nil || last.Format(time.DateOnly) == now.Format(time.DateOnly) {
			return old, nil
		}
		certs, sps := nearing(b, last, now)
		if len(certs) == 0 {
			return nil, nil
		}
		n := Notice{ID: id, At: now, Kind: RequestCerts, DueAt: certs[0].EndAt}
		n, err := s.operators(n, "operator_requestcerts.txt", operatorData{Certs: certs}, sps)
		if err != nil {
			return nil, err
		}
		return s.newRecord(n)
	}
}

// nearing are the service providers whose last request certificate passed a mark, or
// its end, after last; the first to end first.
func nearing(b *migration.Board, last, now time.Time) (found []requestCert, sps []idp.EntityID) {
	for i := range b.SPs {
		line := &b.SPs[i]
		endAt := line.RequestCertsEndAt()
		if endAt.IsZero() {
			continue
		}
		passed := func(days int) bool {
			at := endAt.AddDate(0, 0, -days)
			return at.After(last) && !at.After(now)
		}
		// One that ended long ago is no news when this begins.
		if line.RequestCertEnded() && passed(0) && now.Sub(endAt) < keepFor || endAt.After(now) && slices.ContainsFunc(marks, passed) {
			found = append(found, requestCert{SP: line.SP, EndAt: endAt, Ended: line.RequestCertEnded(), Days: daysTo(endAt, now)})
		}
	}
	slices.SortStableFunc(found, func(a, b requestCert) int { return a.EndAt.Compare(b.EndAt) })
	for _, c := range found {
		sps = append(sps, c.SP)
	}
	return found, sps
}
