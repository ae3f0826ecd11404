package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/rotation"
	"vernal/idp/sp"
)

// TestActionsAreCommands checks that every suggested action is a command with the suggested
// options.
func TestActionsAreCommands(t *testing.T) {
	t.Parallel()
	for _, s := range idp.Actions() {
		if _, err := commandTree.Render(newCommandTree, s); err != nil {
			t.Error(err)
		}
	}
}

// TestSettingsAreOptions checks that every suggested setting is an option of a command.
func TestSettingsAreOptions(t *testing.T) {
	t.Parallel()
	find := func(path ...string) func(name string) bool {
		c, _, err := newCommandTree().Find(path)
		if err != nil {
			t.Fatal(err)
		}
		return func(name string) bool { return c.Flags().Lookup(cli.FlagName(name)) != nil }
	}
	add, edit := find("sp", "add"), find("sp", "edit")
	for _, f := range sp.Fields() {
		if !add(f.Option()) || !edit(f.Option()) {
			t.Errorf("no option gives the field %s a value", f.Name)
		}
	}
	for _, p := range sp.Permissions() {
		if !add(string(p)) {
			t.Errorf("no option gives the permission %s", p)
		}
		if cli.PermissionHelp[p] == "" {
			t.Errorf("the permission %s has no help", p)
		}
	}
	if !find("user", "import")(account.OptionUnregistered) {
		t.Errorf("no option %s", account.OptionUnregistered)
	}
}

// checkSuggestion fails if a suggestion cannot be typed, or has a label without words.
func checkSuggestion(t *testing.T, name string, s idp.Suggestion) {
	t.Helper()
	if _, err := commandTree.Render(newCommandTree, s); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	if s.Label != "" && !slices.Contains(idp.SuggestionLabels(), s.Label) {
		t.Errorf("%s: the label %q is not in the table", name, s.Label)
	}
}

// TestStepsAreCommands checks that every step is a command with the options that its
// suggestion uses.
func TestStepsAreCommands(t *testing.T) {
	t.Parallel()
	for _, kind := range rotation.StepKinds() {
		checkSuggestion(t, string(kind), kind.Suggest("2027"))
	}
}

// reasonCodes returns the reason codes that the catalogue has texts for.
func reasonCodes(t *testing.T) (codes []rotation.ReasonCode) {
	t.Helper()
	data, err := os.ReadFile("../../templates/catalogue/en.json")
	if err != nil {
		t.Fatal(err)
	}
	var texts map[string]any
	if err := json.Unmarshal(data, &texts); err != nil {
		t.Fatal(err)
	}
	for key := range texts {
		if code, ok := strings.CutPrefix(key, "reason."); ok {
			codes = append(codes, rotation.ReasonCode(code))
		}
	}
	return codes
}

// TestRefusalsSuggestCommands checks that every suggestion about a refusal can be typed: for
// every step, every reason and every state of a year, and for every fault of a key.
func TestRefusalsSuggestCommands(t *testing.T) {
	t.Parallel()
	day := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }
	now, old, soon := day(2027, 5, 1), day(2026, 1, 15), day(2028, 4, 1)
	h := rotation.History{Preferred: "2027", Records: []rotation.Record{
		{Year: "2023", CreatedAt: old, CertEndAt: old, PublishedAt: old, RetiredAt: old, RevokedAt: old},
		{Year: "2024", CreatedAt: old, CertEndAt: old, PublishedAt: old, RetiredAt: old, KeyDestroyedAt: old},
		{Year: "2025", CreatedAt: old, CertEndAt: old, PublishedAt: old, PreferredAt: old},
		{Year: "2026", CreatedAt: old, CertEndAt: soon, PublishedAt: old, PreferredAt: old},
		{Year: "2026b", CreatedAt: old, CertEndAt: soon},
		{Year: "2027", CreatedAt: old, CertEndAt: soon, PublishedAt: old, PreferredAt: old},
		{Year: "2028", CreatedAt: now, CertEndAt: day(2029, 4, 1), PublishedAt: now},
		{Year: "2029", CreatedAt: now, CertEndAt: day(2030, 4, 1)},
		{Year: "2030", CreatedAt: now}, // waits for its certificate
	}}
	states := map[rotation.State]bool{}
	labels := map[idp.SuggestionLabel]bool{}
	for _, y := range []idp.Year{"", "2022", "2023", "2024", "2025", "2026", "2026b", "2027", "2027b", "2028", "2029", "2030", "2031"} {
		states[h.State(y, now)] = true
		for _, kind := range rotation.StepKinds() {
			for _, code := range reasonCodes(t) {
				for _, s := range h.Refuse(kind, y, rotation.Reason{Code: code}, now).Suggestions {
					labels[s.Label] = true
					checkSuggestion(t, fmt.Sprintf("%s %s refused because of %s", kind, y, code), s)
				}
			}
		}
	}
	for _, state := range rotation.States() {
		if !states[state] {
			t.Errorf("no year is %s", state)
		}
	}
	for _, label := range refusalLabels {
		if !labels[label] {
			t.Errorf("no refusal suggests %s", label)
		}
	}
	if len(labels) != len(refusalLabels) {
		t.Errorf("refusals have the labels %v, want %v", labels, refusalLabels)
	}
}

// refusalLabels are those of suggestions about a refused step.
var refusalLabels = []idp.SuggestionLabel{
	idp.LabelRevokeLostKey, idp.LabelListUses, idp.LabelListYears, idp.LabelRetireFirst, idp.LabelCreateKeyAndRequest,
	idp.LabelImportKeyToo, idp.LabelNewKeySameYear, idp.LabelNextStep, idp.LabelCreateFirst, idp.LabelPublishFirst,
	idp.LabelReturnToOlderYear, idp.LabelNewYear, idp.LabelRetireAnyway, idp.LabelPreferNewerFirst, idp.LabelKeyLeaked,
	idp.LabelEndUnneededYear, idp.LabelConfirmTime, idp.LabelShowDates, idp.LabelImportCertificate,
}
