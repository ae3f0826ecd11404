package templates

import (
	"sync"

	"vernal/idp"
)

// suggestPrefix begins the keys of the labels of suggestions.
const suggestPrefix = "suggest."

// suggestCatalogues are read once; a build in which they cannot be read has no page
// either, see New.
var suggestCatalogues = sync.OnceValue(func() map[Lang]catalogue {
	all, _ := readCatalogues(embedded)
	return all
})

// SuggestionLabel returns the words of a label of an idp.Suggestion, which say when it
// helps. In a language that we do not speak it is English; a label without words is
// returned as it is.
func SuggestionLabel(lang Lang, label idp.SuggestionLabel) string {
	for _, l := range []Lang{lang, fallback} {
		if text, ok := suggestCatalogues()[l][Key(suggestPrefix+string(label))]; ok {
			return text
		}
	}
	return string(label)
}
