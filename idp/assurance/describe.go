package assurance

// Text says in English what the attribute holds, for documents; the pages have
// it in every language, and a test holds the two together.
func (r Row) Text() string {
	if r.Rule == "" {
		return r.Source
	}
	return r.Source + ": " + r.Rule
}

// Format is the last word of NameFormat: "basic" or "uri".
func (r Row) Format() string {
	if r.NameFormat == NameFormatBasic {
		return "basic"
	}
	return "uri"
}

// Sent is false of an attribute that can be registered for and that this version
// has no value for.
func (r Row) Sent() bool { return r.value != nil }

// When says in English when the attribute is released.
func (r Row) When() string {
	switch {
	case !r.Sent():
		return "not yet"
	case r.Always:
		return "always"
	}
	return levelTexts[r.Level]
}

var levelTexts = map[Level]string{
	LevelAny:      "any sign-in",
	LevelProofed:  "a proofed identity was asked for",
	LevelEligible: "you may ask for proofed identities",
	LevelPIV:      "a PIV/CAC card was used",
}
