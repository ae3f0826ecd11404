package idp

// Action names an operation by noun and verb: "rotation.publish", "sp.edit".
type Action string

// SuggestionLabel is the condition under which a suggestion helps. Its text is in the catalogues,
// under "suggest.LABEL". SuggestionLabels returns all labels.
type SuggestionLabel string

// Suggestion is a next step for the user, as a value. Packages make suggestions. Only the
// command knows the syntax and turns a Suggestion into a command line.
type Suggestion struct {
	// Label is the condition under which the suggestion helps; "" for no text.
	Label SuggestionLabel `json:"label,omitzero"`
	Do    Action          `json:"do"`
	// Subjects are the objects of the action, in order: a year, an entity ID, an email address.
	// The user fills in an empty one.
	Subjects []string `json:"subjects,omitempty"`
	Options  []Option `json:"options,omitempty"`
}

// Option is one setting of a Suggestion.
type Option struct {
	// Name is the setting's name in snake case, in the singular: "acs_url", "reason".
	Name string `json:"name"`
	// Value is "" for a switch, and for a value that the user must fill in.
	Value string `json:"value,omitzero"`
}

// Suggest returns a Suggestion to perform an action on the subjects.
func Suggest(action Action, subjects ...string) Suggestion {
	return Suggestion{Do: action, Subjects: subjects}
}

// WithOption returns s with one more option; see Option.
func (s Suggestion) WithOption(name, value string) Suggestion {
	s.Options = append(s.Options[:len(s.Options):len(s.Options)], Option{name, value})
	return s
}

// WithLabel returns s with the label.
func (s Suggestion) WithLabel(label SuggestionLabel) Suggestion {
	s.Label = label
	return s
}

// CommandLine renders a Suggestion as a line to type. Only package cmd/vernal implements it.
type CommandLine func(Suggestion) string
