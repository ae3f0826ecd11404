package main

import (
	"errors"
	"strings"

	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/sp"
	"vernal/templates"
)

// suggestionLine is what to type, after the words that say when it helps.
func suggestionLine(s idp.Suggestion) string {
	if s.Label == "" {
		return commandLine(s)
	}
	return templates.SuggestionLabel("en", s.Label) + ": " + commandLine(s)
}

// saySuggestions writes what a user can do next, below what was said.
func (a *app) saySuggestions(list []idp.Suggestion) {
	for _, s := range list {
		a.say("  %s", idp.OneLine(suggestionLine(s)))
	}
}

// optionFlag is how an option is typed.
func optionFlag(o idp.Option) string {
	flag := "--" + flagName(o.Name)
	if o.Value != "" {
		flag += " " + o.Value
	}
	return flag
}

// errorText is the text of an error, with the options by which it can be done anyway.
func errorText(err error) string {
	text := err.Error()
	var e *admin.Error
	if !errors.As(err, &e) {
		return text
	}
	for _, p := range e.Problems {
		if p.Option.Name != "" {
			text = strings.Replace(text, p.String(), p.String()+" ("+optionFlag(p.Option)+" allows it)", 1)
		}
	}
	for _, p := range e.Permissions {
		text += "\n  " + optionFlag(idp.Option{Name: string(p)}) + ": " + permissionHelp[p]
	}
	return text
}

// permissionHelp says what an operator permits.
var permissionHelp = map[sp.Permission]string{
	sp.PermitInsecureURL: "let URLs be http on other hosts than this one",
	sp.PermitResume:      "give a provider that was removed and comes back its old NameIDs",
	sp.PermitReplace:     "put this in the place of a registration that is there",
	sp.PermitNewNameIDs:  "when the agency changes: give everyone a new NameID",
	sp.PermitKeepNameIDs: "when the agency changes: copy the NameIDs, so that the provider knows everyone as before",
}
