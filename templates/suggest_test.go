package templates

import "testing"

// A label has words in each language; a language that we do not speak gets English.
func TestSuggestionLabel(t *testing.T) {
	t.Parallel()
	english := SuggestionLabel("en", "create_first")
	if english == "create_first" || SuggestionLabel("xx", "create_first") != english || SuggestionLabel("", "create_first") != english {
		t.Errorf("English: %q", english)
	}
	for _, lang := range []string{"es", "fr"} {
		if got := SuggestionLabel(lang, "create_first"); got == english || got == "" {
			t.Errorf("%s: %q", lang, got)
		}
	}
	if got := SuggestionLabel("es", "no_such_label"); got != "no_such_label" {
		t.Errorf("without words: %q", got)
	}
}
