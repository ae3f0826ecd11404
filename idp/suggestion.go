package idp

// Action names an operation by noun and verb: "rotation.publish", "sp.edit".
type Action string

// SuggestionLabel says when a suggestion helps. Its words are in the catalogues, under
// "suggest.LABEL". All labels are in SuggestionLabels.
type SuggestionLabel string

// Suggestion is something that a user can do next, as a value. Packages suggest; only the
// command knows how it is typed and turns a Suggestion into a command line.
type Suggestion struct {
	// Label says when it helps; "" for no words.
	Label SuggestionLabel `json:"label,omitzero"`
	Do    Action          `json:"do"`
	// Subjects are what it acts on, in order: a year, an entity ID, an email address.
	// An empty one is for the user to fill in.
	Subjects []string `json:"subjects,omitempty"`
	Options  []Option `json:"options,omitempty"`
}

// Option is one setting of a Suggestion.
type Option struct {
	// Name is that of the setting in snake case, in the singular: "acs_url", "reason".
	Name string `json:"name"`
	// Value is "" for a switch, and where the user must fill it in.
	Value string `json:"value,omitzero"`
}

// Suggest returns the Suggestion to do something to the subjects.
func Suggest(do Action, subjects ...string) Suggestion {
	return Suggestion{Do: do, Subjects: subjects}
}

// With returns s with one more option; see Option.
func (s Suggestion) With(name, value string) Suggestion {
	s.Options = append(s.Options[:len(s.Options):len(s.Options)], Option{name, value})
	return s
}

// Labeled returns s with a label.
func (s Suggestion) Labeled(label SuggestionLabel) Suggestion {
	s.Label = label
	return s
}

// CommandLine renders a Suggestion as a line to type. Package cmd/vernal has the only one.
type CommandLine func(Suggestion) string
