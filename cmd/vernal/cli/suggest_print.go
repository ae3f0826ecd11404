package cli

import (
	"errors"
	"strings"

	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/sp"
	"vernal/templates"
)

// SuggestionLine is what to type, after the words that say when it helps.
func (a *App) SuggestionLine(s idp.Suggestion) string {
	if s.Label == "" {
		return a.CommandLine(s)
	}
	return templates.SuggestionLabel("en", s.Label) + ": " + a.CommandLine(s)
}

// SaySuggestions writes what a user can do next, below what was said.
func (a *App) SaySuggestions(list []idp.Suggestion) {
	for _, s := range list {
		a.Say("  %s", idp.OneLine(a.SuggestionLine(s)))
	}
}

// FlagName is how the name of an option is typed, without the dashes before it.
func FlagName(option string) string { return strings.ReplaceAll(option, "_", "-") }

// OptionFlag is how an option is typed.
func OptionFlag(o idp.Option) string {
	flag := "--" + FlagName(o.Name)
	if o.Value != "" {
		flag += " " + o.Value
	}
	return flag
}

// errorText returns the text of an error, with the options that permit the command anyway.
func errorText(err error) string {
	text := err.Error()
	var e *admin.Error
	if !errors.As(err, &e) {
		return text
	}
	for _, p := range e.Problems {
		if p.Option.Name != "" {
			text = strings.Replace(text, p.String(), p.String()+" ("+OptionFlag(p.Option)+" allows it)", 1)
		}
	}
	for _, p := range e.Permissions {
		text += "\n  " + OptionFlag(idp.Option{Name: string(p)}) + ": " + PermissionHelp[p]
	}
	return text
}

// PermissionHelp says what an operator permits.
var PermissionHelp = map[sp.Permission]string{
	sp.PermitInsecureURL: "let URLs be http on other hosts than this one",
	sp.PermitResume:      "give a provider that was removed and comes back its old NameIDs",
	sp.PermitReplace:     "put this in the place of a registration that is there",
	sp.PermitNewNameIDs:  "when the agency changes: give everyone a new NameID",
	sp.PermitKeepNameIDs: "when the agency changes: copy the NameIDs, so that the provider knows everyone as before",
}
