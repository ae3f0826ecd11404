package assurance

// Text describes the value of the attribute in English, for documents. The pages have the text
// in every language, and a test compares the two.
func (r Row) Text() string {
	if r.Rule == "" {
		return r.Source
	}
	return r.Source + ": " + r.Rule
}

// Format returns the last part of NameFormat: "basic" or "uri".
func (r Row) Format() string {
	if r.NameFormat == NameFormatBasic {
		return "basic"
	}
	return "uri"
}

// Sent reports whether this version has a value for the attribute. Attributes without one can
// still be registered.
func (r Row) Sent() bool { return r.value != nil }

// When describes the release of the attribute in English.
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
