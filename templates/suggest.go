package templates

import (
	"sync"

	"vernal/idp"
)

// suggestPrefix is the prefix of the keys of suggestion labels.
const suggestPrefix = "suggest."

// suggestCatalogues are read once. A build in which they cannot be read has no pages either;
// see New.
var suggestCatalogues = sync.OnceValue(func() map[Lang]catalogue {
	all, _ := readCatalogues(embedded)
	return all
})

// SuggestionLabel returns the text of a label of an idp.Suggestion, which says when it helps.
// For an unknown language it is English. A label without a text is returned unchanged.
func SuggestionLabel(lang Lang, label idp.SuggestionLabel) string {
	for _, l := range []Lang{lang, fallback} {
		if text, ok := suggestCatalogues()[l][Key(suggestPrefix+string(label))]; ok {
			return text
		}
	}
	return string(label)
}
