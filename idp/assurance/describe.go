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

// HasValue reports whether this version has a value for the attribute. Attributes without one can
// still be registered.
func (r Row) HasValue() bool { return r.value != nil }

// DescribeRelease describes the release of the attribute in English.
func (r Row) DescribeRelease() string {
	switch {
	case !r.HasValue():
		return "not yet"
	case r.IsAlwaysSent:
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
