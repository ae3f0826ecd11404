package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"vernal/idp"
	"vernal/idp/migration"
	"vernal/idp/rotation"
)

// readAttention logs each reason for attention and notifies operators at once. A certificate that
// ended causes one notice, any other reason one a day.
func (s *Service) readAttention(ctx context.Context, now time.Time) error {
	st, err := s.Rotation.Status(ctx, nil)
	if err != nil {
		return err
	}
	s.logAttention(ctx, st.Attention, now)
	if s.isOff() {
		return nil
	}
	phrases := s.loadPhrases()
	var errs []error
	for _, a := range st.Attention {
		n := Notice{At: now, Kind: NeedsAttention, Year: a.Year, ID: fmt.Sprintf("attention/%s/%s/%s", now.Format(time.DateOnly), a.Code, a.Year)}
		switch a.Code {
		case rotation.CertEnded:
			n.Kind, n.ID = CertEnded, fmt.Sprintf("certificate_ended/%s", a.Year)
		case rotation.StepFailed:
			sum := sha256.Sum256([]byte(a.Args.Value)) // a new reason is a new notice
			n.ID += "/" + hex.EncodeToString(sum[:4])
		case rotation.StepHeld, rotation.StepOverdue, rotation.NoSigningKey, rotation.KeyUnusable, rotation.ClockUntrusted,
			rotation.RestoreHeld, rotation.BackupFailed, rotation.BackupOld:
		default: // readBoard reminds operators of its date
			continue
		}
		errs = append(errs, s.notify(ctx, operatorData{Notice: n, Code: a.Code, Cause: cleanText(phrases.Attention(a))}, nil))
	}
	return errors.Join(errs...)
}

// readBoard logs each reason for attention on the migration board, and reminds operators of dates.
func (s *Service) readBoard(ctx context.Context, now time.Time) error {
	b, err := s.Board.Board(ctx)
	if err != nil {
		return fmt.Errorf("read the board: %w", err)
	}
	st, err := s.Rotation.Status(ctx, b.CountUnmoved())
	if err != nil {
		return err
	}
	s.logAttention(ctx, slices.Concat(st.Attention, b.Attention()), now)
	if s.isOff() {
		return nil
	}
	return errors.Join(s.notifyCertDates(ctx, st, b, now), s.notifyStepDates(ctx, st, b, now), s.notifyRequestCerts(ctx, b, now))
}

// planYears is how far ahead the plan is searched for later steps.
const planYears = 1

// notifyStepDates reminds operators of future steps.
func (s *Service) notifyStepDates(ctx context.Context, st rotation.Status, b *migration.Board, now time.Time) error {
	plan, err := s.Rotation.Plan(ctx, planYears)
	if err != nil {
		return err
	}
	phrases := s.loadPhrases()
	var errs []error
	for _, c := range listUpcomingSteps(st.DueSteps, plan, s.Rotation.Policy, now) {
		m, ok := findReachedMark(c.at, now, c.marks)
		if !ok {
			continue
		}
		posted, err := s.isRecorded(ctx, c.listPossibleIDs(m)...)
		if err != nil || posted {
			errs = append(errs, err)
			continue
		}
		n := Notice{ID: c.formatID(c.at, m), At: now, Kind: StepDue, Year: c.year, Step: c.kind, DueAt: c.at}
		var users []idp.EntityID
		if c.kind == rotation.StepRetire {
			n.Kind, users = Retirement, b.ListUnmoved(c.year)
		}
		if !c.isByHand && slices.Contains(serverMarks, m) {
			n.Kind = StepAhead
		}
		d := operatorData{Notice: n, IsByHand: c.isByHand, IsConditional: c.isCalendarDate, Waits: cleanText(phrases.Reasons(c.waits))}
		errs = append(errs, s.notify(ctx, d, users))
	}
	return errors.Join(errs...)
}

// notifyCertDates reminds operators of the ends of our live certificates while service providers must
// still move. If no service provider must leave a year, it sends the reminders while the year is
// used. Near the end it always sends them, because a newer year is missing or held.
func (s *Service) notifyCertDates(ctx context.Context, st rotation.Status, b *migration.Board, now time.Time) error {
	var errs []error
	for _, y := range st.Years {
		m, ok := findReachedMark(y.CertEndAt, now, marks)
		if !ok || !y.Live {
			continue
		}
		newer := rotation.MustLeave(y.Year, y.State, b.Target)
		users := b.ListUnmoved(y.Year)
		used := slices.ContainsFunc(b.Years, func(c migration.Year) bool { return c.Year == y.Year && c.SPs > 0 })
		if len(users) == 0 && (newer || m > 30 && !used) {
			continue
		}
		held := !newer && slices.ContainsFunc(st.Years, func(o rotation.YearStatus) bool { return o.Live && o.Year > y.Year })
		n := Notice{ID: fmt.Sprintf("certificate_ends/%s/%s/%d", y.Year, y.CertEndAt.Format(time.DateOnly), m),
			At: now, Kind: CertEnds, Year: y.Year, DueAt: y.CertEndAt}
		errs = append(errs, s.notify(ctx, operatorData{Notice: n, MustLeave: newer, IsHeld: held}, users))
	}
	return errors.Join(errs...)
}

// notifyRequestCerts notifies once a day of all request certificates that passed a mark, or their end,
// since the day of the last notice. It looks at whole days, so that servers that share a store find
// the same.
func (s *Service) notifyRequestCerts(ctx context.Context, b *migration.Board, now time.Time) error {
	today := now.Unix() / int64(day/time.Second)
	last, _, err := s.readMark(ctx, requestCertMark)
	if err != nil || uint64(today) <= last {
		return err
	}
	certs, sps := listEndingCerts(b, findDayStart(int64(last)), findDayStart(today), now)
	if len(certs) > 0 {
		n := Notice{ID: "request_certificates_end/" + now.Format(time.DateOnly), At: now, Kind: RequestCerts, DueAt: certs[0].EndAt}
		if err := s.notify(ctx, operatorData{Notice: n, Certs: certs}, sps); err != nil {
			return err
		}
	}
	return s.saveMark(ctx, requestCertMark, uint64(today))
}

func findDayStart(date int64) time.Time { return time.Unix(date*int64(day/time.Second), 0) }

// listEndingCerts returns the service providers whose last request certificate passed one of
// marks, or its end, after last and not after today, sorted by the end.
func listEndingCerts(b *migration.Board, last, today, now time.Time) (found []requestCert, sps []idp.EntityID) {
	lines := slices.Clone(b.SPs)
	slices.SortStableFunc(lines, func(a, b migration.Line) int { return a.RequestCertsEndAt().Compare(b.RequestCertsEndAt()) })
	for _, line := range lines {
		endAt := line.RequestCertsEndAt()
		passed := func(days int) bool {
			at := endAt.AddDate(0, 0, -days)
			return at.After(last) && !at.After(today)
		}
		// When notices are turned on, an end long ago is not news.
		if line.HasRequestCertEnded() && passed(0) && now.Sub(endAt) < keepTime || endAt.After(now) && slices.ContainsFunc(marks, passed) {
			found = append(found, requestCert{SP: cleanText(string(line.SP)), EndAt: endAt, Ended: line.HasRequestCertEnded(), Days: countDaysTo(endAt, now)})
			sps = append(sps, line.SP)
		}
	}
	return found, sps
}
