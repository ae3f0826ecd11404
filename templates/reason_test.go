package templates

import (
	"go/ast"
	"go/parser"
	"go/token"
	htmltemplate "html/template"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/rotation"
)

// allArgs fills every argument.
var allArgs = rotation.Args{
	Year: "2026", FromAt: time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC), ToAt: time.Date(2027, 4, 2, 0, 0, 0, 0, time.UTC),
	At: time.Date(2027, 4, 3, 0, 0, 0, 0, time.UTC), EndAt: time.Date(2027, 4, 4, 0, 0, 0, 0, time.UTC),
	Days: 14, DaysLeft: 1, Step: rotation.StepRetire, State: rotation.Grace, SPs: []idp.EntityID{"urn:sp"}, Count: 3, SHA256: "c3c3", Value: "disk is full",
}

// reasonArgs has the fields of Args, by their JSON names, that each code of the rotation
// fills, and attentionArgs those that each attention can fill.
var reasonArgs = map[rotation.ReasonCode][]string{
	rotation.WhyNoPreferredYear: {}, rotation.WhyFirstStart: {}, rotation.WhyKeyFoundGone: {},
	rotation.WhyKeyDue: {"date"}, rotation.WhyCalendarYear: {"date"}, rotation.WhyPublishDue: {"date"}, rotation.WhyPreferDue: {"date"},
	rotation.WhyTimeToMoveOver: {"date"}, rotation.WhyOurCertEnded: {"year", "date"}, rotation.WhyRetireDue: {"date"}, rotation.WhyRetired: {"date"},
	rotation.WhyTakesOver: {"year"}, rotation.WhyOtherYearPreferred: {"year"}, rotation.WhyOurCertEnds: {"year"},

	rotation.WaitsLettersUsedUp: {"year"}, rotation.WaitsExternalKey: {}, rotation.WaitsCertificate: {}, rotation.WaitsCertEnded: {"date"},
	rotation.WaitsPublishedLate: {"date", "days"}, rotation.WaitsHold: {"date"}, rotation.WaitsHoldUntil: {"date", "until"}, rotation.WaitsNoNewerYear: {},
	rotation.WaitsSuccessorTooNew: {"date", "days", "until"}, rotation.WaitsUsed: {"date", "days", "days_left", "entity_ids"},
	rotation.WaitsNotSeenUnused: {"days", "days_left", "entity_ids"}, rotation.WaitsClockJumped: {"from", "to", "days_left"}, rotation.WaitsClockDrifted: {"date"}, rotation.WaitsRestored: {"date", "from"},

	rotation.EndsNotMoved: {"count"},

	rotation.ReasonCode(rotation.KeyMissing): {"year"}, rotation.ReasonCode(rotation.CertMissing): {"year"}, rotation.ReasonCode(rotation.KeyDiffers): {"year"}, rotation.ReasonCode(rotation.KeyDamaged): {"year"},

	rotation.RefusedNotAYear: {"value"}, rotation.RefusedUnknownStep: {"value"}, rotation.RefusedNeverMade: {}, rotation.RefusedNothingHeld: {}, rotation.RefusedClockTrusted: {},
	rotation.RefusedOver: {"state"}, rotation.RefusedNotOver: {"state"}, rotation.RefusedKeyDestroyed: {"date"}, rotation.RefusedOtherKey: {},
	rotation.RefusedHasCertificate: {}, rotation.RefusedAwaitsCertificate: {}, rotation.RefusedExists: {}, rotation.RefusedOlderThanPreferred: {"year"},
	rotation.RefusedExternalKeys: {}, rotation.RefusedNoCertificate: {}, rotation.RefusedAlready: {"state"}, rotation.RefusedPassedBy: {"year"},
	rotation.RefusedNotPublished: {}, rotation.RefusedPreferredIsNewer: {"year"}, rotation.RefusedNotExpiring: {"state"}, rotation.RefusedHoldEnded: {"date"},
	rotation.RefusedPreferred: {}, rotation.RefusedNewerThanPreferred: {"year"}, rotation.RefusedReasonMissing: {}, rotation.RefusedNoSuccessor: {"year"},
	rotation.RefusedNoLetterLeft: {}, rotation.RefusedImportFirst: {"year"}, rotation.RefusedNoOlderYear: {},
	rotation.RefusedFolderHasCert: {}, rotation.RefusedNoKeyWaits: {}, rotation.RefusedOtherKeyWaits: {}, rotation.RefusedYearCannotBeTrusted: {"state"},
}

var attentionArgs = map[rotation.AttentionCode][]string{
	rotation.NoSigningKey: {}, rotation.KeyUnusable: {}, rotation.CertEnded: {"date"}, rotation.CertEnding: {"date"},
	rotation.StepFailed: {"step", "date", "value"}, rotation.StepOverdue: {"step", "date"}, rotation.StepHeld: {"step", "date"}, rotation.StepSoon: {"step", "date", "days_left"},
	rotation.BackupFailed: {"date", "value"}, rotation.BackupOld: {"date"},
	rotation.ClockUntrusted: {}, rotation.RestoreHeld: {}, rotation.RequestCertEnded: {"entity_ids", "date"},
}

// declaredCodes returns the values of the constants of a string type of package rotation.
func declaredCodes(t *testing.T, types ...string) (codes []string) {
	t.Helper()
	files, err := filepath.Glob("../idp/rotation/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == 1 {
				kind, typed := v.Type.(*ast.Ident)
				value, literal := v.Values[0].(*ast.BasicLit)
				if typed && literal && slices.Contains(types, kind.Name) {
					codes = append(codes, strings.Trim(value.Value, `"`))
				}
			}
			return true
		})
	}
	slices.Sort(codes)
	return codes
}

// The tables contain every code that package rotation declares.
func TestTablesHaveEveryCode(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(declaredCodes(t, "ReasonCode", "KeyFault"), codesOf(reasonArgs)); diff != "" {
		t.Errorf("reasons (-declared +in the table):\n%s", diff)
	}
	if diff := cmp.Diff(declaredCodes(t, "AttentionCode"), codesOf(attentionArgs)); diff != "" {
		t.Errorf("attention (-declared +in the table):\n%s", diff)
	}
}

func codesOf[C ~string](table map[C][]string) (codes []string) {
	for code := range table {
		codes = append(codes, string(code))
	}
	slices.Sort(codes)
	return codes
}

// Every code has a text in every language, which names only arguments that the code
// fills, and has no holes when they are filled.
func TestEveryCodeHasText(t *testing.T) {
	t.Parallel()
	hole := regexp.MustCompile(`\{|\}|\[\[|\]\]|  | ,| \.|\(\)`)
	check := func(t *testing.T, p *Phrases, key string, fields []string, text string) {
		t.Helper()
		template, ok := p.c[Key(key)]
		if !ok {
			t.Fatalf("%s has no text", key)
		}
		for _, m := range placeholder.FindAllStringSubmatch(template, -1) {
			if !slices.Contains(fields, m[1]) {
				t.Errorf("the text of %s names {%s}, which it does not fill", key, m[1])
			}
		}
		if hole.MatchString(text) || text == "" {
			t.Errorf("%s: %q", key, text)
		}
	}
	for _, lang := range []Lang{"en", "es", "fr"} {
		t.Run(string(lang), func(t *testing.T) {
			t.Parallel()
			p := PhrasesIn(lang)
			for code, fields := range reasonArgs {
				check(t, p, "reason."+string(code), fields, p.Reason(rotation.Reason{Code: code, Args: allArgs}))
			}
			for _, code := range rotation.AttentionCodes() {
				a := rotation.Attention{Code: code, Year: "2026", Args: allArgs, Reasons: []rotation.Reason{{Code: rotation.WaitsNoNewerYear}}}
				check(t, p, "attention."+string(code), append(slices.Clone(attentionArgs[code]), "year", "because"), p.Attention(a))
				if text := p.Text(NeedKey(code), "2026"); strings.HasPrefix(text, "needs.") || hole.MatchString(text) {
					t.Errorf("on the wallboard, %s: %q", code, text)
				}
			}
			for _, step := range append(rotation.StepKinds(), "") {
				if step == "" || step.IsAutomatic() {
					for _, text := range []string{p.FutureText(step, "2026"), p.PastText(step, "2026"), p.Meaning(step)} {
						if text == "" || hole.MatchString(text) || strings.HasPrefix(text, "comes.") || strings.HasPrefix(text, "past.") {
							t.Errorf("step %q: %q", step, text)
						}
					}
				}
			}
		})
	}
}

// An argument is inserted unchanged, once, and a part without its argument is omitted.
func TestReasonTextFillsItsParts(t *testing.T) {
	t.Parallel()
	p := newPhrases(catalogue{
		"reason.plain": "on {date} by {entity_ids}", "reason.part": "used[[ by {entity_ids}]], {days}", "semicolon": ";", "date": "{1}.{0}.{2}",
		"time.month.4": "4", "time.first": "1", "reason_part.days": "{0} days", "reason_part.days.one": "{0} day", "reason_part.more": "{0} and {1} more",
		"attention.step_held": "{step} {year}[[: {because}]]", "reason.value": "it said {value}", "number": "{0},{1}",
	})
	date := time.Date(2027, 4, 2, 0, 0, 0, 0, time.UTC)
	tests := []struct {
		name, got, want string
	}{
		{"date and names", p.Reason(rotation.Reason{Code: "plain", Args: rotation.Args{At: date, SPs: []idp.EntityID{"urn:a", "urn:b"}}}), "on 2.4.2027 by urn:a, urn:b"},
		{"many names", p.Reason(rotation.Reason{Code: "plain", Args: rotation.Args{At: date, SPs: []idp.EntityID{"a", "b", "c", "d", "e", "f", "g"}}}), "on 2.4.2027 by a, b, c, d, e and 2 more"},
		{"optional part", p.Reason(rotation.Reason{Code: "part", Args: rotation.Args{Days: 1, SPs: []idp.EntityID{"urn:a"}}}), "used by urn:a, 1 day"},
		{"without it", p.Reason(rotation.Reason{Code: "part", Args: rotation.Args{Days: 14}}), "used, 14 days"},
		{"a mark in foreign text", p.Reason(rotation.Reason{Code: "value", Args: rotation.Args{Value: "{date} [[x]]"}}), "it said {date} [[x]]"},
		{"a control character", p.Reason(rotation.Reason{Code: "value", Args: rotation.Args{Value: "a\x1b[31mb"}}), `it said a\x1b[31mb`},
		{"several", p.Reasons([]rotation.Reason{{Code: "value", Args: rotation.Args{Value: "a;b"}}, {Code: "part", Args: rotation.Args{Days: 2}}}), "it said a;b; used, 2 days"},
		{"attention", p.Attention(rotation.Attention{Code: rotation.StepHeld, Year: "2026", Args: rotation.Args{Step: rotation.StepRetire}, Reasons: []rotation.Reason{{Code: "value", Args: rotation.Args{Value: "no"}}}}), "retire 2026: it said no"},
		{"attention without a reason", p.Attention(rotation.Attention{Code: rotation.StepHeld, Year: "2026", Args: rotation.Args{Step: rotation.StepRetire}}), "retire 2026"},
		{"a code of a newer program", p.Reason(rotation.Reason{Code: "of_tomorrow"}), "of_tomorrow"},
		{"none", p.Reason(rotation.Reason{}), ""},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, tt.got, tt.want)
		}
	}
	if page := string(p.reasonFuncs()["reason"].(func(rotation.Reason) htmltemplate.HTML)(rotation.Reason{Code: "value", Args: rotation.Args{Value: "<b>"}})); page != "it said &lt;b&gt;" {
		t.Errorf("on a page: %s", page)
	}
}
