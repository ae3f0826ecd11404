package templates

import (
	"slices"
	"strings"
	"testing"

	"vernal/idp"
)

// Every label has a text in each language, and every text has a label.
func TestSuggestionLabelsHaveWords(t *testing.T) {
	t.Parallel()
	for lang, words := range suggestCatalogues() {
		for _, label := range idp.SuggestionLabels() {
			if words[Key(suggestPrefix+string(label))] == "" {
				t.Errorf("%s: the label %q has no words", lang, label)
			}
		}
		for key := range words {
			label, ok := strings.CutPrefix(string(key), suggestPrefix)
			if ok && !slices.Contains(idp.SuggestionLabels(), idp.SuggestionLabel(label)) {
				t.Errorf("%s: no suggestion has the label %q", lang, label)
			}
		}
	}
	if len(suggestCatalogues()) != 3 {
		t.Errorf("%d languages", len(suggestCatalogues()))
	}
}

// An unknown language gets English, and an unknown label stays.
func TestSuggestionLabel(t *testing.T) {
	t.Parallel()
	english := SuggestionLabel("en", idp.LabelCreateFirst)
	if english == string(idp.LabelCreateFirst) || SuggestionLabel("xx", idp.LabelCreateFirst) != english || SuggestionLabel("", idp.LabelCreateFirst) != english {
		t.Errorf("English: %q", english)
	}
	for _, lang := range []Lang{"es", "fr"} {
		if got := SuggestionLabel(lang, idp.LabelCreateFirst); got == english || got == "" {
			t.Errorf("%s: %q", lang, got)
		}
	}
	if got := SuggestionLabel("es", "no_such_label"); got != "no_such_label" {
		t.Errorf("without words: %q", got)
	}
}
