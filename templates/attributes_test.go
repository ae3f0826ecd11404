package templates

import (
	"strings"
	"testing"
)

// TestEachAttributeHasExample checks that the page shows a value of each attribute that it
// describes.
func TestEachAttributeHasExample(t *testing.T) {
	t.Parallel()
	const prefix = "attributes.text."
	described := 0
	for key := range mustNew(t).selectLanguage(fallback).catalogue {
		if name, ok := strings.CutPrefix(string(key), prefix); ok {
			described++
			if (AttributeRow{Name: name}).Example() == "" {
				t.Errorf("attribute %s has no example", name)
			}
		}
	}
	if described != len(attributeExamples) {
		t.Errorf("%d attributes, %d examples", described, len(attributeExamples))
	}
}
