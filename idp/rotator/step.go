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
	// CutOffSPs are the service providers that still use a year whose retirement is forced. It
	// is empty if no force is needed, and nil for other steps or if the uses cannot be read.
	CutOffSPs []idp.EntityID `json:"cut_off,omitzero"`
}

// Take takes a step by hand with its prerequisites: a revoke makes a successor if needed,
// and both become visible together. A create without CertEndAt uses the calendar's. A
// rollback without a year returns to the newest older year that is live. It returns a
// *rotation.RefusedError if the rules refuse the step.
func (s *Service) Take(ctx context.Context, step rotation.Step, actor string, dryRun bool) (*Outcome, error) {
	if !step.Kind.IsCommand() && !step.Kind.IsAutomatic() {
		return nil, fmt.Errorf("rotation: %s is not taken here", step.Kind)
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
		to, ok := h.FindRollbackYear()
		if !ok {
			return nil, h.Refuse(step.Kind, "", rotation.Reason{Code: rotation.RefusedNoOlderYear}, now)
		}
		steps[0].Year = to
	}
	return s.takeBatch(ctx, h, &stepBatch{policy: s.Policy, steps: steps, actor: actor, now: now}, dryRun)
}

// Retire retires a year and destroys its key, both in one transaction. If the year is over already,
// only its key is destroyed.
func (s *Service) Retire(ctx context.Context, retire rotation.Step, actor string, dryRun bool) (*Outcome, error) {
	s.stepLock.Lock()
	defer s.stepLock.Unlock()
	h, now, err := s.catchUp(ctx)
	if err != nil {
		return nil, err
	}
	steps := []rotation.Step{retire, {Kind: rotation.StepDestroy, Year: retire.Year, Reason: retire.Reason}}
	if h.State(retire.Year, now).IsOver() {
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
	// users are the service providers that a forced retirement can cut off. cutOff are those
	// that it does cut off according to the history of the decision. Both are nil if the uses
	// cannot be read.
	users, cutOffSPs []idp.EntityID
}

// decide takes the steps on a history.
func (t *stepBatch) decide(h rotation.History) (rotation.History, error) {
	for _, step := range t.steps {
		same := func(due rotation.Step) bool { return due.Kind == step.Kind && due.Year == step.Year }
		if t.isAutomatic && !slices.ContainsFunc(t.policy.Steps(h, t.now), same) {
			return h, errStepTaken
		}
		if isForced(step) {
			t.cutOffSPs = t.users
			unforced := step
			unforced.Force = false
			if t.policy.CheckStep(unforced, h, t.now) == nil {
				t.cutOffSPs = []idp.EntityID{}
			}
		}
		var err error
		if h, err = t.policy.Take(step, h, t.now); err != nil {
			return h, err
		}
	}
	return h, nil
}

func isForced(step rotation.Step) bool { return step.Kind == rotation.StepRetire && step.Force }

// takeBatch takes the steps of a turn by hand.
func (s *Service) takeBatch(ctx context.Context, h rotation.History, t *stepBatch, dryRun bool) (*Outcome, error) {
	if i := slices.IndexFunc(t.steps, isForced); i >= 0 {
		if users, ok := s.listUsers(ctx, h, t.steps[i].Year, t.now); ok {
			t.users = append([]idp.EntityID{}, users...)
		}
	}
	after, err := t.decide(h)
	if err != nil {
		return nil, s.nameUsers(ctx, err, h, t.now)
	}
	if retiresYear(h, after) { // before anything is made, and in a dry run
		if _, err := s.readUses(ctx); err != nil {
			return nil, err
		}
	}
	o := &Outcome{Steps: t.steps, Before: s.Policy.Status(h, t.now, nil), DryRun: dryRun}
	if !dryRun && len(t.steps) > 0 {
		if after, err = s.commit(ctx, t); err != nil {
			return nil, s.nameUsers(ctx, err, h, t.now)
		}
	}
	o.CutOffSPs = t.cutOffSPs
	o.After = s.nameHeldUsers(ctx, s.Policy.Status(after, t.now, nil), after)
	return o, nil
}

// prepareKey makes the key and certificate that a step needs before it is recorded, and returns the
// year's key if it is new.
func (s *Service) prepareKey(step rotation.Step, t *stepBatch) (*certs.Key, error) {
	switch step.Kind {
	case rotation.StepCreate, rotation.StepCSR:
		return s.makeKey(step, t.now)
	case rotation.StepImport:
		return t.importKey, s.Dir.Save(t.importKey)
	}
	return nil, nil
}

// commit takes the steps of a turn: it prepares their keys, decides them again in the transaction
// that records them, and then shows the outcome to requests. An error after the record is an
// *afterError.
func (s *Service) commit(ctx context.Context, t *stepBatch) (rotation.History, error) {
	events := make([]idp.AuditEvent, len(t.steps))
	var made []*certs.Key
	for i, step := range t.steps {
		k, err := s.prepareKey(step, t)
		if err != nil {
			return rotation.History{}, err
		}
		if k != nil {
			made = append(made, k)
			identify(&t.steps[i], k)
		}
		events[i] = newEvent(t.steps[i], t.actor)
	}
	h, err := s.updateHistory(ctx, func(h rotation.History) (rotation.History, error) {
		// A use may have been counted since, so this write makes the final decision.
		h, err := t.decide(h)
		if i := slices.IndexFunc(t.steps, isForced); i >= 0 {
			recordCutOff(events[i].Detail, t.cutOffSPs)
		}
		return h, err
	}, events...)
	if err != nil {
		_, refused := errors.AsType[*rotation.RefusedError](err)
		if !refused && !errors.Is(err, errStepTaken) && !errors.Is(err, errUsesUnknown) {
			err = fmt.Errorf("write the rotation: %w", err)
		}
		return h, err
	}
	// The steps are recorded. Close the years that they ended before anything that may fail.
	s.closeEnded(h, made)
	for _, step := range t.steps {
		s.Log.LogAttrs(ctx, slog.LevelInfo, "rotation step", slog.String("step", string(step.Kind)), slog.String("year", string(step.Year)),
			slog.String("actor", t.actor), slog.String("why", step.Cause.String()), slog.String("reason", step.Reason))
	}
	if err := errors.Join(s.waitForSignatures(ctx, t.steps), s.openYears(ctx, h), s.destroyEndedKeys(ctx)); err != nil {
		return h, &unfinishedError{fmt.Errorf("the step is recorded, but could not be finished and will be tried again: %w", err)}
	}
	return s.shownHistory, nil
}

// signatureTime is how long a step waits for signatures under way. A signature takes far less,
// unless a token hangs.
const signatureTime = 30 * time.Second

// waitForSignatures waits, after a step that ends a year was shown, until the signatures that began earlier
// are made, so that the year signs nothing after the command returns. It waits even if the caller
// is gone, because the step is taken.
func (s *Service) waitForSignatures(ctx context.Context, steps []rotation.Step) error {
	if !slices.ContainsFunc(steps, func(s rotation.Step) bool { return s.Kind.EndsSigning() }) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), signatureTime)
	defer cancel()
	if err := s.Ring.Settle(ctx); err != nil {
		return fmt.Errorf("the year is closed, but a signature that began before has not ended: %w", err)
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
