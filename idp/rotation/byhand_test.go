package rotation

import (
	"errors"
	"testing"

	"vernal/idp"
)

// TestCheckStep checks that manual steps may run ahead of their dates, in order.
func TestCheckStep(t *testing.T) {
	t.Parallel()
	imports := func(w *deployment) { w.p.KeySource = SourceImport }
	hand := func(steps ...string) func(*deployment) { return func(w *deployment) { w.hand(steps...) } }
	then := func(fs ...func(*deployment)) func(*deployment) {
		return func(w *deployment) {
			for _, f := range fs {
				f(w)
			}
		}
	}
	run := func(until string) func(*deployment) { return func(w *deployment) { w.run(until) } }
	tests := []struct {
		name string
		do   func(*deployment) // after a first start on 22 November 2026
		step string
		want Reason // none: allowed
	}{
		{"not a year", nil, "create 27", newReason(RefusedNotAYear, Args{Value: "27"})},
		{"a step that is none", nil, "rehearse 2026", newReason(RefusedUnknownStep, Args{Value: "rehearse"})},
		{"create ahead of its date", nil, "create 2027", Reason{}},
		{"create an emergency key ahead of need", nil, "create 2026b", Reason{}},
		{"create what is there", nil, "create 2026", newReason(RefusedExists, Args{})},
		{"create an older year", nil, "create 2025", newReason(RefusedOlderThanPreferred, Args{Year: "2026"})},
		{"create what was revoked", hand("create 2027", "revoke 2027"), "create 2027", newReason(RefusedOver, Args{State: Revoked})},
		{"create with external keys", imports, "create 2027", newReason(RefusedExternalKeys, Args{})},
		{"csr with external keys", imports, "csr 2027", Reason{}},
		{"import a pair", imports, "import 2027", Reason{}},
		{"import for the key that waits", hand("csr 2027"), "import 2027", Reason{}},
		{"create over the key that waits", hand("csr 2027"), "create 2027", newReason(RefusedAwaitsCertificate, Args{})},
		{"import over a certificate", nil, "import 2026", newReason(RefusedHasCertificate, Args{})},
		{"import a certificate that has ended", nil, "import 2027 2026-11-22", newReason(WaitsCertEnded, Args{At: at("2026-11-22")})},
		{"import for a year that was passed by", then(hand("csr 2026b"), run("2027-03-02")), "import 2026b", newReason(RefusedOlderThanPreferred, Args{Year: "2027"})},
		{"publish what was never made", nil, "publish 2027", newReason(RefusedNeverMade, Args{})},
		{"publish ahead of its date", hand("create 2027"), "publish 2027", Reason{}},
		{"publish twice", hand("create 2027", "publish 2027"), "publish 2027", newReason(RefusedAlready, Args{State: Published})},
		{"publish the preferred year", nil, "publish 2026", newReason(RefusedAlready, Args{State: Preferred})},
		{"publish without a certificate", hand("csr 2027"), "publish 2027", newReason(WaitsCertificate, Args{})},
		{"publish after its certificate's end", then(hand("import 2027 2026-12-01"), run("2026-12-01")), "publish 2027", newReason(WaitsCertEnded, Args{At: at("2026-12-01")})},
		{"publish a year that was passed by", then(hand("create 2026b"), run("2027-03-02")), "publish 2026b", newReason(RefusedPassedBy, Args{Year: "2027"})},
		{"prefer ahead of its date", hand("create 2027", "publish 2027"), "prefer 2027", Reason{}},
		{"prefer before publishing", hand("create 2027"), "prefer 2027", newReason(RefusedNotPublished, Args{})},
		{"prefer twice", nil, "prefer 2026", newReason(RefusedAlready, Args{State: Preferred})},
		{"prefer an older year", run("2027-03-02"), "prefer 2026", newReason(RefusedPreferredIsNewer, Args{Year: "2027"})},
		{"prefer after its certificate's end", then(hand("import 2027 2027-01-10", "publish 2027"), run("2027-01-10")), "prefer 2027", newReason(WaitsCertEnded, Args{At: at("2027-01-10")})},
		{"retire the preferred year", nil, "retire 2026", newReason(RefusedPreferred, Args{})},
		{"retire the preferred year with force", nil, "retire 2026 force", newReason(RefusedPreferred, Args{})},
		{"retire a newer year", hand("create 2027", "publish 2027"), "retire 2027", newReason(RefusedNewerThanPreferred, Args{Year: "2026"})},
		{"retire 119 days after the successor was published", run("2027-05-31"), "retire 2026", newReason(WaitsSuccessorTooNew, Args{At: at("2027-02-01"), Days: 120, EndAt: at("2027-06-01")})},
		{"retire 119 days after, with force", run("2027-05-31"), "retire 2026 force", newReason(WaitsSuccessorTooNew, Args{At: at("2027-02-01"), Days: 120, EndAt: at("2027-06-01")})},
		{"retire 120 days after, ahead of its date", run("2027-06-01"), "retire 2026", Reason{}},
		{"retire twice", run("2027-07-02"), "retire 2026", newReason(RefusedOver, Args{State: Retired})},
		{"prefer a retired year", run("2027-07-02"), "prefer 2026", newReason(RefusedOver, Args{State: Retired})},
		{"roll back to a retired year", run("2027-07-02"), "rollback 2026", newReason(RefusedOver, Args{State: Retired})},
		{"destroy the key of a live year", nil, "destroy 2026", newReason(RefusedNotOver, Args{State: Preferred})},
		{"destroy a key at once", run("2027-07-02"), "destroy 2026", Reason{}},
		{"destroy a key twice", run("2027-08-02"), "destroy 2026", newReason(RefusedKeyDestroyed, Args{At: at("2027-07-31")})},
		{"roll back", run("2027-03-15"), "rollback 2026", Reason{}},
		{"roll back in the certificate's last second", run("2027-03-31T23:59:59Z"), "rollback 2026", Reason{}},
		{"roll back after the certificate's end", run("2027-04-01"), "rollback 2026", newReason(WaitsCertEnded, Args{At: at("2027-04-01")})},
		{"roll back with a hold that is over", run("2027-03-15"), "rollback 2026 2027-03-15", newReason(RefusedHoldEnded, Args{At: at("2027-03-15")})},
		{"roll back to what is preferred", nil, "rollback 2026", newReason(RefusedNotExpiring, Args{State: Preferred})},
		{"roll back to a newer year", run("2027-02-10"), "rollback 2027", newReason(RefusedNotExpiring, Args{State: Published})},
		{"resume without a hold", nil, "resume", newReason(RefusedNothingHeld, Args{})},
		{"resume", then(run("2027-03-15"), hand("rollback 2026")), "resume", Reason{}},
		{"revoke what was never made", nil, "revoke 2027", newReason(RefusedNeverMade, Args{})},
		{"revoke twice", then(run("2027-03-15"), hand("revoke 2026")), "revoke 2026", newReason(RefusedAlready, Args{State: Revoked})},
		{"revoke a retired year", run("2027-07-02"), "revoke 2026", Reason{}},
		{"revoke the only year", nil, "revoke 2026", newReason(RefusedNoSuccessor, Args{Year: "2026b"})},
		{"confirm a clock that is trusted", nil, "confirm-clock", newReason(RefusedClockTrusted, Args{})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := firstStart(t, "2026-11-22")
			if tt.do != nil {
				tt.do(w)
			}
			before := w.h
			err := w.try(w.step(tt.step))
			if tt.want.IsZero() {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantRefused(t, err, tt.want)
			if len(w.h.Records) != len(before.Records) || w.h.Preferred != before.Preferred {
				t.Error("a refused step changed the history")
			}
		})
	}
}

func TestForcedStepsNeedReason(t *testing.T) {
	t.Parallel()
	w := firstStart(t, "2026-11-22").run("2027-06-20")
	wantRefused(t, w.try(Step{Kind: StepRetire, Year: "2026", Force: true}), newReason(RefusedReasonMissing, Args{}))
	wantRefused(t, w.try(Step{Kind: StepRevoke, Year: "2026"}), newReason(RefusedReasonMissing, Args{}))
	_, err := w.p.RevokeSteps(w.h, "2027", "", w.now)
	wantRefused(t, err, newReason(RefusedReasonMissing, Args{}))
}

// TestAheadIsNotUndone checks that automatic mode does not undo a step taken before its
// date.
func TestAheadIsNotUndone(t *testing.T) {
	t.Parallel()
	w := firstStart(t, "2026-11-22").hand("create 2027", "publish 2027", "prefer 2027")
	w.log = nil
	w.run("2028-01-01").wantLog(t, "2027-07-01 retire 2026", "2027-07-31 destroy 2026")
	w.wantStates(t, states{"2026": Retired, "2027": Preferred})
}

func TestRollbackHoldsLaterSteps(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T) *deployment {
		w := firstStart(t, "2026-11-22").run("2027-03-15")
		if y, ok := w.h.FindRollbackYear(); !ok || y != "2026" {
			t.Fatalf("FindRollbackYear = %q, %v", y, ok)
		}
		w.log = nil
		return w
	}
	t.Run("holds until prefer by hand", func(t *testing.T) {
		t.Parallel()
		w := start(t).hand("rollback 2026")
		w.wantStates(t, states{"2026": Preferred, "2027": Published})
		w.wantAttention(t, "step_held 2027")
		w.run("2027-05-01").wantLog(t)
		w.wantAttention(t, "certificate_ended 2026", "step_held 2027")
		w.hand("prefer 2027").run("2027-07-02").wantLog(t, "2027-07-01 retire 2026")
	})
	t.Run("holds until a date", func(t *testing.T) {
		t.Parallel()
		start(t).hand("rollback 2026 2027-03-25").run("2027-04-10").wantLog(t, "2027-03-25 prefer 2027")
	})
	t.Run("resume ends the hold", func(t *testing.T) {
		t.Parallel()
		start(t).hand("rollback 2026", "resume").run("2027-03-17").wantLog(t, "2027-03-16 prefer 2027")
	})
	t.Run("revoke of the older year ends the hold", func(t *testing.T) {
		t.Parallel()
		w := start(t).hand("rollback 2026", "revoke 2026")
		w.wantStates(t, states{"2026": Revoked, "2027": Preferred})
		if w.h.Hold != (Hold{}) {
			t.Errorf("hold = %+v", w.h.Hold)
		}
	})
	t.Run("revoke of the newer year makes its letter, which is held", func(t *testing.T) {
		t.Parallel()
		w := start(t).hand("rollback 2026", "revoke 2027")
		w.run("2027-05-01").wantLog(t, "2027-03-16 create 2027b", "2027-03-16 publish 2027b", "2027-04-14 destroy 2027")
	})
}

func TestRevokeMakesNextLetter(t *testing.T) {
	t.Parallel()
	t.Run("letters count on", func(t *testing.T) {
		t.Parallel()
		w := firstStart(t, "2026-11-22")
		for _, want := range []idp.Year{"2026b", "2026c", "2026d"} {
			steps, err := w.p.RevokeSteps(w.h, w.h.Preferred, "leaked", w.now)
			if err != nil || len(steps) != 2 || steps[0].Year != want {
				t.Fatalf("steps %v, %v; want %s made", steps, err, want)
			}
			for _, s := range steps {
				if err := w.try(s); err != nil {
					t.Fatal(err)
				}
			}
			if w.h.Preferred != want {
				t.Fatalf("preferred %s, want %s", w.h.Preferred, want)
			}
		}
	})
	t.Run("no letter after z", func(t *testing.T) {
		t.Parallel()
		w := firstStart(t, "2026-11-22").hand("create 2026z", "publish 2026z", "prefer 2026z")
		_, err := w.p.RevokeSteps(w.h, "2026z", "leaked", w.now)
		wantRefused(t, err, newReason(RefusedNoLetterLeft, Args{}))
	})
	t.Run("no letter after z: automatic mode says so", func(t *testing.T) {
		t.Parallel()
		w := firstStart(t, "2026-11-22").hand("create 2027z", "revoke 2027z")
		w.log = nil
		w.run("2027-02-10").wantLog(t, "2026-12-22 destroy 2027z")
		w.wantAttention(t, "step_overdue 2027z")
	})
	t.Run("the certificate's end has passed: the calendar's next one", func(t *testing.T) {
		t.Parallel()
		w := firstStart(t, "2026-11-22")
		w.p.Manual = true
		w.run("2027-05-01")
		steps, err := w.p.RevokeSteps(w.h, "2026", "leaked", w.now)
		if err != nil || steps[0].Year != "2026b" || steps[0].CertEndAt != at("2028-04-01") {
			t.Errorf("steps %+v, %v", steps, err)
		}
	})
	t.Run("external keys: the letter is imported first", func(t *testing.T) {
		t.Parallel()
		w := firstStart(t, "2026-11-22")
		w.p.KeySource = SourceImport
		_, err := w.p.RevokeSteps(w.h, "2026", "leaked", w.now)
		wantRefused(t, err, newReason(RefusedImportFirst, Args{Year: "2026"}))
		w.hand("import 2026b", "revoke 2026")
		w.wantStates(t, states{"2026": Revoked, "2026b": Preferred})
	})
	t.Run("a key without certificate takes nothing over", func(t *testing.T) {
		t.Parallel()
		w := firstStart(t, "2026-11-22").hand("csr 2027")
		wantRefused(t, w.try(w.step("revoke 2026")), newReason(RefusedNoSuccessor, Args{Year: "2026b"}))
	})
	t.Run("a certificate that has ended takes nothing over", func(t *testing.T) {
		t.Parallel()
		w := firstStart(t, "2026-11-22").hand("import 2027 2027-01-10", "publish 2027").run("2027-01-10")
		wantRefused(t, w.try(w.step("revoke 2026")), newReason(RefusedNoSuccessor, Args{Year: "2026b"}))
	})
	t.Run("the letter's certificate ends with the one it replaces", func(t *testing.T) {
		t.Parallel()
		w := firstStart(t, "2026-11-22").hand("import 2027 2028-05-01", "publish 2027", "prefer 2027")
		steps, err := w.p.RevokeSteps(w.h, "2027", "leaked", w.now)
		if err != nil || steps[0].Year != "2027b" || steps[0].CertEndAt != at("2028-05-01") {
			t.Errorf("steps %+v, %v", steps, err)
		}
	})
	t.Run("one that is published goes before one that is not", func(t *testing.T) {
		t.Parallel()
		w := firstStart(t, "2026-11-22").hand("create 2026b", "create 2027", "publish 2027", "revoke 2026")
		w.wantStates(t, states{"2026": Revoked, "2026b": Created, "2027": Preferred})
	})
	t.Run("reason and dates stay", func(t *testing.T) {
		t.Parallel()
		w := firstStart(t, "2026-11-22").run("2027-07-02").hand("revoke 2026")
		r, _ := w.h.Record("2026")
		if r.RetiredAt != at("2027-07-01") || r.RevokedAt != at("2027-07-02") || r.Reason != "leaked" {
			t.Errorf("%+v", r)
		}
	})
}

func TestSecondServersStepIsRefused(t *testing.T) {
	t.Parallel()
	w := firstStart(t, "2026-11-22").run("2027-02-28")
	w.h, w.now = w.h.Tick(at("2027-03-01"), day), at("2027-03-01")
	for _, s := range w.p.Steps(w.h, w.now) {
		if err := w.try(s); err != nil {
			t.Fatal(err)
		}
		var refused *RefusedError
		if err := w.try(s); !errors.As(err, &refused) {
			t.Errorf("%s %s taken twice: %v", s.Kind, s.Year, err)
		}
	}
}
