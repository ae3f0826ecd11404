package rotator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/rotation"
)

// Outcome is the result of steps by hand or, for a dry run, its preview.
type Outcome struct {
	Steps  []rotation.Step `json:"steps"`
	Before rotation.Status `json:"before"`
	After  rotation.Status `json:"after"`
	DryRun bool            `json:"dry_run"`
	// CutOffSPs are the service providers that still use a year whose retirement is forced. The
	// list is empty if no force is needed, and nil for other steps or if the uses cannot be read.
	CutOffSPs []idp.EntityID `json:"cut_off,omitzero"`
}

// Take takes a step by hand with its prerequisites: a revoke makes a successor if needed,
// and both become visible together. A create without CertEndAt uses the calendar's. A
// rollback without a year returns to the newest older year that is live. It returns a
// *rotation.RefusedError if the rules refuse the step.
func (s *Service) Take(ctx context.Context, step rotation.Step, actor string, dryRun bool) (*Outcome, error) {
	if !step.Kind.IsCommand() && !step.Kind.IsAutomatic() {
		return nil, fmt.Errorf("rotation step %q is unknown or has a command of its own", step.Kind)
	}
	s.stepLock.Lock()
	defer s.stepLock.Unlock()
	h, now, err := s.catchUp(ctx)
	if err != nil {
		return nil, err
	}
	steps := []rotation.Step{step}
	switch {
	case step.Kind == rotation.StepCreate && step.CertEndAt.IsZero():
		steps[0].CertEndAt = s.Policy.CreateStep(h, step.Year, now).CertEndAt
	case step.Kind == rotation.StepRevoke:
		if steps, err = s.Policy.RevokeSteps(h, step.Year, step.Reason, now); err != nil {
			return nil, err
		}
	case step.Kind == rotation.StepRollback && step.Year == "":
		year, ok := h.FindRollbackYear()
		if !ok {
			return nil, h.Refuse(step.Kind, "", rotation.Reason{Code: rotation.RefusedNoOlderYear}, now)
		}
		steps[0].Year = year
	}
	return s.takeBatch(ctx, h, &stepBatch{policy: s.Policy, steps: steps, actor: actor, now: now}, dryRun)
}

// Retire retires a year and destroys its key, both in one transaction. If the year is over already,
// only its key is destroyed.
func (s *Service) Retire(ctx context.Context, step rotation.Step, actor string, dryRun bool) (*Outcome, error) {
	s.stepLock.Lock()
	defer s.stepLock.Unlock()
	h, now, err := s.catchUp(ctx)
	if err != nil {
		return nil, err
	}
	steps := []rotation.Step{step, {Kind: rotation.StepDestroy, Year: step.Year, Reason: step.Reason}}
	if h.State(step.Year, now).IsOver() {
		steps = steps[1:]
	}
	return s.takeBatch(ctx, h, &stepBatch{policy: s.Policy, steps: steps, actor: actor, now: now}, dryRun)
}

// stepBatch contains steps that are decided, recorded and shown together, all or none.
type stepBatch struct {
	policy rotation.Policy
	steps  []rotation.Step
	actor  string
	now    time.Time
	// importKey is the key that an import brings. Other keys are made here.
	importKey *certs.Key
	// isAutomatic means that the steps must still be due when they are recorded.
	isAutomatic bool
	// users are the service providers that a forced retirement can cut off. cutOffSPs are those
	// that it does cut off according to the history of the decision. Both are nil if the uses
	// cannot be read.
	users, cutOffSPs []idp.EntityID
}

// decide takes the steps on a history.
func (b *stepBatch) decide(h rotation.History) (rotation.History, error) {
	for _, step := range b.steps {
		isSame := func(dueStep rotation.Step) bool { return dueStep.Kind == step.Kind && dueStep.Year == step.Year }
		if b.isAutomatic && !slices.ContainsFunc(b.policy.Steps(h, b.now), isSame) {
			return h, errStepTaken
		}
		if isForced(step) {
			b.cutOffSPs = b.users
			unforcedStep := step
			unforcedStep.Force = false
			if b.policy.CheckStep(unforcedStep, h, b.now) == nil {
				b.cutOffSPs = []idp.EntityID{}
			}
		}
		var err error
		if h, err = b.policy.Take(step, h, b.now); err != nil {
			return h, err
		}
	}
	return h, nil
}

func isForced(step rotation.Step) bool { return step.Kind == rotation.StepRetire && step.Force }

// takeBatch takes the steps of a batch by hand.
func (s *Service) takeBatch(ctx context.Context, h rotation.History, batch *stepBatch, dryRun bool) (*Outcome, error) {
	if i := slices.IndexFunc(batch.steps, isForced); i >= 0 {
		if users, ok := s.listUsers(ctx, h, batch.steps[i].Year, batch.now); ok {
			batch.users = append([]idp.EntityID{}, users...)
		}
	}
	after, err := batch.decide(h)
	if err != nil {
		return nil, s.nameUsers(ctx, err, h, batch.now)
	}
	if retiresYear(h, after) { // before anything is made, and in a dry run
		if _, err := s.readUses(ctx); err != nil {
			return nil, err
		}
	}
	outcome := &Outcome{Steps: batch.steps, Before: s.Policy.Status(h, batch.now, nil), DryRun: dryRun}
	if !dryRun && len(batch.steps) > 0 {
		if after, err = s.commit(ctx, batch); err != nil {
			return nil, s.nameUsers(ctx, err, h, batch.now)
		}
	}
	outcome.CutOffSPs = batch.cutOffSPs
	outcome.After = s.nameHeldUsers(ctx, s.Policy.Status(after, batch.now, nil), after)
	return outcome, nil
}

// prepareKey makes the key and certificate that a step needs before it is recorded, and returns the
// year's key if it is new.
func (s *Service) prepareKey(step rotation.Step, batch *stepBatch) (*certs.Key, error) {
	switch step.Kind {
	case rotation.StepCreate, rotation.StepCSR:
		return s.makeKey(step, batch.now)
	case rotation.StepImport:
		return batch.importKey, s.Dir.Save(batch.importKey)
	}
	return nil, nil
}

// commit takes the steps of a batch: it prepares their keys, decides them again in the transaction
// that records them, and then shows the outcome to requests. An error after the record is an
// *unfinishedError.
func (s *Service) commit(ctx context.Context, batch *stepBatch) (rotation.History, error) {
	events := make([]idp.AuditEvent, len(batch.steps))
	var newKeys []*certs.Key
	for i, step := range batch.steps {
		k, err := s.prepareKey(step, batch)
		if err != nil {
			return rotation.History{}, err
		}
		if k != nil {
			newKeys = append(newKeys, k)
			identify(&batch.steps[i], k)
		}
		events[i] = newEvent(batch.steps[i], batch.actor)
	}
	h, err := s.updateHistory(ctx, func(h rotation.History) (rotation.History, error) {
		// A use may have been counted since, so this write makes the final decision.
		h, err := batch.decide(h)
		if i := slices.IndexFunc(batch.steps, isForced); i >= 0 {
			recordCutOff(events[i].Detail, batch.cutOffSPs)
		}
		return h, err
	}, events...)
	if err != nil {
		_, isRefused := errors.AsType[*rotation.RefusedError](err)
		if !isRefused && !errors.Is(err, errStepTaken) && !errors.Is(err, errUsesUnknown) {
			err = fmt.Errorf("write the rotation's history: %w", err)
		}
		return h, err
	}
	// The steps are recorded. Close the years that they ended before anything that may fail.
	s.closeEnded(h, newKeys)
	for _, step := range batch.steps {
		s.Log.LogAttrs(ctx, slog.LevelInfo, "rotation step", slog.String("step", string(step.Kind)), slog.String("year", string(step.Year)),
			slog.String("actor", batch.actor), slog.String("why", step.Cause.String()), slog.String("reason", step.Reason))
	}
	if err := errors.Join(s.waitForSignatures(ctx, batch.steps), s.openYears(ctx, h), s.destroyEndedKeys(ctx)); err != nil {
		return h, &unfinishedError{fmt.Errorf("the step is recorded, but its effect is not complete and will be tried again: %w", err)}
	}
	return s.shownHistory, nil
}

// signatureTime is how long a step waits for running signatures. A signature takes far less,
// unless a token hangs.
const signatureTime = 30 * time.Second

// waitForSignatures waits, after a step that ends a year was shown, until the signatures that began earlier
// are made, so that the year signs nothing after the command returns. It waits even if the caller
// has left, because the step is recorded.
func (s *Service) waitForSignatures(ctx context.Context, steps []rotation.Step) error {
	if !slices.ContainsFunc(steps, func(s rotation.Step) bool { return s.Kind.EndsSigning() }) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), signatureTime)
	defer cancel()
	if err := s.Ring.Settle(ctx); err != nil {
		return fmt.Errorf("the year is closed, but an earlier signature has not ended (%w): check the token", err)
	}
	return nil
}

// identify notes in a step which certificate and key it brings.
func identify(step *rotation.Step, k *certs.Key) {
	step.PublicKeySHA256 = certs.PublicKeySHA256(k.Signer.Public())
	if k.Cert != nil {
		step.CertEndAt, step.CertificateSHA256 = k.Cert.NotAfter, certs.CertSHA256(k.Cert)
	}
}

// unfinishedError is a failure after a step or the running time was recorded. Neither must be
// recorded again: Tick finishes it.
type unfinishedError struct{ error }

func (e *unfinishedError) Unwrap() error { return e.error }
